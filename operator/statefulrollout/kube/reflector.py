"""A local view of one resource, kept by LIST and WATCH, that says when something in it changed.

What is kept of an object is only what `project` makes of it. The view says when to look, and what need not be read
again: it may be old, so no pod is chosen to leave by it. It never ends by itself: a broken stream is resumed where it
was, a forgotten version leads to a new list whose differences (deletions too) are reported like any other change, and
neither a server that closes every stream at once nor one that answers only errors is asked in a tight loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from statefulrollout.errors import Gone, KubeError
from statefulrollout.kube.client import Json, Kube, newest
from statefulrollout.kube.paths import Resource
from statefulrollout.kube.telemetry import RELISTS

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")
Key = tuple[str, str]
"""Namespace and name."""

WATCH_SECONDS = 300.0
STALL_SECONDS = 90.0
_SHORT_SECONDS = 1.0
"""A stream that ends sooner than this was no stream: wait before the next."""
_LONGEST_WAIT = 30.0


@dataclass(frozen=True)
class Scope:
    """Which objects: those that the label selector selects, in some namespaces, or in all where none is named."""

    label_selector: str = ""
    namespaces: Sequence[str] = ()


class Reflector(Generic[T]):
    """The objects of `resource` that are in scope.

    Attributes:
        store: what `project` made of each object; read it, never write it.
        synced: set once the first list of each namespace is complete.
    """

    def __init__(
        self,
        kube: Kube,
        resource: Resource,
        *,
        project: Callable[[Json], T],
        on_change: Callable[[Key, T | None, T | None], None],
        scope: Scope = Scope(),
        stall_seconds: float = STALL_SECONDS,
    ):
        """`on_change` gets the key and the projections before and after, None where there is none.

        An object that loses the label is reported as gone, though it may live. Updates that change nothing in the
        projection are not reported. `stall_seconds` without a byte on a stream mean that it is dead.
        """
        self.store: dict[Key, T] = {}
        self.synced = asyncio.Event()
        self._namespaces: Sequence[str | None] = scope.namespaces or (None,)
        self._heard: dict[str | None, str] = {}
        self._kube = kube
        self._resource = resource
        self._project = project
        self._on_change = on_change
        self._params: Mapping[str, str] = {"labelSelector": scope.label_selector} if scope.label_selector else {}
        self._stall_seconds = stall_seconds

    @property
    def heard(self) -> str:
        """The version of the last list or change that was taken in; empty before the first."""
        return newest(*self._heard.values())

    async def run(self) -> None:
        """Keep the view until cancelled."""
        async with asyncio.TaskGroup() as group:
            for namespace in self._namespaces:
                group.create_task(self._follow(namespace))

    async def _follow(self, namespace: str | None) -> None:
        clock = asyncio.get_running_loop().time
        version: str | None = None
        errors = 0
        while True:
            started = clock()
            try:
                if version is None:
                    version = await self._list(namespace)
                    started = clock()
                async with aclosing(
                    self._kube.watch(
                        self._resource(namespace),
                        version,
                        params=self._params,
                        seconds=WATCH_SECONDS * random.uniform(0.8, 1.2),  # noqa: S311 - jitter, not a secret
                        stall_seconds=self._stall_seconds,
                    )
                ) as events:
                    async for event in events:
                        version = self.apply(namespace, event)
                errors = 0
            except Gone:
                version = None
                errors += 1
            except KubeError as error:
                errors += 1
                log.info("a watch broke", resource=self._resource.plural, error=str(error), errors=errors)
            if clock() - started < _SHORT_SECONDS:
                wait = min(_LONGEST_WAIT, _SHORT_SECONDS * 2.0 ** min(max(errors - 1, 0), 10))
                await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
            else:
                errors = 0

    async def _list(self, namespace: str | None) -> str:
        """Read everything, report every difference, and return the version to watch from."""
        RELISTS.labels(self._resource.plural).inc()
        seen: set[Key] = set()
        version = ""
        async for page in self._kube.pages(self._resource(namespace), params=self._params):
            for item in page.get("items") or ():
                seen.add(_key_of(item))
                self.keep(_key_of(item), self._project(item))
            version = page["metadata"]["resourceVersion"]
        for key in [key for key in self.store if key not in seen and namespace in (None, key[0])]:
            self.keep(key, None)
        self._heard[namespace] = version
        if len(self._heard) == len(self._namespaces):
            self.synced.set()
        return version

    def apply(self, namespace: str | None, event: Json) -> str:
        """Take one watch event in, and return the version it brings the view to."""
        item: Json = event["object"]
        version = str(item["metadata"]["resourceVersion"])
        if event["type"] != "BOOKMARK":
            self._heard[namespace] = version
            self.keep(_key_of(item), None if event["type"] == "DELETED" else self._project(item))
        return version

    def take_in(self, item: Json) -> None:
        """Take in an object of the view as it was just written, and report nothing; what is newer stays."""
        metadata = item["metadata"]
        key, version = (metadata.get("namespace"), metadata.get("name")), metadata.get("resourceVersion", "")
        heard = self._heard.get(key[0], self._heard.get(None, ""))
        if key in self.store and version != heard and newest(version, heard) == version:
            self.store[key] = self._project(item)

    def keep(self, key: Key, new: T | None) -> None:
        """Take the projection of one object in, or the object out where it is None, and report a change."""
        old = self.store.pop(key, None) if new is None else self.store.get(key)
        if new is not None:
            self.store[key] = new
        if old != new:
            self._on_change(key, old, new)


def _key_of(item: Json) -> Key:
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
