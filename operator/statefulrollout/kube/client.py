"""The only way to the API server: raw JSON over aiohttp, every call bounded in time, one retry policy.

Credentials and TLS come from the official client's configuration (the pod's service account, else a kubeconfig); its
typed models are left out because a typed round trip drops fields it does not know and costs several times the CPU.
Reads are tried again a few times; **a write is sent once**: whoever asked for it must look before asking again.
The file knows nothing of rollouts. It raises `ApiError` for an answer of 300 or more and `Unavailable` for none.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
import orjson
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import Configuration

from statefulrollout.api import names
from statefulrollout.errors import ApiError, KubeError, Unavailable, api_error_of
from statefulrollout.kube.telemetry import count_received, count_request

Json = dict[str, Any]
"""One object as the API server sent it."""

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
JSON = "application/json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

TRIES = 3
PAGE = 500
_CONNECT_SECONDS = 3.0
_NO_SUCH_CACHE = (410, 504)
"""Where the API server's cache is not, or has not become within three seconds, as new as it was asked for."""


def newest(*versions: str) -> str:
    """The latest of these versions of one resource; empty where that cannot be told.

    Kubernetes calls them comparable as numbers since 1.35, and etcd has always counted them so.
    """
    known = [version for version in versions if version]
    return max(known, key=int, default="") if all(version.isdecimal() for version in known) else ""


