"""Reads the pods of a StatefulSet: all of them, or by name those that may not be any more as they were read.

What was read before never says how a pod is, only which ones need not be read again: those of which no watch has shown
a later version, and which no list of metadata shows to be another. A list that is not older than what is known and
heard need not be the very latest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from dataclasses import dataclass

from statefulrollout.core.snapshot import PodView, StatefulSetView
from statefulrollout.kube import paths, views
from statefulrollout.kube.client import JSON, METADATA_ONLY, Json, Kube, newest
from statefulrollout.kube.known import Heard, Known

FEW = 2
MANY = 50
"""A list of so many pods takes as long as reading one by name; two are, where they are not most of the set."""
LARGE = 50
"""Of a set of more pods, a list brings only metadata: they are a fraction of the pods, and say which are other."""


@dataclass(frozen=True)
class Found:
    """Pods of a StatefulSet; the versions are those of `Known`."""

    pods: Sequence[PodView] = ()
    version: str = ""
    listed: str = ""


async def catch_up(kube: Kube, namespace: str, known: Known, heard: Heard) -> Found:
    """The pods of the StatefulSet that is known, not older than what is known and was heard; none where it is not."""
    if known.target is None:
        return Found()
    target, reader = known.target, _Reader(kube, namespace, known.target, known)
    since = newest(known.version, heard.version) if known.version else ""
    if not since or not known.pods or not heard.version or not all(pod.fenced for pod in known.pods.values()):
        return await reader.read_all(since)
    unsure = _unsure_of(known, target, heard)
    shown = _shown_of(unsure, target, heard)
    to_read = unsure - shown.keys()
    if _are_many(to_read, len(known.pods)):
        return await reader.read_all(since)
    kept = [pod for name, pod in known.pods.items() if name not in unsure]
    return await reader.complete([*kept, *shown.values()], to_read, since, known.listed)


async def list_pods(kube: Kube, namespace: str, target: StatefulSetView, known: Known) -> Found:
    """The pods that the StatefulSet selects and owns, as they are now."""
    return await _Reader(kube, namespace, target, known).read_all()


@dataclass(frozen=True)
class _Reader:
    """Reads the pods that a StatefulSet selects and owns, as they are now, or not older than a version `since`."""

    kube: Kube
    namespace: str
    target: StatefulSetView
    known: Known

    async def read_all(self, since: str = "") -> Found:
        """All of them: of a large set, only those whole that are not known as they are."""
        if len(self.known.pods) <= LARGE:
            return await self._read(since)
        versions: dict[str, tuple[str, str]] = {}
        version = ""
        async for page in self._pages(since, accept=METADATA_ONLY):
            metadata = [raw["metadata"] for raw in page.get("items") or () if views.belongs_to(raw, self.target.uid)]
            versions |= {each["name"]: (each["uid"], each["resourceVersion"]) for each in metadata}
            version = page["metadata"]["resourceVersion"]
        kept = [pod for pod in self.known.pods.values() if versions.get(pod.name) == (pod.uid, pod.version)]
        others = versions.keys() - {pod.name for pod in kept}
        if _are_many(others, len(versions)):
            return await self._read(version)
        return await self.complete(kept, others, version, version)

    async def complete(self, pods: Sequence[PodView], names: Set[str], since: str, listed: str) -> Found:
        """These pods, and those of the names that are there."""
        read = await asyncio.gather(*(self._read(since, name) for name in sorted(names)))
        found = [*pods, *(pod for each in read for pod in each.pods)]
        version = newest(since, *(each.version for each in read))
        return Found(sorted(found, key=lambda pod: pod.name), version, listed)

    async def _read(self, since: str, name: str = "") -> Found:
        """All of them, or the one of a name. What is kept of them is a tenth of what comes, one page at a time."""
        pods: list[PodView] = []
        version = ""
        async for page in self._pages(since, name):
            items = page.get("items") or ()
            pods += [_view_of(raw, self.known.pods) for raw in items if views.belongs_to(raw, self.target.uid)]
            version = page["metadata"]["resourceVersion"]
        return Found(pods, version, version)

    def _pages(self, since: str, name: str = "", accept: str = JSON) -> AsyncIterator[Json]:
        params = {"labelSelector": views.selector_of(self.target.selector)}
        if name:
            params["fieldSelector"] = f"metadata.name={name}"
        return self.kube.pages(paths.pods(self.namespace), params=params, since=since, accept=accept)


def _are_many(names: Set[str], all_pods: int) -> bool:
    """Whether it is quicker to list all pods than to read so many by name."""
    return len(names) > max(all_pods // MANY, min(FEW, all_pods // 2))


def _unsure_of(known: Known, target: StatefulSetView, heard: Heard) -> set[str]:
    """Names of the pods of which more may be known than we do."""
    names = {f"{target.name}-{ordinal}" for ordinal in target.ordinals} | known.pods.keys() | heard.pods.keys()
    return {name for name in names if _may_differ(known.pods.get(name), heard.pods.get(name), known, heard)}


def _shown_of(names: set[str], target: StatefulSetView, heard: Heard) -> dict[str, PodView]:
    """Those that were shown whole, as late as anything was heard of them."""
    raws = ((name, heard.news[name]) for name in names & heard.news.keys() & heard.pods.keys())
    return {
        name: views.pod_of(raw)
        for name, raw in raws
        if int(raw["metadata"]["resourceVersion"]) >= int(heard.pods[name])
        and views.belongs_to(raw, target.uid)
        and views.selects(target.selector, raw["metadata"].get("labels") or {})
    }


def _may_differ(pod: PodView | None, shown: str | None, known: Known, heard: Heard) -> bool:
    """Whether there may be another pod of a name, or none, than the one that is known; `shown` is what was heard of."""
    if pod and shown:
        return int(shown) > int(pod.version)
    if pod:
        # It is gone, unless it came after all that was heard.
        return int(pod.version) <= int(heard.version)
    if shown:
        # It was gone when all were listed, unless it came after that.
        return int(shown) > int(known.listed)
    # It shall be there: if it came without the label of the lid, no watch shows it.
    return True


def _view_of(raw: Json, known: Mapping[str, PodView]) -> PodView:
    metadata = raw["metadata"]
    before = known.get(metadata["name"])
    if before and (before.uid, before.version) == (metadata["uid"], metadata.get("resourceVersion")):
        return before
    return views.pod_of(raw)
