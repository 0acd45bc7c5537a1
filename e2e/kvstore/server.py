"""Puts one pod's parts together and serves them on two ports, in an order in which they can be taken apart.

The client port goes first when a pod stops, then the admin port that the last requests still need. What is in
flight gets a moment; keys are not moved: a pod that is stopped without the operator's hooks loses what it held.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from e2e.kvstore.client_api import ClientApi
from e2e.kvstore.coordinator import Coordinator
from e2e.kvstore.draining import Draining
from e2e.kvstore.faults import Fault, Faults
from e2e.kvstore.hooks import Hooks
from e2e.kvstore.journal import Journal
from e2e.kvstore.member import Member
from e2e.kvstore.peer_api import MAX_BODY_BYTES, PeerApi
from e2e.kvstore.peers import Peers
from e2e.kvstore.placement import Declaration
from e2e.kvstore.probes import Probes
from e2e.kvstore.routing import Router
from e2e.kvstore.store import Store
from e2e.kvstore.told import Told

DECLARED_PATIENCE_SECONDS = 8.0
"""How long a request may wait for members to agree: a round trip among them, or seconds on a machine that is far
overloaded. Slow is better than failed."""
STATIC_PATIENCE_SECONDS = 1.0
CLIENT_STOP_SECONDS = 0.7
ADMIN_STOP_SECONDS = 0.1
KEEPALIVE_SECONDS = 75.0


@dataclass(frozen=True)
class Settings:
    """One pod. `static_members` None: members are declared by the operator. `patience_seconds` bounds a request. With
    `tls_dir` (tls.crt, tls.key) the hooks are served with TLS as well, for `login` (user:password) alone."""

    name: str
    host: str | None = None
    client_port: int = 8080
    admin_port: int = 8081
    static_members: Declaration | None = None
    patience_seconds: float = DECLARED_PATIENCE_SECONDS
    data_dir: Path | None = None
    tls_dir: Path | None = None
    secure_port: int = 8443
    login: str = ""
    ready_delay_seconds: float = 0
    version: str = ""
    faults: dict[str, Fault] = field(default_factory=dict)


@asynccontextmanager
async def serving(settings: Settings, connect: Callable[[int], Peers] = Peers) -> AsyncIterator[Member]:
    """Serve on both ports for as long as the context lasts; `connect` makes the way to the others' admin port."""
    async with AsyncExitStack() as stack:
        store = Store()
        journal = Journal.replayed(settings.data_dir, store) if settings.data_dir else None
        if journal is not None:
            stack.callback(journal.close)
        peers = connect(settings.admin_port)
        stack.callback(peers.close)
        member = await stack.enter_async_context(Member(settings.name, store, peers, journal))
        draining = Draining()
        stack.callback(draining.undo)
        if settings.static_members is None:
            coordinator = await stack.enter_async_context(Coordinator(member))
        else:
            coordinator = None
            member.adopt_fixed(settings.static_members)

        faults = Faults(settings.faults)
        admin = web.Application(middlewares=[faults.middleware], client_max_size=MAX_BODY_BYTES)
        admin.add_routes(PeerApi(member).routes())
        admin.add_routes(Hooks(draining, coordinator, durable=journal is not None).routes())
        admin.add_routes(Probes(member, draining, settings.ready_delay_seconds, settings.version).routes())
        admin.add_routes(faults.routes())
        admin.add_routes(Told().routes())
        await _listen(stack, admin, settings.host, settings.admin_port, ADMIN_STOP_SECONDS)

        if settings.tls_dir is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(settings.tls_dir / "tls.crt", settings.tls_dir / "tls.key")
            secured = web.Application(middlewares=[for_login(settings.login)])
            secured.add_subapp("/secure", Hooks(draining, coordinator, durable=journal is not None).application())
            await _listen(stack, secured, settings.host, settings.secure_port, ADMIN_STOP_SECONDS, context)

        client = web.Application(middlewares=[draining.middleware], client_max_size=MAX_BODY_BYTES)
        client.add_routes(ClientApi(Router(member, settings.patience_seconds)).routes())
        runner = await _listen(stack, client, settings.host, settings.client_port, CLIENT_STOP_SECONDS)
        if runner.server is not None:
            draining.watch(runner.server)
        yield member


def for_login(login: str) -> Middleware:
    """Answers 401 to whoever does not show these credentials."""
    wanted = f"Basic {base64.b64encode(login.encode()).decode()}"

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not hmac.compare_digest(request.headers.get("Authorization", ""), wanted):
            raise web.HTTPUnauthorized
        return await handler(request)

    return middleware


async def _listen(
    stack: AsyncExitStack,
    application: web.Application,
    host: str | None,
    port: int,
    stop_seconds: float,
    context: ssl.SSLContext | None = None,
) -> web.AppRunner:
    runner = web.AppRunner(
        application,
        access_log=None,
        shutdown_timeout=stop_seconds,
        keepalive_timeout=KEEPALIVE_SECONDS,
        # Work for somebody who has given up is only in the way of the others.
        handler_cancellation=True,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, host, port, ssl_context=context).start()
    return runner


async def serve_until(stop: asyncio.Event, settings: Settings) -> None:
    """Serve until told to stop."""
    async with serving(settings):
        await stop.wait()
