"""Reads what the choice of a pod looks at: all as it is now, and also disruption budgets, other sets, and nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from statefulrollout.api.v1alpha1 import Spec
from statefulrollout.core.dependencies import motion_of, unfinished_of
from statefulrollout.core.snapshot import PodView, Rollout, Snapshot, StatefulSetView
from statefulrollout.errors import NotFound
from statefulrollout.kube import paths, views
from statefulrollout.kube.anchors import fetch_cordoned
from statefulrollout.kube.budgets import budgets_of, list_budgets
from statefulrollout.kube.client import Json, Kube
from statefulrollout.kube.memory import Memory
from statefulrollout.kube.workload import (
    Rollouts,
    Workload,
    dependencies_of,
    fetch_rollouts,
    fetch_workload,
    rollout_of,
    spec_of,
)


async def survey(kube: Kube, seen: Snapshot, rollouts: Rollouts, memory: Memory) -> Snapshot | None:
    """Look at everything once more, and add what only the choice of a pod looks at; None where others are asked for.

    That is: budgets, other sets, and the nodes that a pod could come back to. Who is asked for what has changed where
    the StatefulRollout or the StatefulSet has another spec than in `seen`, or is gone.
    """
    namespace, assumed = seen.rollout.namespace, seen.target
    if assumed is None:
        return seen
    memory.known.version = ""
    latest, workload, listed, unfinished, motion = await asyncio.gather(
        fetch_rollouts(kube, namespace, assumed.name, rollouts.ours, memory.known),
        fetch_workload(kube, namespace, assumed.name, memory.known),
        list_budgets(kube, namespace),
        _fetch_unfinished(kube, namespace, rollouts),
        _fetch_motion(kube, namespace, rollouts, memory.isolation.now()),
    )
    target, pods = workload.target, workload.pods
    ours = latest.ours[0] if latest.ours else None
    if target is None or not _is_still(workload.raw, assumed) or not _is_still(ours, seen.rollout):
        memory.known.version = ""
        return None
    anchors, cordoned = await _fetch_anchors(kube, namespace, pods, memory)
    seen = replace(seen, target=target, pods=pods, ledger=workload.ledger, anchors=anchors, cordoned=cordoned)
    seen = replace(seen, unfinished=unfinished, motion=motion)
    return replace(with_budgets(seen, target, listed, memory), surveyed=True)


def _is_still(raw: Mapping[str, Any] | None, assumed: Rollout | StatefulSetView) -> bool:
    """Whether the object is there, is the one that was taken for granted, and asks for the same."""
    metadata = raw["metadata"] if raw else {}
    return (metadata.get("uid"), metadata.get("generation")) == (assumed.uid, assumed.generation)


def with_budgets(seen: Snapshot, target: StatefulSetView, listed: Sequence[Json], memory: Memory) -> Snapshot:
    """Add the disruption budgets of the namespace, ours and those of others."""
    budgets, floor = budgets_of(listed, target, seen.pods)
    seen = replace(seen, budgets=budgets, floor=floor)
    memory.floor.note(seen, target)
    return seen


async def _fetch_anchors(
    kube: Kube, namespace: str, pods: Sequence[PodView], memory: Memory
) -> tuple[Mapping[str, str], frozenset[str]]:
    anchors = await memory.anchors.of(kube, namespace, pods)
    return anchors, await fetch_cordoned(kube, {pod.node for pod in pods if pod.uid in anchors})


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
        spec = spec_of(raw)
        if not isinstance(spec, Spec):
            return f"StatefulRollout {raw['metadata']['name']} of this group cannot be read: {spec[0]}"
        other = await fetch_workload(kube, namespace, target)
        if found := motion_of(_bare_snapshot(raw, spec, other), now):
            return found
    return ""


def _bare_snapshot(raw: Json, spec: Spec, workload: Workload) -> Snapshot:
    """As much of another set as tells which of its pods are in motion."""
    return Snapshot(rollout_of(raw, spec), workload.target, workload.pods, workload.ledger)


async def _fetch_unfinished(kube: Kube, namespace: str, rollouts: Rollouts) -> dict[str, str]:
    """What those that ours depends on still have before them."""
    wanted = dependencies_of(rollouts.ours[0])
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
