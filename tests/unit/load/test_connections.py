"""The client's connections against a server that misbehaves as told, on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from e2e.load.connections import Pool, RequestError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Answering = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


class Server:
    """Answers each request as told, and counts connections and requests."""

    def __init__(self, answering: Answering) -> None:
        self.connections = 0
        self.requests = 0
        self.port = 0
        self._answering = answering

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                await self._answering(writer, self.requests)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def served(answering: Answering) -> AsyncIterator[tuple[Server, Pool]]:
    server = Server(answering)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    pool = Pool("127.0.0.1", server.port, spread=1, timeout_seconds=0.3)
    async with listening:
        yield server, pool
        pool.close()


async def test_a_connection_is_kept() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(OK)

    async with served(answer) as (server, pool):
        assert [(await pool.ask("GET", "/")).body for _ in range(3)] == [b"ok"] * 3
        assert (server.connections, server.requests) == (1, 3)


async def test_an_answer_in_pieces_is_put_together() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        for piece in (OK[:5], OK[5:30], OK[30:-1], OK[-1:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    async with served(answer) as (_, pool):
        assert (await pool.ask("GET", "/")).body == b"ok"


async def test_a_server_that_says_close_is_not_asked_on_that_connection_again() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))

    async with served(answer) as (server, pool):
        await pool.ask("GET", "/")
        await pool.ask("GET", "/")
        assert server.connections == 2


async def test_an_idle_connection_that_the_server_closed_is_not_used() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(OK)
        await writer.drain()
        writer.close()

    async with served(answer) as (server, pool):
        await pool.ask("GET", "/")
        await asyncio.sleep(0.05)
        assert (await pool.ask("GET", "/")).status == 200
        assert server.connections == 2


async def test_a_request_that_failed_is_not_sent_twice() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        writer.close()

    async with served(answer) as (server, pool):
        with pytest.raises(RequestError, match="closed"):
            await pool.ask("GET", "/")
        assert server.requests == 1


async def test_a_server_that_does_not_answer_is_a_timeout_and_its_connection_is_dropped() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        if number > 1:
            writer.write(OK)

    async with served(answer) as (server, pool):
        with pytest.raises(RequestError, match="timeout"):
            await pool.ask("GET", "/")
        assert (await pool.ask("GET", "/")).status == 200
        assert server.connections == 2


async def test_nonsense_is_a_protocol_error() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(b"hello\r\n\r\n")

    async with served(answer) as (_, pool):
        with pytest.raises(RequestError, match="protocol"):
            await pool.ask("GET", "/")


async def test_nobody_listening_is_a_connect_error() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(OK)

    async with served(answer) as (server, _):
        port = server.port
    with pytest.raises(RequestError, match="connect"):
        await Pool("127.0.0.1", port).ask("GET", "/")


async def test_more_requests_at_a_time_than_connections_open_more_and_keep_fewer() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        await asyncio.sleep(0.02)
        writer.write(OK)

    async with served(answer) as (server, pool):
        await asyncio.gather(*(pool.ask("GET", "/") for _ in range(4)))
        assert server.connections == 4
        await pool.ask("GET", "/")
        assert server.connections == 4
