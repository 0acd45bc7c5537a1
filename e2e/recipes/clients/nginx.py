"""A client of nginx: long downloads, and small requests over connections that are kept, by HTTP/1.1 and by HTTP/2.

    python -m e2e.recipes.clients.nginx --host nginx

The small requests are POSTs, which no client may send twice: one that was sent and not answered has failed. What was
closed while it was idle is opened anew. By HTTP/2, requests that a GOAWAY says were never looked at go to another
connection, as the protocol has it; they are `asked_again`. A download that broke off, or brought other bytes than it
should, has failed and is lost as well.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import aiohttp

from e2e.recipes.clients.control import Figures, live
from e2e.recipes.clients.http2 import Http2, NotProcessedError

PLAIN_PORT = 8080
HTTP2_PORT = 8081
HTTP2_CLIENTS = 3
SMALL_SECONDS = 5.0
LARGE_SECONDS = 60.0
START_SECONDS = 120.0
LOOK_SECONDS = 0.5
KEPT_SECONDS = 3.0
"""Shorter than the server's keepalive_timeout, so that it is the client who closes what it does not use."""

ERRORS = (aiohttp.ClientError, OSError, TimeoutError)

NOTES = ("downloads", "http2_requests", "told_to_close", "went_away", "asked_again", "longest_wait_ms")

LARGE = "".join(f"{number:05d}\n" for number in range(1, 50_001)).encode()
"""What /large.txt is."""


