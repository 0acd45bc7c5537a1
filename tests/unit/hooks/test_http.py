from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest

from statefulrollout.core.asks import Address, Request
from statefulrollout.hooks.credentials import NO_CREDENTIALS
from statefulrollout.hooks.http import call_http
from statefulrollout.hooks.replies import MOST_BYTES, NoReply, Reply
from tests.unit.hooks.application import Application, Say, http_of, request_to

Talk = Callable[[asyncio.StreamWriter], None]


@asynccontextmanager
async def raw_server(talk: Talk) -> AsyncIterator[Address]:
    """A server that reads the head of a request, writes whatever bytes the test wants, and closes."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        talk(writer)
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    async with server:
        yield Address("kvstore-0", "127.0.0.1", server.sockets[0].getsockname()[1])


async def ask(session: aiohttp.ClientSession, request: Request, address: Address) -> Reply | NoReply:
    return await call_http(session, http_of(request), request, address, NO_CREDENTIALS)


async def test_the_request_goes_out_as_asked(session: aiohttp.ClientSession, pod: Application) -> None:
    pod.says(Say(202, {"progress": 3}, {"Retry-After": "7"}), path="/a b/ c")
    request = request_to(pod, path="/a b/%20c?x=1&y=%2F#part", headers={"X-Token": "t"}, body='{"a": "ä"}')
    reply = await ask(session, request, pod.address)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body, reply.retry_after_header) == (202, b'{"progress": 3}', "7")
    heard = pod.heard[0]
    assert (heard.method, heard.target, heard.body) == ("POST", "/a%20b/%20c?x=1&y=/", '{"a": "ä"}')
    assert heard.headers["User-Agent"] == "statefulrollout"
    assert heard.headers["Content-Type"] == "application/json"
    assert heard.headers["X-Token"] == "t"


async def test_a_request_without_a_body_has_none(session: aiohttp.ClientSession, pod: Application) -> None:
    pod.says(Say(), method="GET")
    await ask(session, request_to(pod, method="GET"), pod.address)
    assert pod.heard[0].body == ""
    assert "Content-Length" not in pod.heard[0].headers


async def test_a_content_type_of_the_users_stays(session: aiohttp.ClientSession, pod: Application) -> None:
    pod.says(Say())
    await ask(session, request_to(pod, headers={"content-type": "text/plain"}, body="now"), pod.address)
    assert pod.heard[0].headers["Content-Type"] == "text/plain"


async def test_redirects_are_not_followed(session: aiohttp.ClientSession, pods: list[Application]) -> None:
    here, there, _ = pods
    there.says(Say())
    here.says(Say(302, headers={"Location": f"http://127.0.0.1:{there.port}/drain"}))
    reply = await ask(session, request_to(here), here.address)
    assert isinstance(reply, Reply)
    assert reply.status == 302
    assert there.heard == []


async def test_no_cookie_is_ever_sent_back(session: aiohttp.ClientSession, pod: Application) -> None:
    pod.says(Say(headers={"Set-Cookie": "a=b; Path=/"}))
    for _ in range(2):
        await ask(session, request_to(pod), pod.address)
    assert [heard.headers.get("Cookie") for heard in pod.heard] == [None, None]


async def test_proxies_of_the_environment_are_ignored(
    session: aiohttp.ClientSession, pods: list[Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    pod, proxy, _ = pods
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    pod.says(Say())
    assert isinstance(await ask(session, request_to(pod), pod.address), Reply)
    assert proxy.heard == []


@pytest.mark.parametrize("path", ["//127.0.0.2:1/x", "/@127.0.0.2:1/x", "/\\127.0.0.2/x", "/:1/x", "/../../x"])
async def test_no_path_changes_the_address(session: aiohttp.ClientSession, pod: Application, path: str) -> None:
    reply = await ask(session, request_to(pod, path=path), pod.address)
    assert isinstance(reply, Reply)
    assert reply.status == 404
    assert len(pod.heard) == 1


async def test_a_hang_is_cut_off(session: aiohttp.ClientSession, pod: Application) -> None:
    pod.says(Say(hangs=True))
    assert await ask(session, request_to(pod, timeout_seconds=1), pod.address) == NoReply("timed out after 1 s")
    await pod.until(lambda pod: pod.hanging == 0)


async def test_a_body_up_to_the_limit_is_read_and_a_longer_one_is_an_error(
    session: aiohttp.ClientSession, pod: Application
) -> None:
    pod.says(Say(200, "x" * MOST_BYTES), Say(200, "x" * (MOST_BYTES + 1)))
    reply = await ask(session, request_to(pod), pod.address)
    assert isinstance(reply, Reply)
    assert len(reply.body) == MOST_BYTES
    reply = await ask(session, request_to(pod), pod.address)
    assert reply == NoReply("its answer (200) is longer than 64 KiB")


async def test_a_refused_connection(session: aiohttp.ClientSession, pod: Application) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = replace(pod.address, port=unused.getsockname()[1])
        assert await ask(session, request_to(pod), address) == NoReply("connection refused")


async def test_a_name_that_does_not_resolve(session: aiohttp.ClientSession, pod: Application) -> None:
    address = replace(pod.address, host="kvstore.invalid")
    assert await ask(session, request_to(pod), address) == NoReply("the name does not resolve")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "the connection was closed without an answer"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the answer is not valid HTTP, or its headers are too long"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "the answer broke off in the middle"),
        (
            b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n",
            "the answer is not valid HTTP, or its headers are too long",
        ),
    ],
)
async def test_answers_that_are_none(session: aiohttp.ClientSession, pod: Application, said: bytes, words: str) -> None:
    async with raw_server(lambda writer: writer.write(said)) as address:
        assert await ask(session, request_to(pod), address) == NoReply(words)


@pytest.mark.parametrize(
    "headers", [{"X-A": "b\r\nX-C: d"}, {"X A": "b"}, {"": "b"}, {"X-A\r\nX-C": "d"}, {"Content-Length": "1"}]
)
async def test_a_header_that_cannot_be_sent_is_misconfigured(
    session: aiohttp.ClientSession, pod: Application, headers: dict[str, str]
) -> None:
    reply = await ask(session, request_to(pod, headers=headers), pod.address)
    assert isinstance(reply, NoReply)
    assert reply.misconfigured
    assert pod.heard == []
