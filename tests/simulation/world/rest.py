"""The API server as a client sees it: the operator's `Kube` with its transport replaced by the simulated storage.

Every call takes a little simulated time, in which everybody else may act; scripts may kill the operator or spoil the
answer before or after the call takes effect.
"""

from __future__ import annotations

import asyncio
import bisect
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from statefulrollout.errors import ApiError
from statefulrollout.kube.client import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, Kube
from tests.simulation.world import objects
from tests.simulation.world.apiserver import OPERATOR, RESOURCES, ApiServer, Change
from tests.simulation.world.eviction import evict
from tests.simulation.world.objects import Json
from tests.simulation.world.refusals import invalid, refused

PATH = re.compile(
    r"^/(?:api|apis/[^/]+)/[^/]+(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<sub>[a-z]+))?)?$"
)


@dataclass
class Request:
    """One API call. `status` is 0 until it has been answered, `before` the object addressed as it was."""

    at: float
    who: str
    method: str
    plural: str
    namespace: str
    name: str
    sub: str
    body: Any
    content_type: str
    params: Mapping[str, str]
    before: Json | None = None
    status: int = 0

    @property
    def writes(self) -> bool:
        """Whether the call may change something."""
        return self.method != "GET"

    @property
    def destroys(self) -> bool:
        """Whether the call removes a pod."""
        return self.plural == "pods" and (self.method == "DELETE" or self.sub == "eviction")

    def __str__(self) -> str:
        return f"{self.method} {self.plural}/{self.name}{'/' if self.sub else ''}{self.sub} -> {self.status}"


Script = Callable[[Request], None]
"""Looks at a request; may raise an error of the operator's client, or kill the client."""


class Transport:
    """What happens to requests on their way.

    Attributes:
        seconds: simulated time that a call takes.
        watch_seconds: how late watch events arrive.
        before: scripts that run before the call takes effect.
        after: scripts that run after it took effect, before the answer arrives.
        seen: every request of the operator, in order.
    """

    def __init__(self, server: ApiServer, clock: Callable[[], float]) -> None:
        self.server = server
        self.clock = clock
        self.seconds = 0.004
        self.watch_seconds = 0.005
        self.before: list[Script] = []
        self.after: list[Script] = []
        self.seen: list[Request] = []


class SimulatedKube(Kube):
    """A client of the simulated API server. `dead`: its process is gone, no call returns any more."""

    def __init__(self, transport: Transport, who: str = OPERATOR) -> None:
        self._transport = transport
        self._who = who
        self.dead = False

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
        timeout: float = 5.0,
    ) -> Json:
        """Answer as the API server would; see `Kube.call`."""
        way = self._transport
        found = PATH.match(path)
        if found is None or found["plural"] not in RESOURCES:
            raise refused(404, "NotFound", f"the server could not find the requested resource {path}")
        await self._travel()
        plural, namespace, name, sub = (found[key] or "" for key in ("plural", "namespace", "name", "sub"))
        request = Request(
            way.clock(),
            self._who,
            method,
            plural,
            namespace,
            name,
            sub,
            objects.copied(body),
            content_type,
            params or {},
        )
        request.before = way.server.find(request.plural, request.namespace, request.name)
        self._run(way.before, request)
        try:
            answer: Json = objects.copied(_answer(way.server, request, way.clock()))
            request.status = 200
        except ApiError as error:
            request.status = error.status
            raise
        finally:
            if self._who == OPERATOR:
                way.seen.append(request)
            self._run(way.after, request)
        await self._travel()
        return answer

    async def watch(
        self,
        path: str,
        resource_version: str,
        *,
        params: Mapping[str, str] | None = None,
        seconds: float = 300.0,
        stall_seconds: float = 90.0,
    ) -> AsyncGenerator[Json, None]:
        """Yield what happened after `resource_version`, as late as the transport says; see `Kube.watch`."""
        found = PATH.match(path)
        assert found is not None, path
        selector = objects.label_selector_of((params or {}).get("labelSelector", ""))
        log, news = self._transport.server.log, asyncio.Event()

        def hear(_: Change) -> None:
            news.set()

        self._transport.server.subscribers.append(hear)
        position = bisect.bisect_right(log, int(resource_version), key=lambda change: change.version)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    news.clear()
                    for change in log[position:]:
                        position += 1
                        event = _event_of(change, found["plural"], found["namespace"] or "", selector)
                        if event is not None:
                            await self._arrive(change.at)
                            yield event
                    await news.wait()
        except TimeoutError:
            return
        finally:
            self._transport.server.subscribers.remove(hear)

    async def _arrive(self, at: float) -> None:
        late = at + self._transport.watch_seconds - self._transport.clock()
        if late > 0:
            await asyncio.sleep(late)
        if self.dead:
            raise asyncio.CancelledError

    def _run(self, scripts: list[Script], request: Request) -> None:
        for script in list(scripts) if self._who == OPERATOR else ():
            script(request)
        if self.dead:
            raise asyncio.CancelledError

    async def _travel(self) -> None:
        if self.dead:
            raise asyncio.CancelledError
        await asyncio.sleep(self._transport.seconds / 2)