class NginxClient:
    """So many downloads and callers at once, of each kind.

    `told_to_close` counts answers with `Connection: close`, `went_away` connections that said GOAWAY;
    `longest_wait_ms` is of the small requests.
    """

    def __init__(self, host: str, downloads: int, callers: int, period: float) -> None:
        self.figures = Figures(notes=dict.fromkeys(NOTES, 0))
        self._host, self._downloads, self._callers, self._period = host, downloads, callers, period

    async def prepare(self) -> None:
        """Wait until nginx answers by HTTP/1.1 and by HTTP/2."""
        give_up_at = time.monotonic() + START_SECONDS
        while not await self._answers():
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"nginx does not answer within {START_SECONDS:g} s")
            await asyncio.sleep(LOOK_SECONDS)

    async def use(self, stop: asyncio.Event) -> None:
        """Download and call until told to stop; what has begun by then is finished."""
        many = [Http2(self._host, HTTP2_PORT) for _ in range(HTTP2_CLIENTS)]
        async with AsyncExitStack() as opened:
            loads = await opened.enter_async_context(_session(force_close=True))
            calls = [await opened.enter_async_context(_session()) for _ in range(self._callers)]
            for http2 in many:
                opened.push_async_callback(http2.close)
            tasks = await opened.enter_async_context(asyncio.TaskGroup())
            for number, kept in enumerate(calls):
                delay, http2 = number * self._period / self._callers, many[number % HTTP2_CLIENTS]
                tasks.create_task(_again_and_again(partial(self._call, kept), stop, delay, self._period))
                tasks.create_task(_again_and_again(partial(self._call_by_http2, http2), stop, delay, self._period))
            for number in range(self._downloads):
                http2 = many[number % HTTP2_CLIENTS]
                tasks.create_task(_again_and_again(partial(self._download, loads), stop, number))
                tasks.create_task(_again_and_again(partial(self._download_by_http2, http2), stop, number))
        self.figures.notes["went_away"] = sum(http2.went_away for http2 in many)

    async def look_again(self) -> None:
        """Nothing is kept: each answer was compared when it came."""

    async def _answers(self) -> bool:
        http2 = Http2(self._host, HTTP2_PORT)
        try:
            async with aiohttp.ClientSession() as session:
                await self._post(session, "/api/begin")
            await http2.ask("POST", "/api/begin", b"{}", SMALL_SECONDS)
        except (*ERRORS, NotProcessedError):
            return False
        else:
            return True
        finally:
            await http2.close()

    async def _call(self, session: aiohttp.ClientSession) -> None:
        await self._small(partial(self._post, session))

    async def _call_by_http2(self, http2: Http2) -> None:
        self.figures.notes["http2_requests"] += 1
        await self._small(lambda path: self._ask(http2, "POST", path, b"{}", SMALL_SECONDS))

    async def _download(self, session: aiohttp.ClientSession) -> None:
        await self._large(partial(self._get, session))

    async def _download_by_http2(self, http2: Http2) -> None:
        self.figures.notes["http2_requests"] += 1
        await self._large(lambda path: self._ask(http2, "GET", path, None, LARGE_SECONDS))

    async def _small(self, send: Callable[[str], Awaitable[tuple[int, bytes]]]) -> None:
        self.figures.requests += 1
        path, began = f"/api/{self.figures.requests}", time.monotonic()
        try:
            status, body = await send(path)
            if (status, body) != (200, f"{path}\n".encode()):
                self.figures.failure(f"a small request was answered {status}, {len(body)} bytes")
        except ERRORS as error:
            self.figures.failure(error)
        waited = round(1000 * (time.monotonic() - began))
        self.figures.notes["longest_wait_ms"] = max(self.figures.notes["longest_wait_ms"], waited)

    async def _large(self, send: Callable[[str], Awaitable[tuple[int, bytes]]]) -> None:
        self.figures.requests += 1
        self.figures.notes["downloads"] += 1
        try:
            status, body = await send("/large.txt")
            if status != 200:
                self.figures.failure(f"a download was answered {status}")
            elif body != LARGE:
                self.figures.lost += 1
                self.figures.failure(f"a download brought {len(body)} bytes of {len(LARGE)}")
        except ERRORS as error:
            self.figures.failure(error)
            await asyncio.sleep(LOOK_SECONDS)

    async def _post(self, session: aiohttp.ClientSession, path: str) -> tuple[int, bytes]:
        seconds = aiohttp.ClientTimeout(total=SMALL_SECONDS)
        async with session.post(f"http://{self._host}:{PLAIN_PORT}{path}", data=b"{}", timeout=seconds) as response:
            self.figures.notes["told_to_close"] += response.headers.get("Connection") == "close"
            return response.status, await response.read()

    async def _get(self, session: aiohttp.ClientSession, path: str) -> tuple[int, bytes]:
        """The status, and as much as came of a body that broke off."""
        seconds, body = aiohttp.ClientTimeout(total=LARGE_SECONDS), bytearray()
        async with session.get(f"http://{self._host}:{PLAIN_PORT}{path}", timeout=seconds) as response:
            try:
                async for chunk in response.content.iter_any():
                    body += chunk
            except ERRORS:
                pass
            return response.status, bytes(body)

    async def _ask(self, http2: Http2, method: str, path: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
        while True:
            try:
                return await http2.ask(method, path, body, seconds)
            except NotProcessedError:
                self.figures.notes["asked_again"] += 1


def _session(*, force_close: bool = False) -> aiohttp.ClientSession:
    """The connections of one client, kept or for one request each."""
    kept = None if force_close else KEPT_SECONDS
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=force_close, keepalive_timeout=kept))


async def _again_and_again(
    do: Callable[[], Awaitable[None]], stop: asyncio.Event, delay: float, period: float = 0.0
) -> None:
    """Do it until told to stop: first after `delay` seconds, then every `period` seconds or as soon as it is done."""
    due = time.monotonic() + delay
    while not stop.is_set():
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await do()
        due = max(due + period, time.monotonic() - period)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="nginx")
    parser.add_argument("--downloads", type=int, default=6, help="downloads at once, of each kind")
    parser.add_argument("--callers", type=int, default=6, help="who send small requests, of each kind")
    parser.add_argument("--period", type=float, default=0.2, help="seconds between the requests of one caller")
    chosen = parser.parse_args()
    asyncio.run(live(NginxClient(chosen.host, chosen.downloads, chosen.callers, chosen.period)))
