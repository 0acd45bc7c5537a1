"""Requests with TLS and credentials: real handshakes on loopback, with Secrets from a dictionary."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from statefulrollout.api.v1alpha1 import Http, Json
from statefulrollout.core.asks import Address, Request
from statefulrollout.errors import NotFound, Unavailable, api_error_of
from statefulrollout.hooks.reach import Reach
from statefulrollout.hooks.replies import NoReply, Outcome, Reply

AUTHORITY = trustme.CA()
OTHERS = trustme.CA()
NAME = "kvstore-3.kvstore.shop.svc"
TLS: Json = {"caFrom": {"name": "certificates"}, "serverName": "${pod.name}.kvstore.shop.svc"}
SECRETS: dict[str, dict[str, bytes]] = {
    "certificates": {"ca.crt": AUTHORITY.cert_pem.bytes(), "others": OTHERS.cert_pem.bytes(), "junk": b"junk"},
    "login": {"username": b"ada", "password": b"pa:ss", "token": b"abc\n", "elastic": b"secret"},
}


def basic(words: bytes) -> str:
    return f"Basic {base64.b64encode(words).decode()}"


class Secrets:
    """The Secrets of one namespace; `error` is what the API server answers instead."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.forgotten: list[str] = []

    async def read(self, namespace: str, name: str) -> Mapping[str, bytes]:
        assert namespace == "shop"
        if self.error:
            raise self.error
        if name not in SECRETS:
            raise NotFound(404, {})
        return SECRETS[name]

    def forget(self, namespace: str, name: str) -> None:
        assert namespace == "shop"
        self.forgotten.append(name)


@asynccontextmanager
async def application(*, tls: bool, status: int = 200) -> AsyncIterator[tuple[Address, list[str]]]:
    """A pod that remembers the Authorization of each request, and shows a certificate where it has TLS."""
    heard: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        heard.append(request.headers.get("Authorization", ""))
        return web.Response(status=status)

    application = web.Application()
    application.router.add_route("*", "/drain", answer)
    server = TestServer(application, scheme="https" if tls else "http")
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        AUTHORITY.issue_cert(NAME, "127.0.0.1").configure_cert(context)
    await server.start_server(ssl=context)
    try:
        yield Address("kvstore-3", "127.0.0.1", server.port or 0, "uid-3"), heard
    finally:
        await server.close()


async def ask(
    session: aiohttp.ClientSession, address: Address, secrets: Secrets | None = None, **http: object
) -> Outcome:
    request = Request(Http.model_validate({"port": "admin", "path": "/drain", **http}), (address,), 5)
    return await Reach(session, secrets or Secrets()).call("shop", request, address)


@pytest.mark.parametrize("tls", [TLS, {"caFrom": {"name": "certificates"}}])
async def test_a_pod_that_is_trusted_is_asked(session: aiohttp.ClientSession, tls: Json) -> None:
    async with application(tls=True) as (address, heard):
        assert await ask(session, address, scheme="HTTPS", tls=tls) == Reply(200)
        assert heard == [""]


@pytest.mark.parametrize(
    ("tls", "why"),
    [
        ({**TLS, "serverName": "kvstore-3.another.shop.svc"}, "not for that name or of that authority"),
        ({**TLS, "caFrom": {"name": "certificates", "key": "others"}}, "not for that name or of that authority"),
        ({**TLS, "caFrom": {"name": "certificates", "key": "junk"}}, "key junk of Secret certificates holds no cert"),
        ({**TLS, "caFrom": {"name": "certificates", "key": "tls.crt"}}, "Secret certificates has no key tls.crt"),
        ({**TLS, "caFrom": {"name": "nowhere"}}, "there is no Secret nowhere in the namespace"),
    ],
)
async def test_a_pod_that_is_not_trusted_is_not_asked(session: aiohttp.ClientSession, tls: Json, why: str) -> None:
    secrets = Secrets()
    async with application(tls=True) as (address, heard):
        reply = await ask(session, address, secrets, scheme="HTTPS", tls=tls)
        assert isinstance(reply, NoReply)
        assert reply.misconfigured
        assert why in reply.why
        assert heard == []
        assert secrets.forgotten == ["certificates"] or "Secret" in reply.why


async def test_a_pod_without_tls_does_not_hear_the_credentials(session: aiohttp.ClientSession) -> None:
    async with application(tls=False) as (address, heard):
        reply = await ask(session, address, scheme="HTTPS", tls=TLS, authFrom={"type": "Bearer", "name": "login"})
        assert reply == NoReply("the TLS handshake failed; is scheme right?")
        assert heard == []


@pytest.mark.parametrize(
    ("auth", "authorization"),
    [
        ({"type": "Bearer"}, "Bearer abc"),
        ({"type": "Basic"}, f"Basic {base64.b64encode(b'ada:pa:ss').decode()}"),
        (
            {"type": "Basic", "username": "elastic", "key": "elastic"},
            f"Basic {base64.b64encode(b'elastic:secret').decode()}",
        ),
    ],
)
async def test_credentials_go_into_the_header(session: aiohttp.ClientSession, auth: Json, authorization: str) -> None:
    async with application(tls=False) as (address, heard):
        assert await ask(session, address, authFrom={"name": "login", **auth}) == Reply(200)
        assert heard == [authorization]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (api_error_of(403, {}), "the operator may not read Secret login: grant get on it"),
        (api_error_of(500, {}), "Secret login cannot be read: the API server answered 500"),
        (Unavailable("gone"), "Secret login cannot be read: the API server did not answer"),
    ],
)
async def test_what_cannot_be_read_is_said(session: aiohttp.ClientSession, error: Exception, why: str) -> None:
    async with application(tls=False) as (address, heard):
        reply = await ask(session, address, Secrets(error), authFrom={"type": "Bearer", "name": "login"})
        assert isinstance(reply, NoReply)
        assert reply.why.startswith(why)
        assert heard == []


@pytest.mark.parametrize(("status", "forgotten"), [(401, ["login"]), (403, []), (200, [])])
async def test_credentials_that_are_refused_are_read_anew(
    session: aiohttp.ClientSession, status: int, forgotten: list[str]
) -> None:
    secrets = Secrets()
    async with application(tls=False, status=status) as (address, _):
        await ask(session, address, secrets, authFrom={"type": "Bearer", "name": "login"})
    assert secrets.forgotten == forgotten