def _event_of(change: Change, plural: str, namespace: str, selector: dict[str, str]) -> Json | None:
    """The watch event that a change is to somebody who watches these objects."""
    if change.plural != plural or namespace not in ("", change.item["metadata"].get("namespace")):
        return None
    before, after = (
        item is not None and objects.selects(selector, item["metadata"].get("labels"))
        for item in (change.before, change.after)
    )
    if not before and not after:
        return None
    kind = "MODIFIED" if before and after else "ADDED" if after else "DELETED"
    return {"type": kind, "object": objects.copied(change.item)}


def _answer(server: ApiServer, request: Request, now: float) -> Json:
    place = (request.plural, request.namespace, request.name)
    if request.method == "GET" and request.name:
        return server.get(*place)
    if request.method == "GET":
        selector = objects.label_selector_of(request.params.get("labelSelector", ""))
        items = server.list(request.plural, request.namespace, selector)
        return {"kind": "List", "metadata": {"resourceVersion": server.version}, "items": items}
    if request.method == "DELETE":
        return server.delete(*place, request.who, **_delete_options(request.body))
    if request.method == "POST" and request.sub == "eviction":
        options = _delete_options(request.body.get("deleteOptions"))
        return evict(server, request.namespace, request.name, request.who, options, now)
    if request.method == "POST":
        return server.create(request.plural, request.namespace, request.body, request.who)
    return server.update(*place, _transform_of(request), request.who, request.sub)


def _transform_of(request: Request) -> Callable[[Json], Json]:
    body, custom = request.body, RESOURCES[request.plural].custom
    if request.method == "PUT":
        if custom and not body["metadata"].get("resourceVersion"):
            raise invalid("metadata.resourceVersion: must be specified for an update")
        return lambda old: objects.copied(body)
    if request.content_type == MERGE_PATCH:
        return lambda old: objects.merge_patched(old, body)
    if request.content_type == STRATEGIC_MERGE_PATCH and not custom:
        return lambda old: objects.strategic_merge_patched(old, body)
    if request.content_type == JSON_PATCH:
        return lambda old: _json_patched(old, body)
    raise refused(415, "UnsupportedMediaType", f"{request.content_type} is not supported for {request.plural}")


def _json_patched(old: Json, operations: list[Json]) -> Json:
    try:
        return objects.json_patched(old, operations)
    except objects.PatchTestFailed as problem:
        raise refused(422, "Invalid", f"the server rejected our request due to an error: {problem}") from problem


def _delete_options(body: Json | None) -> Json:
    wanted = (body or {}).get("preconditions") or {}
    return {
        "uid": wanted.get("uid", ""),
        "version": wanted.get("resourceVersion", ""),
        "grace": (body or {}).get("gracePeriodSeconds"),
    }
