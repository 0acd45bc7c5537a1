"""In which order pods go: from the highest ordinal down, zone by zone, or certain roles last.

Broken pods go first whatever the order: it protects those that serve.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from statefulrollout.api.v1alpha1 import OrderBy
from statefulrollout.core.goal import is_given_up
from statefulrollout.core.measuring import role_of, why_role_is_unknown
from statefulrollout.core.snapshot import PodView, Snapshot
from statefulrollout.core.stages import Place, Stage

ZONE_LABEL = "topology.kubernetes.io/zone"
Turn = tuple[int, str, int]
"""Sorts pods: those of a lower one go earlier."""


def turn_of(snapshot: Snapshot, pod: PodView, now: float) -> Turn:
    """When it is the pod's turn among those that are not broken."""
    order = snapshot.rollout.spec.strategy.order
    zone = snapshot.zones.get(pod.node, "") if order.by is OrderBy.ZONE else ""
    return (_rank_of(snapshot, pod, now), zone, -pod.ordinal)


def _rank_of(snapshot: Snapshot, pod: PodView, now: float) -> int:
    """0 for pods in no order, then those of the roles that go last, in their order."""
    role = snapshot.rollout.spec.strategy.order.role
    value = role_of(snapshot, pod, now)
    return role.last.index(value) + 1 if role and value in role.last else 0


def who_goes_earlier(snapshot: Snapshot, places: Sequence[Place], candidate: Place, now: float) -> str:
    """A pod of an earlier role that has not arrived yet, in words; empty where there is none.

    A pod whose role is not known may be of any: it does not go itself, and those that go last wait for it. On a way
    back it may go: that it does not answer may be the revision that is given up.
    """
    if role_of(snapshot, candidate.pod, now) is None and not is_given_up(snapshot):
        return f"its role is not known: {why_role_is_unknown(snapshot, candidate.pod)}"
    mine = _rank_of(snapshot, candidate.pod, now)
    if not mine:
        return ""
    for place in places:
        if not place.condemned and place.stage is not Stage.UPDATED and _rank_of(snapshot, place.pod, now) < mine:
            return f"{place.pod.name} goes earlier (strategy.order), and is {place.stage.value}"
    return ""


def zone_unknown(snapshot: Snapshot) -> bool:
    """Whether the order is by zone, and that of some pod's node is not known."""
    by_zone = snapshot.rollout.spec.strategy.order.by is OrderBy.ZONE
    return by_zone and any(pod.node and pod.node not in snapshot.zones for pod in snapshot.pods)


def foremost_in_zones(snapshot: Snapshot, places: Sequence[Place], chosen: Collection[str]) -> tuple[Place, ...]:
    """Where the order is by zone: of each the first pod that is away or chosen, and the first that has yet to go."""
    found: dict[tuple[str, bool], Place] = {}
    if snapshot.rollout.spec.strategy.order.by is OrderBy.ZONE:
        for place in places:
            away = not place.available or place.pod.uid in chosen
            if not place.condemned and (away or (place.rolled and place.stage is Stage.SERVING)):
                found.setdefault((snapshot.zones.get(place.pod.node, ""), away), place)
    return tuple(found.values())


def zone_in_the_way(
    snapshot: Snapshot, foremost: Sequence[Place], missing: Sequence[int], chosen: Collection[str], candidate: Place
) -> str:
    """Why the candidate's zone may not be disturbed now, in words; empty where it may.

    `missing` are the wanted ordinals that have no pod.
    """
    order, target = snapshot.rollout.spec.strategy.order, snapshot.target
    if order.by is not OrderBy.ZONE or target is None:
        return ""
    mine = snapshot.zones.get(candidate.pod.node)
    if mine is None:
        return f"node {candidate.pod.node or '?'} has no label {order.topology_key or ZONE_LABEL}"
    if missing:
        return f"{target.name}-{missing[0]} is missing, and its zone is not known"
    for place in foremost:
        zone = snapshot.zones.get(place.pod.node, "")
        away = not place.available or place.pod.uid in chosen
        if away and zone != mine:
            return f"{place.pod.name} in zone {zone or '?'} is {place.stage.value}"
        if candidate.rolled and place.rolled and place.stage is Stage.SERVING and zone < mine:
            return f"zone {zone} is not done yet: {place.pod.name} goes earlier"
    return ""
