"""Sends one HTTP request of a hook to one address and brings back what the protocol needs of the response.

The address is one the operator selected. No redirects, proxies, cookies, compressed bodies, or credentials but those
of the spec; time, headers and body are bounded. What the application sent is neither logged nor quoted. What an answer
means is not decided here: see `protocol.py`.
"""

from __future__ import annotations

import errno
import re
import socket

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from statefulrollout.api.v1alpha1 import Http
from statefulrollout.core.asks import Address, Request
from statefulrollout.core.templates import filled_in
from statefulrollout.hooks.credentials import Credentials
from statefulrollout.hooks.replies import MOST_BYTES, NoReply, Reply

MOST_HEADER_BYTES = 8 * 1024
CONNECT_SECONDS = 3.0
USER_AGENT = "statefulrollout"

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = frozenset({"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"})
"""What frames the message itself is not for a spec to say."""

_OS_ERRORS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "the connection was reset",
    errno.EPIPE: "the connection was reset",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "no route to the network",
    errno.ETIMEDOUT: "the connection timed out",
    errno.EMFILE: "the operator has too many open connections",
}


def open_session() -> aiohttp.ClientSession:
    """A session for hooks alone, to be closed by the caller.

    Connections are not kept: a pod that drains closes them, and its address may belong to another pod soon.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True, use_dns_cache=False),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        max_line_size=MOST_HEADER_BYTES,
        max_field_size=MOST_HEADER_BYTES,
        headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
    )


async def call_http(
    session: aiohttp.ClientSession, http: Http, request: Request, address: Address, credentials: Credentials
) -> Reply | NoReply:
    """Send the request, which is `http`, to one address. Never raises for what the network or the application does."""
    seconds = request.timeout_seconds
    timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=min(CONNECT_SECONDS, seconds))
    try:
        async with session.request(
            http.method,
            _url_of(http, address),
            data=None if request.body is None else request.body.encode(),
            headers=_headers_of(http, request.body, credentials),
            ssl=credentials.context or True,
            server_hostname=_server_name_of(http, address),
            allow_redirects=False,
            timeout=timeout,
        ) as response:
            body = await _bounded_body(response)
            if body is None:
                return NoReply(f"its answer ({response.status}) is longer than {MOST_BYTES // 1024} KiB")
            return Reply(response.status, body, response.headers.get("Retry-After"))
    except aiohttp.ConnectionTimeoutError:
        return NoReply(f"no connection within {timeout.sock_connect:g} s")
    except TimeoutError:
        return NoReply(f"timed out after {seconds} s")
    except aiohttp.ClientError as error:
        return _no_reply_of(error)
    except ValueError:
        return NoReply("it cannot be sent as written; correct its path or headers", misconfigured=True)
    except OSError as error:
        return NoReply(_words_of(error))


def _url_of(http: Http, address: Address) -> URL:
    """The URL, where host and port are the address's own whatever the path says."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    path, _, _ = http.path.partition("#")
    url = URL(f"{http.scheme.value.lower()}://{host}:{address.port}{path}")
    if url.host != address.host or url.port != address.port or url.user is not None:
        raise ValueError("the path changes the host")
    return url


def _server_name_of(http: Http, address: Address) -> str | None:
    """Whom the certificate must be for; None means the host that is called."""
    if http.tls is None or http.tls.server_name is None:
        return None
    ordinal = address.name.rpartition("-")[2]
    return filled_in(http.tls.server_name, name=address.name, ip=address.host, ordinal=ordinal)


def _headers_of(http: Http, body: str | None, credentials: Credentials) -> CIMultiDict[str]:
    headers = CIMultiDict(http.headers)
    for name in headers:
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise ValueError("a header cannot be sent")
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
    if credentials.authorization is not None:
        headers["Authorization"] = credentials.authorization
    return headers


async def _bounded_body(response: aiohttp.ClientResponse) -> bytes | None:
    """The whole body, or None where it is longer than the limit."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(16 * 1024):
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)


def _no_reply_of(error: aiohttp.ClientError) -> NoReply:
    if isinstance(error, aiohttp.InvalidURL):
        return NoReply("its path is not a valid URL path; correct it", misconfigured=True)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return NoReply("its certificate is not for that name or of that authority; correct tls", misconfigured=True)
    if isinstance(error, aiohttp.ClientSSLError):
        return NoReply("the TLS handshake failed; is scheme right?")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return NoReply("the name does not resolve")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return NoReply("the connection was closed without an answer")
    if isinstance(error, aiohttp.ClientPayloadError):
        return NoReply("the answer broke off in the middle")
    if isinstance(error, aiohttp.ClientResponseError):
        return NoReply("the answer is not valid HTTP, or its headers are too long")
    return NoReply(_words_of(error)) if isinstance(error, OSError) else NoReply("the connection failed")


def _words_of(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "the name does not resolve"
    return _OS_ERRORS.get(error.errno or 0, "the connection failed")
