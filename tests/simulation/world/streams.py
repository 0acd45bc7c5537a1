"""A watch as the API server streams it: one JSON line for each change, bookmarks, and the ways in which it ends."""

from __future__ import annotations

import asyncio
import bisect
import json
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING

import aiohttp

from tests.simulation.world.apiserver import Change
from tests.simulation.world.objects import label_selector_of, selects
from tests.simulation.world.refusals import refused
from tests.simulation.world.rest import Request

if TYPE_CHECKING:
    from tests.simulation.world.network import Link, Network

BOOKMARK_SECONDS = 60.0


class WatchStream:
    """The response to a watch, a context manager that is its own body: `content.iter_any()` yields the lines."""

    status = 200

    def __init__(self, network: Network, link: Link, request: Request, timeout: aiohttp.ClientTimeout) -> None:
        self._network = network
        self._link = link
        self._request = request
        self._seconds = min(float(request.params.get("timeoutSeconds", "300")), timeout.total or 1e9)
        self._position = 0
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[None] | None = None
        self._is_broken = False

    @property
    def content(self) -> WatchStream:
        """The body."""
        return self

    def close(self) -> None:
        """Break the connection."""
        self._is_broken = True
        self._wake()

    async def __aenter__(self) -> WatchStream:
        await asyncio.sleep(self._network.seconds)
        await self._link.passable()
        version = int(self._request.params["resourceVersion"])
        self._position = bisect.bisect_right(self._network.server.log, version, key=lambda change: change.version)
        self._network.server.subscribers.append(self._hear)
        self._network.streams.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._network.server.subscribers.remove(self._hear)
        self._network.streams.discard(self)

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Yield lines until the time is over, or the connection breaks."""
        if int(self._request.params["resourceVersion"]) < self._network.forgotten:
            yield _line("ERROR", json.dumps(refused(410, "Expired", "too old resource version").body))
            return
        log, end = self._network.server.log, self._loop.time() + self._seconds
        while not self._is_broken and self._loop.time() < end:
            if self._position == len(log):
                await self._wait(min(BOOKMARK_SECONDS, end - self._loop.time()))
                if self._position == len(log) and not self._is_broken:
                    yield _line("BOOKMARK", json.dumps({"metadata": {"resourceVersion": self._network.server.version}}))
                continue
            change = log[self._position]
            self._position += 1
            kind = self._kind_of(change)
            if kind is not None and await self._arrives(change):
                yield _line(kind, self._network.encode(change.item)) * (2 if self._link.repeats else 1)

    def _hear(self, change: Change) -> None:
        del change
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _kind_of(self, change: Change) -> str | None:
        """The type of the event that a change is to whoever watches these objects; None where it is none."""
        namespace = self._request.namespace
        if change.plural != self._request.plural or namespace not in ("", change.item["metadata"].get("namespace")):
            return None
        selector = label_selector_of(self._request.params.get("labelSelector", ""))
        before, after = (
            item is not None and selects(selector, item["metadata"].get("labels"))
            for item in (change.before, change.after)
        )
        if not before and not after:
            return None
        return "MODIFIED" if before and after else "ADDED" if after else "DELETED"

    async def _arrives(self, change: Change) -> bool:
        """Wait as long as the event is on its way; False where the connection breaks before."""
        due = change.at + self._link.watch_seconds
        while not self._is_broken and (late := due - self._network.timeline.now) > 0:
            await self._wait(late)
        await self._link.passable()
        return not self._is_broken

    async def _wait(self, seconds: float) -> None:
        """Wait for a change or the end of the connection, so long at most."""
        self._waiting = self._loop.create_future()
        timer = self._loop.call_later(max(seconds, 0.0), self._wake)
        try:
            await self._waiting
        finally:
            timer.cancel()
            self._waiting = None
        await self._link.passable()


def _line(kind: str, item: str) -> bytes:
    return f'{{"type":"{kind}","object":{item}}}\n'.encode()
