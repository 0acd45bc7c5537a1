"""Reads everything that one rollout rests on, live and consistently, into one snapshot.

Caches may wake us; they never answer. What is costly is read only where it is needed: EndpointSlices while a pod is
being isolated, claims where the set deletes them, and what only those look at who choose pods while one is to leave.
What was read before only saves time: it says where to look first, and a pod of the same version is the same.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from statefulrollout.api.v1alpha1 import OrderBy, PodUpdate, Spec
from statefulrollout.api.walk import calls_of
from statefulrollout.core.asks import Report
from statefulrollout.core.dependencies import motion_of, unfinished_of
from statefulrollout.core.evicting import is_evicted
from statefulrollout.core.ledger import Ledger
from statefulrollout.core.ordering import ZONE_LABEL
from statefulrollout.core.snapshot import (
    PodView,
    Rollout,
    ServiceView,
    Snapshot,
    StatefulSetView,
)
from statefulrollout.core.validation import Problem, parse_spec
from statefulrollout.errors import NotFound
from statefulrollout.kube import paths, views
from statefulrollout.kube.anchors import Anchors, fetch_cordoned
from statefulrollout.kube.budgets import FloorMemory, fetch_budgets
from statefulrollout.kube.client import Kube
from statefulrollout.kube.isolation import Isolation
from statefulrollout.kube.ledger import fetch_ledger
from statefulrollout.kube.zones import Zones

Json = dict[str, Any]


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

    `ours` are those of one StatefulSet, the oldest first: it is the one that rolls. `all` are all of the namespace.
    """

    ours: Sequence[Json]
    all: Sequence[Json] = ()


@dataclass
class Known:
    """What was last read of a StatefulSet: its selector, and its pods by UID."""

    selector: str | None = None
    pods: Mapping[str, PodView] = field(default_factory=dict)


@dataclass(frozen=True)
class Memory:
    """What is remembered of a StatefulSet from pass to pass: to forget it costs time and reads, never safety."""

    isolation: Isolation
    zones: Zones
    floor: FloorMemory
    anchors: Anchors = field(default_factory=Anchors)
    known: Known = field(default_factory=Known)


async def fetch_rollouts(kube: Kube, namespace: str, target: str, heard_of: Sequence[str] = ()) -> Rollouts:
    """Read the StatefulRollouts of a StatefulSet, and their neighbours where they matter.

    `heard_of` are the names of those that watches have shown. One that stands alone is read by itself; whoever has
    heard of none, or of one that is not so any more, reads them all.
    """
    if len(heard_of) == 1:
        with suppress(NotFound):
            alone = await kube.call("GET", paths.statefulrollouts(namespace, heard_of[0]))
            if _rolls(alone, target) and not _minds_others(alone):
                return Rollouts([alone])
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


async def fetch_workload(kube: Kube, namespace: str, name: str, known: Known | None = None) -> Workload:
    """Read the StatefulSet, its pods and its ledger: all at once where what selects the pods is known."""
    known = known or Known()
    reading = (
        asyncio.create_task(fetch_ledger(kube, namespace, name)),
        asyncio.create_task(_find_set(kube, namespace, name)),
        asyncio.create_task(_list_pods(kube, namespace, known.selector)),
    )
    try:
        ledger, raw, listed = await asyncio.gather(*reading)
    finally:
        for task in reading:
            task.cancel()
    if raw is None:
        return Workload(None, (), ledger, {})
    target = views.stateful_set_of(raw)
    selector = views.selector_of(raw["spec"]["selector"])
    if selector != known.selector:
        listed = await _list_pods(kube, namespace, selector)
    pods = tuple(_view_of(pod, known.pods) for pod in listed if _belongs_to(pod, target.uid))
    known.selector, known.pods = selector, {pod.uid: pod for pod in pods}
    if _deletes_claims(raw):
        pods = await _with_claims(kube, namespace, pods)
    return Workload(target, pods, ledger, raw)


async def _find_set(kube: Kube, namespace: str, name: str) -> Json | None:
    try:
        return await kube.call("GET", paths.statefulsets(namespace, name))
    except NotFound:
        return None


async def _list_pods(kube: Kube, namespace: str, selector: str | None) -> list[Json]:
    """The pods that the selector selects; none where it is not known."""
    if selector is None:
        return []
    return await kube.list_all(paths.pods(namespace), params={"labelSelector": selector})


def _view_of(raw: Json, known: Mapping[str, PodView]) -> PodView:
    before = known.get(raw["metadata"]["uid"])
    return before if before and before.version == raw["metadata"].get("resourceVersion") else views.pod_of(raw)


def _belongs_to(pod: Json, uid: str) -> bool:
    owner = views.controller_of(pod["metadata"])
    return owner is not None and owner["uid"] == uid


