"""REST over the simulated storage: what a request asks for, and what the API server makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from statefulrollout.kube.client import JSON_PATCH, MERGE_PATCH, METADATA_ONLY, STRATEGIC_MERGE_PATCH
from tests.simulation.world import objects
from tests.simulation.world.apiserver import RESOURCES, ApiServer
from tests.simulation.world.eviction import evict
from tests.simulation.world.objects import Json
from tests.simulation.world.refusals import invalid, refused

CACHE_SECONDS = 3.0
"""How far a list lags that may be as old as the API server's cache likes (`resourceVersion=0`)."""
PATH = re.compile(
    r"^/(?:api|apis/[^/]+)/[^/]+(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<sub>[a-z]+))?)?$"
)


@dataclass
class Request:
    """One API call.

    Attributes:
        at: when it was sent; seconds since the epoch.
        who: whom the API server takes its sender for.
        link: the sender's connection.
        led: whether the sender believed that it leads when it sent it.
        before: the object addressed as it was before.
        cache_seconds: how far the API server's cache lags from which a list may be answered.
        accept: in which form the answer is asked for.
        status: 0 until it has been answered.
    """

    method: str
    plural: str
    namespace: str
    name: str
    sub: str
    body: Any
    content_type: str
    params: Mapping[str, str]
    at: float = 0.0
    who: str = ""
    link: object = None
    led: bool = True
    before: Json | None = None
    cache_seconds: float = 0.0
    accept: str = ""
    status: int = 0

    @property
    def writes(self) -> bool:
        """Whether the call may change something."""
        return self.method != "GET"

    @property
    def destroys(self) -> bool:
        """Whether the call removes a pod."""
        return self.plural == "pods" and (self.method == "DELETE" or self.sub == "eviction")

    @property
    def restarts(self) -> bool:
        """Whether the call restarts containers of a pod."""
        return self.plural == "pods" and self.method == "PATCH" and not self.sub and "spec" in self.body

    def __str__(self) -> str:
        return f"{self.method} {self.plural}/{self.name}{'/' if self.sub else ''}{self.sub} -> {self.status}"


def request_of(method: str, path: str, params: Mapping[str, str], body: Any, content_type: str) -> Request:
    """Read what is asked of which object; a path that leads nowhere has no resource."""
    found = PATH.match(path)
    plural, namespace, name, sub = (
        (found[key] or "" for key in ("plural", "namespace", "name", "sub")) if found else ("", "", "", "")
    )
    return Request(method, plural, namespace, name, sub, body, content_type, params)


def answer_of(server: ApiServer, request: Request, now: float) -> Json:
    """Let the request take effect, and return the answer. Raises ApiError."""
    if request.plural not in RESOURCES:
        raise refused(404, "NotFound", f"the server could not find the requested resource {request}")
    place = (request.plural, request.namespace, request.name)
    if request.method == "GET" and request.name:
        return server.get(*place)
    if request.method == "GET":
        selector = objects.label_selector_of(request.params.get("labelSelector", ""))
        since = request.params.get("resourceVersion")
        if since is None:
            items: Sequence[Json] = server.list(request.plural, request.namespace, selector)
            version = int(server.version)
        elif int(since) > int(server.version):
            raise refused(504, "Timeout", f"Too large resource version: {since}, current: {server.version}")
        else:
            at = now - (request.cache_seconds if int(since) else CACHE_SECONDS)
            items, version = server.list_cached(at, int(since), request.plural, request.namespace, selector)
        items = [item for item in items if _has_field(item, request.params.get("fieldSelector", ""))]
        if request.accept == METADATA_ONLY:
            items = [{"kind": "PartialObjectMetadata", "metadata": item["metadata"]} for item in items]
        return {"kind": "List", "metadata": {"resourceVersion": str(version)}, "items": items}
    if request.method == "DELETE":
        return server.delete(*place, request.who, **_delete_options(request.body))
    if request.method == "POST" and request.sub == "eviction":
        options = _delete_options(request.body.get("deleteOptions"))
        return evict(server, request.namespace, request.name, request.who, options, now)
    if request.method == "POST":
        return server.create(request.plural, request.namespace, request.body, request.who)
    return server.update(*place, _transform_of(request), request.who, request.sub)


def _has_field(item: Json, field_selector: str) -> bool:
    """Whether a field, named by the path of its keys, has the value that `path=value` tells; nothing told, all have."""
    path, _, value = field_selector.partition("=")
    found: Any = item
    for key in filter(None, path.split(".")):
        found = found.get(key, {})
    return not path or found == {"true": True, "false": False}.get(value, value)


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
