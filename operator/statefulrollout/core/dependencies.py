"""Which other StatefulRollouts of the namespace ours heeds: those that come first, and those of its group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from statefulrollout.core.budget import chosen_before
from statefulrollout.core.snapshot import Snapshot, StatefulSetView
from statefulrollout.core.stages import COMING_BACK, IN_MOTION, places_of


def unfinished_of(target: StatefulSetView) -> str:
    """What a StatefulSet still has before it, in words; empty where its revision is accepted and all pods are ready."""
    if not target.observed:
        return f"StatefulSet {target.name} has just changed"
    if target.current_revision != target.update_revision:
        return f"revision {target.update_revision} is not accepted yet"
    least = min(target.updated, target.ready)
    return f"{least} of {target.replicas} pods are updated and ready" if least < target.replicas else ""


def dependency_in_the_way(snapshot: Snapshot) -> str:
    """The first dependency that is not complete, and why; empty where all are."""
    for dependency in snapshot.rollout.spec.depends_on:
        if dependency.name not in snapshot.dependencies:
            return f"there is no StatefulRollout {dependency.name}: create it, or remove it from spec.dependsOn"
        if why := snapshot.unfinished.get(dependency.name, ""):
            return f"{dependency.name}: {why}"
    return ""


def motion_of(snapshot: Snapshot, now: float) -> str:
    """The first pod of a set that is on its way out or not yet back, in words; empty where all rest.

    One that was chosen, and does not show it yet, counts: the write may still come.
    """
    chosen = chosen_before(snapshot)
    for place in places_of(snapshot, now):
        if place.stage in IN_MOTION | COMING_BACK:
            return f"{place.pod.name} is {place.stage.value}"
        if place.pod.uid in chosen:
            return f"{place.pod.name} is about to leave"
    return ""


def cycle_of(name: str, dependencies: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A way along the dependencies from `name` back to itself, both ends included; empty where there is none."""
    ways: list[tuple[str, ...]] = [(name,)]
    visited: set[str] = set()
    while ways:
        way = ways.pop()
        for following in dependencies.get(way[-1], ()):
            if following == name:
                return (*way, name)
            if following not in visited:
                visited.add(following)
                ways.append((*way, following))
    return ()