def _deletes_claims(raw: Json) -> bool:
    policy = raw["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return "Delete" in (policy.get("whenScaled"), policy.get("whenDeleted"))


async def _with_claims(kube: Kube, namespace: str, pods: Sequence[PodView]) -> tuple[PodView, ...]:
    owned: dict[str, list[str]] = {}
    for claim in await kube.list_all(paths.persistentvolumeclaims(namespace)):
        for owner in claim["metadata"].get("ownerReferences") or ():
            if owner["kind"] == "Pod":
                owned.setdefault(owner["uid"], []).append(claim["metadata"]["name"])
    return tuple(replace(pod, volumes_owned_by_pod=tuple(owned.get(pod.uid, ()))) for pod in pods)


async def observe(
    kube: Kube,
    rollouts: Rollouts,
    workload: Workload,
    reports: Mapping[str, Report],
    memory: Memory,
) -> Snapshot | tuple[Problem, ...]:
    """Complete the workload to a snapshot for the rollout that rolls it, or say why its spec cannot be read."""
    raw = rollouts.ours[0]
    spec = _parse(json.dumps(raw["spec"], sort_keys=True))
    if not isinstance(spec, Spec):
        return spec
    namespace = raw["metadata"]["namespace"]
    seen = Snapshot(
        rollout=_rollout_of(raw, spec),
        target=workload.target,
        pods=workload.pods,
        ledger=workload.ledger,
        reports=reports,
        isolated=await memory.isolation.observe(kube, namespace, workload.pods),
        services=await _fetch_services(kube, namespace, spec, workload.target),
        dependencies={each["metadata"]["name"]: _names_in(each) for each in rollouts.all},
    )
    now = memory.isolation.now()
    target, rests = workload.target, _rests(workload, now)
    if target is None or (rests and memory.floor.stands(target)):
        return seen
    budgets, floor = await fetch_budgets(kube, namespace, target, workload.pods)
    seen = replace(seen, budgets=budgets, floor=floor)
    memory.floor.note(seen, target)
    if rests:
        return seen
    anchors = await memory.anchors.of(kube, namespace, workload.pods)
    return replace(
        seen,
        zones=await _fetch_zones(memory.zones, spec, workload),
        unfinished=await _fetch_unfinished(kube, namespace, rollouts),
        motion=await _fetch_motion(kube, namespace, rollouts, now),
        templates=await _fetch_templates(kube, namespace, spec, workload),
        anchors=anchors,
        cordoned=await fetch_cordoned(kube, {pod.node for pod in workload.pods if pod.uid in anchors}),
    )


def _rollout_of(raw: Json, spec: Spec) -> Rollout:
    metadata = raw["metadata"]
    return Rollout(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        spec=spec,
        created=views.seconds_of(metadata["creationTimestamp"]) or 0.0,
    )


@functools.lru_cache(maxsize=1024)
def _parse(text: str) -> Spec | tuple[Problem, ...]:
    """`parse_spec` of a spec as JSON: the same text comes with every pass."""
    return parse_spec(json.loads(text))


def _rests(workload: Workload, now: float) -> bool:
    """Whether no pod is to leave, nor may have to."""
    target = workload.target
    return target is None or all(
        pod.revision == target.current_revision == target.update_revision
        and pod.ordinal in target.ordinals
        and not is_evicted(pod, now)
        for pod in workload.pods
    )


async def _fetch_zones(zones: Zones, spec: Spec, workload: Workload) -> Mapping[str, str]:
    order = spec.strategy.order
    if order.by is not OrderBy.ZONE:
        return {}
    return await zones.of({pod.node for pod in workload.pods}, order.topology_key or ZONE_LABEL)


async def _fetch_motion(kube: Kube, namespace: str, rollouts: Rollouts, now: float) -> str:
    """Which pod of another set in our group is in motion."""
    ours = rollouts.ours[0]
    group = ours["spec"].get("group")
    if group is None:
        return ""
    for raw in rollouts.all:
        target = raw["spec"]["targetRef"]["name"]
        if raw["spec"].get("group") != group or target == ours["spec"]["targetRef"]["name"]:
            continue
        spec = _parse(json.dumps(raw["spec"], sort_keys=True))
        if not isinstance(spec, Spec):
            return f"StatefulRollout {raw['metadata']['name']} of this group cannot be read: {spec[0]}"
        other = await fetch_workload(kube, namespace, target)
        if found := motion_of(_bare_snapshot(raw, spec, other), now):
            return found
    return ""


def _bare_snapshot(raw: Json, spec: Spec, workload: Workload) -> Snapshot:
    """As much of another set as tells which of its pods are in motion."""
    return Snapshot(_rollout_of(raw, spec), workload.target, workload.pods, workload.ledger)


async def _fetch_templates(
    kube: Kube, namespace: str, spec: Spec, workload: Workload
) -> Mapping[str, Mapping[str, Any]]:
    """The pod templates of the set's revisions, where a pod may be updated in place."""
    target = workload.target
    if spec.strategy.pod_update is PodUpdate.RECREATE or target is None:
        return {}
    selector = {"labelSelector": views.selector_of(workload.raw["spec"]["selector"])}
    listed = await kube.list_all(paths.controllerrevisions(namespace), params=selector)
    return {raw["metadata"]["name"]: views.template_of(raw) for raw in listed if _belongs_to(raw, target.uid)}


def _names_in(rollout: Json) -> tuple[str, ...]:
    return tuple(entry["name"] for entry in rollout["spec"].get("dependsOn") or ())


async def _fetch_unfinished(kube: Kube, namespace: str, rollouts: Rollouts) -> dict[str, str]:
    """What those that ours depends on still have before them."""
    wanted = _names_in(rollouts.ours[0])
    targets = {each["metadata"]["name"]: each["spec"]["targetRef"]["name"] for each in rollouts.all}
    found: dict[str, str] = {}
    for name in (name for name in wanted if name in targets):
        try:
            raw = await kube.call("GET", paths.statefulsets(namespace, targets[name]))
        except NotFound:
            found[name] = f"there is no StatefulSet {targets[name]}"
        else:
            found[name] = unfinished_of(views.stateful_set_of(raw))
    return found


async def _fetch_services(
    kube: Kube, namespace: str, spec: Spec, target: StatefulSetView | None
) -> dict[str, ServiceView]:
    numbers = target.port_numbers if target else {}
    found: dict[str, ServiceView] = {}
    for name in sorted({call.service.name for _, call in calls_of(spec) if call.service}):
        try:
            found[name] = views.service_of(await kube.call("GET", paths.services(namespace, name)), numbers)
        except NotFound:
            continue
    return found