class Kube:
    """A connection to one API server.

    Writes carry our name as field manager: the server takes it from the User-Agent.
    """

    def __init__(
        self,
        host: str,
        session: aiohttp.ClientSession,
        authorization: Callable[[], Awaitable[str | None]] | None = None,
    ):
        """Use `host` (scheme, name, port) through `session`; `authorization` gives each call its header's value."""
        self.host = host.rstrip("/")
        self._session = session
        # The library would repeat a PUT or DELETE by itself after a broken connection; it has no public switch for it.
        session._retry_connection = False
        self._authorization = authorization

    @classmethod
    async def connect(cls) -> Self:
        """Connect as the pod's service account, or, outside a cluster, as the kubeconfig says."""
        configuration = Configuration()
        try:
            if os.environ.get("KUBERNETES_SERVICE_HOST"):
                kubernetes_config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
            else:
                await kubernetes_config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except kubernetes_config.ConfigException as error:
            raise Unavailable(f"no credentials for the API server; run in a pod or set KUBECONFIG: {error}") from error
        return cls.of(configuration)

    @classmethod
    def of(cls, configuration: Configuration) -> Self:
        """Connect as the official client's configuration says; its token is read anew when it is old."""

        async def authorization() -> str | None:
            try:
                token = await configuration.get_api_key_with_prefix("BearerToken")
            except (OSError, kubernetes_config.ConfigException) as error:
                raise Unavailable(f"cannot read the service account's token: {error}") from error
            return token.strip() if token else None

        connector = aiohttp.TCPConnector(limit=100, ssl=_ssl_context_of(configuration))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        session = aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            read_bufsize=2**20,
            # In the cluster's own network it takes both sides longer to compress a list than to send it.
            headers={"User-Agent": names.FIELD_MANAGER, "Accept-Encoding": "identity"},
        )
        return cls(configuration.host, session, authorization)

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content_type: str = JSON,
        params: Mapping[str, str] | None = None,
        timeout: float = 5.0,
    ) -> Json:
        """Send one request and return the object in the answer.

        `content_type` is that of the body; where there is none, the one that is asked for.

        A GET that met no answer, or a 429 or 503 that says when to come back, is tried again, three times at most.
        `timeout` is in seconds and covers all tries.

        Raises:
            ApiError: the server refused (also `NotFound`, `Conflict`, `Gone`).
            Unavailable: no answer within `timeout`, or no connection.
        """
        data = None if body is None else json.dumps(body)
        headers = {"Accept" if data is None else "Content-Type": content_type}
        tries = TRIES if method == "GET" else 1
        try:
            async with asyncio.timeout(timeout) as limit:
                for remaining in reversed(range(tries)):
                    try:
                        return await self._send(method, path, data, headers, params)
                    except KubeError as error:
                        wait = _retry_wait_of(error)
                        left = (limit.when() or 0) - asyncio.get_running_loop().time()
                        if remaining == 0 or wait is None or wait >= left:
                            raise
                    await asyncio.sleep(wait)
        except TimeoutError:
            count_request(method, path, params, "none")
            raise Unavailable(f"{method} {path}: no answer within {timeout:g} s") from None
        raise AssertionError("unreachable: the last try returns or raises")

    async def pages(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        since: str = "",
        accept: str = JSON,
        timeout: float = 30.0,
    ) -> AsyncIterator[Json]:
        """Yield a list page by page (`items`, `metadata.resourceVersion`), all of one moment; `timeout` is per page.

        The moment is now, or with `since` not older than that version: a cache of the API server may answer. Where it
        says that none is as new, the moment is now all the same.

        Raises `Gone` where the list took so long that the server forgot its snapshot: start over.
        """
        query = {**(params or {}), "limit": str(PAGE)}
        page = await self._first_page(path, query, since, accept, timeout)
        while True:
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            page = await self.call(
                "GET", path, params={**query, "continue": token}, content_type=accept, timeout=timeout
            )

    async def _first_page(self, path: str, query: Mapping[str, str], since: str, accept: str, timeout: float) -> Json:
        if since:
            cached = {**query, "resourceVersion": since, "resourceVersionMatch": "NotOlderThan"}
            try:
                return await self.call("GET", path, params=cached, content_type=accept, timeout=timeout)
            except ApiError as error:
                if error.status not in _NO_SUCH_CACHE:
                    raise
        return await self.call("GET", path, params=query, content_type=accept, timeout=timeout)

    async def list_all(self, path: str, *, params: Mapping[str, str] | None = None, since: str = "") -> list[Json]:
        """Read a whole list, as it is now or not older than `since`: see `pages`."""
        return [item async for page in self.pages(path, params=params, since=since) for item in page.get("items") or ()]

    async def watch(
        self,
        path: str,
        resource_version: str,
        *,
        params: Mapping[str, str] | None = None,
        seconds: float = 300.0,
        stall_seconds: float = 90.0,
    ) -> AsyncGenerator[Json, None]:
        """Yield the watch events (`type`, `object`) after `resource_version` until the server ends the stream.

        Bookmarks are asked for, so that a healthy stream is never silent for `stall_seconds`.

        Raises:
            ApiError: the server refused, at the start or by an ERROR event (`Gone`: list anew).
            Unavailable: the stream broke or fell silent; watching may go on from the last version seen.
        """
        query = {
            **(params or {}),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, round(seconds))),
        }
        timeout = aiohttp.ClientTimeout(total=seconds + 30, sock_connect=_CONNECT_SECONDS, sock_read=stall_seconds)
        try:
            async with self._session.get(
                self.host + path, params=query, headers=await self._headers(), timeout=timeout, allow_redirects=False
            ) as response:
                count_request("GET", path, query, str(response.status))
                if response.status >= 300:
                    raise await _error_of(response, f"watch {path}")
                rest = b""
                async for chunk in response.content.iter_any():
                    count_received("GET", path, query, len(chunk))
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in filter(None, lines):
                        event: Json = orjson.loads(line)
                        if event["type"] == "ERROR":
                            status: Json = event["object"]
                            raise api_error_of(int(status.get("code") or 500), status, request=f"watch {path}")
                        yield event
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"watch {path}: {error!r}") from error
        except ValueError as error:
            raise Unavailable(f"watch {path}: not JSON: {error}") from error

    @asynccontextmanager
    async def channel(
        self, path: str, *, params: Sequence[tuple[str, str]], protocol: str
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a WebSocket that speaks the subprotocol, and close it in the end.

        Raises:
            ApiError: the server refused; of its answer only the status is known.
            Unavailable: no connection, or it broke.
        """
        try:
            async with self._session.ws_connect(
                self.host + path, params=params, protocols=(protocol,), headers=await self._headers()
            ) as socket:
                count_request("POST", path, None, "101")
                yield socket
        except aiohttp.WSServerHandshakeError as error:
            count_request("POST", path, None, str(error.status))
            raise api_error_of(error.status, {"message": error.message}, request=f"POST {path}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"POST {path}: {error!r}") from error

    async def _send(
        self, method: str, path: str, data: str | None, headers: Json, params: Mapping[str, str] | None
    ) -> Json:
        request = f"{method} {path}"
        try:
            async with self._session.request(
                method,
                self.host + path,
                data=data,
                headers={**headers, **await self._headers()},
                params=params,
                allow_redirects=False,
            ) as response:
                count_request(method, path, params, str(response.status))
                if response.status >= 300:
                    raise await _error_of(response, request)
                content = await response.read()
                count_received(method, path, params, len(content))
                answer = orjson.loads(content)
        except (aiohttp.ClientError, OSError) as error:
            count_request(method, path, params, "none")
            raise Unavailable(f"{request}: {error!r}") from error
        except ValueError as error:
            raise Unavailable(f"{request}: the answer is not JSON: {error}") from error
        if not isinstance(answer, dict):
            raise Unavailable(f"{request}: the answer is not an object")
        return answer

    async def _headers(self) -> Json:
        token = await self._authorization() if self._authorization else None
        return {"Authorization": token} if token else {}


def _ssl_context_of(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _retry_wait_of(error: KubeError) -> float | None:
    """Seconds before a read may be tried again, or None where trying again would not help."""
    match error:
        case Unavailable():
            return random.uniform(0.05, 0.2)  # noqa: S311 - jitter, not a secret
        case ApiError(status=429 | 503, retry_after=float(seconds)):
            return seconds
        case _:
            return None


async def _error_of(response: aiohttp.ClientResponse, request: str) -> ApiError:
    text = await response.text(errors="replace")
    try:
        body = orjson.loads(text)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {"message": text[:200]}
    try:
        retry_after = float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        retry_after = None
    return api_error_of(response.status, body, request=request, retry_after=retry_after)
