"""What every client has in common: it runs until it is told to finish, and then says what it noticed.

* `GET /readyz`: 200 once the client uses the system.
* `GET /stats`: the figures so far.
* `POST /finish`: stop, look at everything a last time; 202 while that lasts, then 200 with the final figures.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

PORT = 8090
FINISH_WAIT_SECONDS = 2.0


@dataclass
class Figures:
    """What a client noticed.

    Attributes:
        requests: what it asked for, of whatever kind its system serves.
        failed: how many of them ended in an error, or not in time.
        lost: how much of what was acknowledged to it is not there any more.
        errors: the failures by their text, at most 20 different ones.
        notes: whatever else is worth telling about this system.
    """

    requests: int = 0
    failed: int = 0
    lost: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    notes: dict[str, Any] = field(default_factory=dict)

    def failure(self, error: BaseException | str) -> None:
        """Count a request that failed."""
        self.failed += 1
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        if text in self.errors or len(self.errors) < 20:
            self.errors[text[:200]] += 1

    def as_json(self, phase: str) -> dict[str, Any]:
        """As the control port answers it."""
        return {
            "phase": phase,
            "requests": self.requests,
            "failed": self.failed,
            "lost": self.lost,
            "errors": dict(self.errors),
            **self.notes,
        }


class Client(Protocol):
    """Somebody who uses a system."""

    figures: Figures

    async def prepare(self) -> None:
        """Wait until the system serves, and put into it what shall be found again."""

    async def use(self, stop: asyncio.Event) -> None:
        """Use the system until told to stop."""

    async def look_again(self) -> None:
        """Look a last time for everything that was acknowledged, and count what is lost."""


async def live(client: Client) -> None:
    """The life of a client, from its start until its figures were asked for."""
    phase, stop, finished = "Preparing", asyncio.Event(), asyncio.Event()

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(status=503 if phase == "Preparing" else 200, text=phase)

    async def stats(_: web.Request) -> web.Response:
        return web.json_response(client.figures.as_json(phase))

    async def finish(_: web.Request) -> web.Response:
        stop.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(finished.wait(), FINISH_WAIT_SECONDS)
        return web.json_response(client.figures.as_json(phase), status=200 if finished.is_set() else 202)

    app = web.Application()
    app.add_routes([web.get("/readyz", readyz), web.get("/stats", stats), web.post("/finish", finish)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=PORT).start()
    await client.prepare()
    phase = "Running"
    await client.use(stop)
    phase = "LookingAgain"
    await client.look_again()
    phase = "Finished"
    finished.set()
    await asyncio.Event().wait()
