"""A small API server on loopback: keeps objects with compare-and-swap, records every request, fails as it is told.

Faults are responders: queued for a verb and path (`script`), or for everything that one client asks (`faults`). Without
one, objects are stored and read as by the real server, as far as the operator's own use of it goes; a watch that nobody
scripted is open and silent.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from statefulrollout.kube.paths import resource_of

Json = dict[str, Any]
Responder = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Recorded:
    """One request as it came in; `verb` is the method, or WATCH."""

    verb: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class FakeApi:
    """The server's state. `objects` are by path; a list is what lies directly below its path."""

    objects: dict[str, Json] = field(default_factory=dict)
    requests: list[Recorded] = field(default_factory=list)
    faults: dict[str, Responder] = field(default_factory=dict)
    version: int = 100
    _scripts: dict[tuple[str, str], deque[Responder]] = field(default_factory=lambda: defaultdict(deque))

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    def script(self, verb: str, path: str, *responders: Responder) -> None:
        self._scripts[verb, path].extend(responders)

    def put(self, path: str, item: Json) -> Json:
        self.version += 1
        parts = path.split("/")
        metadata = {"name": parts[-1], **({"namespace": parts[-3]} if "namespaces" in parts else {})}
        metadata |= item.get("metadata") or {}
        self.objects[path] = {**copy.deepcopy(item), "metadata": {**metadata, "resourceVersion": str(self.version)}}
        return self.objects[path]

    def remove(self, path: str) -> Json:
        self.version += 1
        gone = self.objects.pop(path)
        gone["metadata"]["resourceVersion"] = str(self.version)
        return gone

    def seen(self, verb: str, path: str) -> list[Recorded]:
        return [one for one in self.requests if (one.verb, one.path) == (verb, path)]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        body = json.loads(text) if text else None
        verb = "WATCH" if "watch" in request.query else request.method
        self.requests.append(Recorded(verb, request.path, dict(request.query), dict(request.headers), body))
        if fault := self.faults.get(request.headers.get("X-Client", "")):
            return await fault(request)
        if script := self._scripts.get((verb, request.path)):
            return await script.popleft()(request)
        if verb == "WATCH":
            return await silent(request)
        return self.store(request.method, request.path, body)

    def store(self, method: str, path: str, body: Any) -> web.Response:
        """Carry a request out on the objects."""
        resource, is_object = resource_of(path)
        if method == "GET" and not is_object:
            below = [one for one in self.objects if resource_of(one)[0] == resource]
            items = [self.objects[one] for one in below if "/namespaces/" not in path or one.startswith(f"{path}/")]
            return list_of(items, self.version)
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                return status_of(409, "AlreadyExists")
            return web.json_response(self.put(path, body), status=201)
        stored = self.objects.get(path)
        if stored is None:
            return status_of(404, "NotFound")
        if method == "PUT":
            if body["metadata"].get("resourceVersion") != stored["metadata"]["resourceVersion"]:
                return status_of(409, "Conflict")
            stored = self.put(path, body)
        if method == "PATCH":
            patched = json_patched(stored, body) if isinstance(body, list) else _merged(stored, body)
            if patched is None:
                return status_of(422, "Invalid")
            stored = self.put(path, patched)
        return web.json_response(stored)


def list_of(items: list[Json], version: int, **metadata: str) -> web.Response:
    return web.json_response({"items": items, "metadata": {"resourceVersion": str(version), **metadata}})


def status_of(code: int, reason: str, message: str = "", **headers: str) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return web.json_response(
        body, status=code, headers={key.replace("_", "-"): value for key, value in headers.items()}
    )


def answer(response: Callable[[], web.Response]) -> Responder:
    """Answer with what the function makes."""

    async def responder(_: web.Request) -> web.StreamResponse:
        return response()

    return responder


def refuse(code: int, reason: str, **headers: str) -> Responder:
    """Answer with a Status."""
    return answer(lambda: status_of(code, reason, f"because {reason}", **headers))


async def reset(request: web.Request) -> web.StreamResponse:
    """Break the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hang(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.sleep(3600)
    return web.Response()


async def silent(request: web.Request) -> web.StreamResponse:
    """Open a stream and say nothing on it."""
    response = web.StreamResponse()
    await response.prepare(request)
    return await hang(request)


def stream(*events: Json, then: Responder | None = None, chunk: int = 0) -> Responder:
    """Send watch events, in pieces of `chunk` bytes where that is given; then close, or do as `then` does."""

    async def responder(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        data = b"".join(json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in events)
        for start in range(0, len(data), chunk or max(1, len(data))):
            await response.write(data[start : start + (chunk or len(data))])
            await asyncio.sleep(0)
        if then is not None:
            await then(request)
        return response

    return responder


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def json_patched(target: Json, patch: list[Json]) -> Json | None:
    """Apply `test`, `add` and `replace` of object members and of list elements that exist; None where a test fails."""
    patched = copy.deepcopy(target)
    for operation in patch:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        at: Any = patched
        for part in parents:
            at = at[int(part)] if isinstance(at, list) else at[part]
        if operation["op"] == "test":
            if at.get(last) != operation["value"]:
                return None
        else:
            at[last] = operation["value"]
    return patched
