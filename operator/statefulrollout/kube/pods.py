"""Reads the pods of a StatefulSet: all of them, or by name those that may not be any more as they were read.

What was read before never says how a pod is, only which ones need not be read again: those of which no watch has shown
a later version. A list that is not older than what is known and heard need not be the very latest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from statefulrollout.core.snapshot import PodView, StatefulSetView
from statefulrollout.kube import paths, views
from statefulrollout.kube.client import Json, Kube, newest
from statefulrollout.kube.known import Heard, Known

FEW = 2
MANY = 50
"""A list of so many pods takes as long as reading one by name; two are, where they are not most of the set."""


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
    target = known.target
    since = newest(known.version, heard.version) if known.version else ""
    if not since or not known.pods or not heard.version or not all(pod.fenced for pod in known.pods.values()):
        return await list_pods(kube, namespace, target, known, since)
    unsure = _unsure_of(known, target, heard)
    shown = _shown_of(unsure, target, heard)
    to_read = sorted(unsure - shown.keys())
    if len(to_read) > max(len(known.pods) // MANY, min(FEW, len(known.pods) // 2)):
        return await list_pods(kube, namespace, target, known, since)
    read = await asyncio.gather(*(list_pods(kube, namespace, target, known, since, name) for name in to_read))
    kept = [pod for name, pod in known.pods.items() if name not in unsure]
    pods = [*kept, *shown.values(), *(pod for found in read for pod in found.pods)]
    version = newest(since, *(found.version for found in read))
    return Found(sorted(pods, key=lambda pod: pod.name), version, known.listed)


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


async def list_pods(
    kube: Kube, namespace: str, target: StatefulSetView, known: Known, since: str = "", name: str = ""
) -> Found:
    """The pods that the StatefulSet selects and owns, or the one of a name, as they are now or not older than `since`.

    What is kept of them is a tenth of what comes, so one page at a time is in memory.
    """
    params = {"labelSelector": views.selector_of(target.selector)}
    if name:
        params["fieldSelector"] = f"metadata.name={name}"
    pods: list[PodView] = []
    version = ""
    async for page in kube.pages(paths.pods(namespace), params=params, since=since):
        items = page.get("items") or ()
        pods += [_view_of(raw, known.pods) for raw in items if views.belongs_to(raw, target.uid)]
        version = page["metadata"]["resourceVersion"]
    return Found(pods, version, version)


def _view_of(raw: Json, known: Mapping[str, PodView]) -> PodView:
    metadata = raw["metadata"]
    before = known.get(metadata["name"])
    if before and (before.uid, before.version) == (metadata["uid"], metadata.get("resourceVersion")):
        return before
    return views.pod_of(raw)
