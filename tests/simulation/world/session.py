"""The HTTP session through which the operator's hook client reaches the simulated application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from tests.simulation.world.application import Application, Silence
from tests.simulation.world.network import Link


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        yield self._content


class _Response:
    def __init__(self, status: int, content: bytes) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self.content = _Body(content)


class _Exchange:
    """One request on its way; the answer takes `seconds`."""

    def __init__(self, session: ApplicationSession, method: str, url: URL, body: str, timeout: float) -> None:
        self._session = session
        self._request = (url.host or "", method, url.path, body)
        self._timeout = timeout

    async def __aenter__(self) -> _Response:
        await asyncio.sleep(self._session.seconds)
        await self._session.link.passable()
        reply = self._session.application.answer(*self._request)
        if reply is Silence.HANG:
            await asyncio.sleep(self._timeout)
            raise TimeoutError
        if reply is Silence.REFUSE:
            raise aiohttp.ServerDisconnectedError
        status, document = reply
        return _Response(status, json.dumps(document).encode())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class ApplicationSession:
    """What the hook client needs of an `aiohttp.ClientSession`, in the process at the end of `link`."""

    def __init__(self, application: Application, link: Link, seconds: float = 0.002) -> None:
        self.application = application
        self.link = link
        self.seconds = seconds

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def request(
        self, method: str, url: URL, *, data: bytes | None, timeout: aiohttp.ClientTimeout, **_: Any
    ) -> _Exchange:
        """Send a request to the process at the URL's address."""
        if self.link.dead:
            raise asyncio.CancelledError
        return _Exchange(self, method, URL(url), (data or b"").decode(), timeout.total or 0.0)
