"""Letting clients go without one of them noticing: counts what is in flight, and closes connections gently.

While draining, every request is still answered, but its connection is closed with the answer (`Connection: close`),
so that the client's next one goes where the Service now sends it. A connection that stays idle is closed by us,
once it has been idle for so long that its client is hardly about to use it: a request that crosses the closing is
lost, and no server can prevent that. Knows nothing of keys.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

LOOK_SECONDS = 0.1
IDLE_LOOKS = 30
"""Looks in a row that find a connection idle. Not seconds: a process that was starved of processor time has been
asked meanwhile, and must hear that before it judges."""


class Draining:
    """The clients of one server, once `watch` has been told which."""

    def __init__(self) -> None:
        self.active = False
        self.in_flight = 0
        self._server: web.Server | None = None
        self._busy: set[RequestHandler] = set()
        self._idle_looks: Counter[RequestHandler] = Counter()
        self._closing: asyncio.Task[None] | None = None

    def watch(self, server: web.Server) -> None:
        """Look after this server's connections."""
        self._server = server

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._server.connections) if self._server else 0

    def begin(self) -> None:
        """Start to let clients go; go on where more have come since."""
        self.active = True
        if self._closing is None or self._closing.done():
            self._idle_looks.clear()
            self._closing = asyncio.create_task(self._close_idle())

    def undo(self) -> None:
        """Keep clients again."""
        self.active = False
        if self._closing is not None:
            self._closing.cancel()

    async def wait(self, seconds: float) -> bool:
        """Whether every client has gone, after waiting for it at most this long."""
        if self._closing is not None:
            await asyncio.wait([self._closing], timeout=seconds)
        return self.active and self._is_empty()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count the request, and part with its client where we are draining."""
        connection = request.protocol
        self.in_flight += 1
        self._busy.add(connection)
        try:
            response = await handler(request)
        finally:
            self.in_flight -= 1
            self._busy.discard(connection)
        if self.active:
            response.force_close()
        return response

    def _is_empty(self) -> bool:
        return self.in_flight == 0 and self.connections == 0

    async def _close_idle(self) -> None:
        while not self._is_empty():
            for connection in self._server.connections if self._server else ():
                if connection in self._busy:
                    del self._idle_looks[connection]
                    continue
                self._idle_looks[connection] += 1
                if self._idle_looks[connection] >= IDLE_LOOKS:
                    # Not close(): on an idle connection that ends aiohttp's task and leaves the socket open.
                    connection.force_close()
            await asyncio.sleep(LOOK_SECONDS)
