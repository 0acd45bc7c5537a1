"""A websocket gateway: clients send each other messages, and what one has not seen yet waits in the memory of one pod.

    python -m e2e.recipes.systems.gateway   # POD_IP, PEERS (a headless Service); SPREAD_SECONDS, PATIENCE_SECONDS

A client says first who it is: `{"type": "hello"}`, or `{"type": "resume", "session": …}` to go on with a session, on
whichever gateway it finds itself. Then it may say `send` (with `id`, `to` and `body`), which is answered by `accepted`
or `refused`, and `seen` for every `message` that it got. Told to `reconnect`, it resumes on another connection first,
and closes this one then.

On port 8081: `POST /drain` sends all clients elsewhere, `DELETE /drain` keeps them again, `POST /migrate` hands the
sessions that are still here to the gateways that stay. The rest is spoken among gateways.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Coroutine
from typing import Any

from aiohttp import web
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from e2e.recipes.systems.peers import ADMIN_PORT, Json, Peers
from e2e.recipes.systems.sessions import Session, Sessions, Show

CLIENT_PORT = 8080
GREET_SECONDS = 5.0
SERVICE_RESTART, TRY_AGAIN_LATER, UNKNOWN_SESSION = 1012, 1013, 4404


class Gateway:
    """One pod and its connections."""

    def __init__(self, peers: Peers, spread_seconds: float, patience_seconds: float) -> None:
        self.peers = peers
        self.sessions = Sessions(peers)
        self.connections: dict[ServerConnection, tuple[Session, Show] | None] = {}
        self.ready = False
        self._spread_seconds, self._patience_seconds = spread_seconds, patience_seconds
        self._draining: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def keep_up(self) -> None:
        """For ever: stay acquainted with the peers, and forget who never came back."""
        while True:
            self.ready = await self.peers.greet() or self.ready
            self.sessions.forget_old()
            await asyncio.sleep(GREET_SECONDS if self.ready else 0.5)

    async def admit(self, connection: ServerConnection, _: Request) -> Response | None:
        """Take a new client, unless all are being sent away."""
        return connection.respond(503, "this gateway is about to restart\n") if self._draining else None

    async def talk(self, connection: ServerConnection) -> None:
        """The life of one connection."""
        self.connections[connection] = None
        try:
            async for text in connection:
                await self._hear(connection, json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            attached = self.connections.pop(connection)
            if attached is not None and attached[0].show is attached[1]:
                attached[0].show, attached[0].left_at = None, time.monotonic()

    async def _hear(self, connection: ServerConnection, said: Json) -> None:
        attached = self.connections[connection]
        if said["type"] in ("hello", "resume"):
            await self._attach(connection, said.get("session"))
        elif said["type"] == "send":
            there = await self.sessions.deliver(said["to"], said["body"])
            await connection.send(json.dumps({"type": "accepted" if there else "refused", "id": said["id"]}))
        elif said["type"] == "seen" and attached is not None:
            attached[0].box.pop(said["number"], None)

    async def _attach(self, connection: ServerConnection, wanted: str | None) -> None:
        """Begin a session, or go on with one wherever it was."""
        if wanted is not None and not (found := await self.sessions.fetch(wanted)):
            code = UNKNOWN_SESSION if found is False else TRY_AGAIN_LATER
            await connection.close(code, "nobody has this session" if found is False else "it cannot be had just now")
            return
        session = self.sessions.begin() if wanted is None else self.sessions.here[wanted]

        def show(number: int, body: Any) -> None:
            self._begin(_send(connection, {"type": "message", "number": number, "body": body}))

        self.connections[connection] = session, show
        session.show, unseen = show, list(session.box.items())
        await connection.send(json.dumps({"type": "session", "session": session.id}))
        for number, body in unseen:
            show(number, body)

    def drain(self) -> int:
        """Send clients elsewhere, if that has not begun; returns how many are still connected."""
        if self._draining is None:
            self.sessions.closed = True
            self._draining = asyncio.create_task(self._send_away())
        return len(self.connections)

    def undo(self) -> None:
        """Keep clients again."""
        if self._draining is not None:
            self._draining.cancel()
        self._draining, self.sessions.closed = None, False

    async def _send_away(self) -> None:
        """Ask one client after the other to reconnect; close on those that do not."""
        told: dict[ServerConnection, float] = {}
        interval = self._spread_seconds / max(1, len(self.connections))
        while True:
            for connection in [each for each in self.connections if each not in told]:
                told[connection] = time.monotonic()
                self._begin(_send(connection, {"type": "reconnect"}))
                await asyncio.sleep(interval)
            late = time.monotonic() - self._patience_seconds
            for connection in [each for each in self.connections if told.get(each, late) < late]:
                self._begin(connection.close(SERVICE_RESTART, "service restart"))
            await asyncio.sleep(0.2)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _send(connection: ServerConnection, message: Json) -> None:
    with contextlib.suppress(ConnectionClosed):
        await connection.send(json.dumps(message))


def build_admin(gateway: Gateway) -> web.Application:
    """What the operator, the kubelet and the other gateways ask."""
    sessions, peers = gateway.sessions, gateway.peers

    async def status(request: web.Request) -> web.Response:
        known = {"connections": len(gateway.connections), "sessions": len(sessions.here)}
        return web.json_response(known, status=200 if gateway.ready or request.path == "/status" else 503)

    async def drain(_: web.Request) -> web.Response:
        return _progress(gateway.drain())

    async def undo(_: web.Request) -> web.Response:
        gateway.undo()
        return web.Response(status=204)

    async def migrate(request: web.Request) -> web.Response:
        serving = (await request.json())["members"]["serving"]
        return _progress(await sessions.migrate([each["ip"] for each in serving]))

    async def greeted(request: web.Request) -> web.Response:
        return web.json_response(peers.meet(str(request.remote)))

    async def left(request: web.Request) -> web.Response:
        peers.part(str(request.remote))
        return web.json_response({})

    async def message(request: web.Request) -> web.Response:
        done = sessions.put(request.match_info["id"], (await request.json())["body"])
        return web.json_response({}, status=done)

    async def move(request: web.Request) -> web.Response:
        done = await sessions.hand_over(request.match_info["id"], (await request.json())["to"])
        return web.json_response({}, status=done)

    async def take(request: web.Request) -> web.Response:
        done = sessions.take(request.match_info["id"], await request.json())
        return web.json_response({}, status=done)

    app = web.Application()
    app.router.add_get("/readyz", status)
    app.router.add_get("/status", status)
    app.router.add_post("/drain", drain)
    app.router.add_delete("/drain", undo)
    app.router.add_post("/migrate", migrate)
    app.router.add_post("/peers", greeted)
    app.router.add_delete("/peers", left)
    app.router.add_put("/sessions/{id}", take)
    app.router.add_post("/sessions/{id}/messages", message)
    app.router.add_post("/sessions/{id}/move", move)
    return app


def _progress(left: int) -> web.Response:
    return web.json_response({"progress": left}, status=202 if left else 200)


async def main() -> None:
    """Serve until SIGTERM; then every connection is closed with 1001, and what is in memory is gone."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    env = os.environ
    spread, patience = float(env.get("SPREAD_SECONDS", "60")), float(env.get("PATIENCE_SECONDS", "30"))
    gateway = Gateway(Peers(env["POD_IP"], env["PEERS"]), spread, patience)
    runner = web.AppRunner(build_admin(gateway), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=ADMIN_PORT).start()
    greeting = asyncio.create_task(gateway.keep_up())
    async with serve(gateway.talk, None, CLIENT_PORT, process_request=gateway.admit, compression=None, close_timeout=2):
        await stop.wait()
    greeting.cancel()
    await gateway.peers.take_leave()


if __name__ == "__main__":
    asyncio.run(main())
