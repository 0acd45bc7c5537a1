"""HTTP/1.1 over keep-alive connections, as a well-made client does it, and nothing done twice.

A request goes out once: whatever happens to it is its outcome. A connection that the server has closed, or said it
will close, is not used again. Connections are used in turn, so that none is idle for long, and a lost one is
replaced through the Service's name. Knows nothing of keys.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

KEPT_IDLE = 16


class RequestError(Exception):
    """A request without an answer; `kind` is its class for the statistics."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True)
class Answer:
    """A response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class _Head:
    status: int
    headers: dict[str, str]
    length: int


class Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._spent = False

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent on it, as far as this side has heard."""
        return not self._spent and self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Answer:
        """Send a request and wait for its answer. Raises RequestError."""
        if self._transport is None or not self.is_usable:
            raise RequestError("closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Do not use it any more."""
        self._spent = True
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self._spent = True
        self._fail("closed")

    def eof_received(self) -> None:
        """Part of asyncio.Protocol: the server closes; nothing more can be asked."""
        self._spent = True

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        self._buffer += data
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            try:
                self._head = _head_of(self._buffer[:end].decode("latin-1"))
            except ValueError:
                self._fail("protocol")
                self.close()
                return
            del self._buffer[: end + 4]
        if len(self._buffer) < self._head.length:
            return
        head, self._head = self._head, None
        body = bytes(self._buffer[: head.length])
        del self._buffer[: head.length]
        if head.headers.get("connection", "").lower() == "close" or self._buffer:
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(head.status, head.headers, body))

    def _fail(self, kind: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(RequestError(kind))


def _head_of(text: str) -> _Head:
    first, *lines = text.split("\r\n")
    status = int(first.partition(" ")[2][:3])
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return _Head(status, headers, int(headers.get("content-length", "")))


class Pool:
    """Connections to one host. The first `spread` requests open one each, the others use them in turn.

    More are opened while all are busy, up to `limit`; then requests wait for one, within their time.
    """

    def __init__(
        self, host: str, port: int, *, spread: int = 16, limit: int = 4096, timeout_seconds: float = 5.0
    ) -> None:
        self._host = host
        self._port = port
        self._spread = spread
        self._timeout_seconds = timeout_seconds
        self._idle: deque[Connection] = deque()
        self._open = 0
        self._free = asyncio.Semaphore(limit)

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_seconds: float | None = None,
    ) -> Answer:
        """Send one request. Raises RequestError: connect, closed, timeout or protocol."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        try:
            async with asyncio.timeout(timeout_seconds or self._timeout_seconds), self._free:
                connection = await self._take()
                try:
                    return await connection.ask(request)
                except BaseException:
                    connection.close()
                    raise
                finally:
                    self._put_back(connection)
        except TimeoutError:
            raise RequestError("timeout") from None

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.popleft().close()

    async def _take(self) -> Connection:
        if self._open >= self._spread:
            while self._idle:
                connection = self._idle.popleft()
                if connection.is_usable:
                    return connection
                self._open -= 1
        self._open += 1
        try:
            _, connection = await asyncio.get_running_loop().create_connection(Connection, self._host, self._port)
        except OSError as error:
            self._open -= 1
            raise RequestError("connect") from error
        except BaseException:
            self._open -= 1
            raise
        return connection

    def _put_back(self, connection: Connection) -> None:
        if connection.is_usable and len(self._idle) < max(self._spread, KEPT_IDLE):
            self._idle.append(connection)
        else:
            connection.close()
            self._open -= 1
