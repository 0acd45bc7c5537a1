"""Reads a StatefulSet with its pods and its ledger, and the StatefulRollouts that roll it: all at once.

What was read before only saves time: it says where to look first, and which pods need not be read again (`pods.py`).
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from statefulrollout.api.v1alpha1 import Spec
from statefulrollout.core.ledger import Ledger
from statefulrollout.core.snapshot import PodView, Rollout, StatefulSetView
from statefulrollout.core.validation import Problem, parse_spec
from statefulrollout.errors import NotFound
from statefulrollout.kube import paths, views
from statefulrollout.kube.client import Json, Kube
from statefulrollout.kube.known import Heard, Known, latest_of
from statefulrollout.kube.ledger import fetch_ledger
from statefulrollout.kube.pods import Found, catch_up, list_pods


@dataclass(frozen=True)
class Workload:
    """A StatefulSet with what belongs to it, whether or not somebody rolls it."""

    target: StatefulSetView | None
    pods: tuple[PodView, ...]
    ledger: Ledger
    raw: Mapping[str, Any]


@dataclass(frozen=True)
class Rollouts:
    """The StatefulRollouts of one namespace that nobody has deleted.

    `ours` are those of one StatefulSet, the oldest first: it is the one that rolls. `all` are all of the namespace, or
    none where ours minds no other.
    """

    ours: Sequence[Json]
    all: Sequence[Json] = ()


async def fetch_rollouts(
    kube: Kube, namespace: str, target: str, shown: Sequence[Json] = (), known: Known | None = None
) -> Rollouts:
    """Read the StatefulRollouts of a StatefulSet, and their neighbours where they matter.

    One that stands alone, by all that was `shown`, is read by itself, and only where it may be other than it is known;
    else all are read as they are now.
    """
    known = known or Known()
    if len(shown) == 1 and not _minds_others(shown[0]):
        path = paths.statefulrollouts(namespace, shown[0]["metadata"]["name"])
        with suppress(NotFound):
            alone = await latest_of(kube, path, known.rollout if known.holds else None, shown[0])
            if _rolls(alone, target) and not _minds_others(alone):
                known.rollout = alone
                return Rollouts([alone])
    known.rollout = None
    listed = await kube.list_all(paths.statefulrollouts(namespace))
    present = [raw for raw in listed if not raw["metadata"].get("deletionTimestamp")]
    ours = [raw for raw in present if _rolls(raw, target)]
    return Rollouts(
        sorted(ours, key=lambda raw: (raw["metadata"]["creationTimestamp"], raw["metadata"]["name"])), present
    )


def _rolls(raw: Json, target: str) -> bool:
    return raw["spec"]["targetRef"]["name"] == target and not raw["metadata"].get("deletionTimestamp")


def _minds_others(raw: Json) -> bool:
    return bool(raw["spec"].get("group") or raw["spec"].get("dependsOn"))


async def fetch_workload(
    kube: Kube, namespace: str, name: str, known: Known | None = None, heard: Heard | None = None
) -> Workload:
    """Read the StatefulSet, its pods and its ledger: all at once where it is known whose pods they are.

    Nothing is older than what is known of it and what was heard.
    """
    known, heard = known or Known(), heard or Heard()
    ledger, raw, found = await asyncio.gather(
        _latest_ledger(kube, namespace, name, known),
        _find_set(kube, namespace, name, known, heard),
        catch_up(kube, namespace, known, heard),
    )
    known.stateful_set, known.ledger = raw, ledger
    if raw is None:
        return Workload(None, (), ledger, {})
    target = views.stateful_set_of(raw)
    if not known.is_of(target):
        found = await list_pods(kube, namespace, target, known)
    return Workload(target, await _take_in(kube, found, raw, target, known), ledger, raw)


async def _take_in(
    kube: Kube, found: Found, raw: Mapping[str, Any], target: StatefulSetView, known: Known
) -> tuple[PodView, ...]:
    """The pods that were found, which are known from now on, with the claims that each owns."""
    known.target, known.pods = target, {pod.name: pod for pod in found.pods}
    known.version, known.listed = found.version, found.listed
    if not _deletes_claims(raw):
        return tuple(found.pods)
    return await _with_claims(kube, raw["metadata"]["namespace"], found.pods)


async def _latest_ledger(kube: Kube, namespace: str, name: str, known: Known) -> Ledger:
    return known.ledger if known.holds and known.ledger else await fetch_ledger(kube, namespace, name)


async def _find_set(kube: Kube, namespace: str, name: str, known: Known, heard: Heard) -> Json | None:
    path = paths.statefulsets(namespace, name)
    try:
        return await latest_of(kube, path, known.stateful_set if known.holds else None, heard.stateful_set)
    except NotFound:
        return None


def _deletes_claims(raw: Mapping[str, Any]) -> bool:
    policy = raw["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return "Delete" in (policy.get("whenScaled"), policy.get("whenDeleted"))


async def _with_claims(kube: Kube, namespace: str, pods: Sequence[PodView]) -> tuple[PodView, ...]:
    owned: dict[str, list[str]] = {}
    for claim in await kube.list_all(paths.persistentvolumeclaims(namespace)):
        for owner in claim["metadata"].get("ownerReferences") or ():
            if owner["kind"] == "Pod":
                owned.setdefault(owner["uid"], []).append(claim["metadata"]["name"])
    return tuple(replace(pod, volumes_owned_by_pod=tuple(owned.get(pod.uid, ()))) for pod in pods)


def rollout_of(raw: Json, spec: Spec) -> Rollout:
    """Read a StatefulRollout whose spec has been read."""
    metadata = raw["metadata"]
    return Rollout(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        spec=spec,
        created=views.seconds_of(metadata["creationTimestamp"]) or 0.0,
    )


def spec_of(rollout: Json) -> Spec | tuple[Problem, ...]:
    """The spec of a StatefulRollout, or why it cannot be read."""
    return _parse(json.dumps(rollout["spec"], sort_keys=True))


@functools.lru_cache(maxsize=1024)
def _parse(text: str) -> Spec | tuple[Problem, ...]:
    """`parse_spec` of a spec as JSON: the same text comes with every pass."""
    return parse_spec(json.loads(text))


def dependencies_of(rollout: Json) -> tuple[str, ...]:
    """Names of the StatefulRollouts that it depends on."""
    return tuple(entry["name"] for entry in rollout["spec"].get("dependsOn") or ())
