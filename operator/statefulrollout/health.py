"""The health server: is the process alive, can it do its part, and what does it count.

`/healthz` answers as long as the event loop turns; `/readyz` says what is still missing; `/metrics` is for Prometheus.
Served by every replica. Nothing here knows what the parts are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


def build_application(missing: Callable[[], Sequence[str]]) -> web.Application:
    """Build the server's application; `missing` names, in words, what keeps this replica from doing its part."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        waiting = missing()
        if waiting:
            return web.Response(status=503, text="".join(f"waiting for {what}\n" for what in waiting))
        return web.Response(text="ok\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    application.router.add_get("/metrics", metrics)
    return application
