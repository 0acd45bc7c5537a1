"""How many pods may be away: the arithmetic of `maxUnavailable`, apart from which pod and how.

The budget limits *new* unavailability. What is unavailable already, for whatever reason, counts against it: a
missing pod, a terminating one, one that is not ready, whose gate is closed, or that has not soaked yet; and so does a
pod that has been chosen and does not show it yet.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from statefulrollout.core.snapshot import Snapshot, StatefulSetView
from statefulrollout.core.stages import Place


def pods_of(value: int | str, replicas: int) -> int:
    """Resolve a number of pods: a percentage is of `spec.replicas`, rounded down, and at least 1."""
    if isinstance(value, int):
        return value
    return max(1, replicas * int(value.removesuffix("%")) // 100)


def unavailable_ordinals(
    target: StatefulSetView, places: Sequence[Place], chosen: Collection[str] = ()
) -> frozenset[int]:
    """The wanted ordinals without an available pod, as if the pods in `chosen` (UIDs) were gone."""
    available = {place.pod.ordinal for place in places if place.available and place.pod.uid not in chosen}
    return frozenset(ordinal for ordinal in target.ordinals if ordinal not in available)


def chosen_before(snapshot: Snapshot) -> frozenset[str]:
    """UIDs of the pods whose being taken out of service was decided and may still come true."""
    versions = {(choice.uid, choice.version) for choice in snapshot.ledger.chosen}
    return frozenset(pod.uid for pod in snapshot.pods if (pod.uid, pod.version) in versions)


def may_all_leave(snapshot: Snapshot) -> bool:
    """Whether there need not be anybody to take over: nobody else is wanted, or a full outage is."""
    target, strategy = snapshot.target, snapshot.rollout.spec.strategy
    if target is None or target.replicas <= 1:
        return True
    limit = pods_of(strategy.max_unavailable, target.replicas)
    return strategy.allow_full_outage and limit >= target.replicas
