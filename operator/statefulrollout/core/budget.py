"""How many pods may be away: the arithmetic of `maxUnavailable`, apart from which pod and how.

The budget limits *new* unavailability. What is unavailable already, for whatever reason, counts against it: a
missing pod, a terminating one, one that is not ready, whose gate is closed, or that has not soaked yet.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from statefulrollout.core.snapshot import StatefulSetView
from statefulrollout.core.stages import Place


def max_unavailable_of(value: int | str, replicas: int) -> int:
    """Resolve `strategy.maxUnavailable`: a percentage is of `spec.replicas`, rounded down, and at least 1."""
    if isinstance(value, int):
        return value
    return max(1, replicas * int(value.removesuffix("%")) // 100)


def unavailable_ordinals(
    target: StatefulSetView, places: Sequence[Place], chosen: Collection[str] = ()
) -> frozenset[int]:
    """The wanted ordinals without an available pod, as if the pods in `chosen` (UIDs) were gone."""
    available = {place.pod.ordinal for place in places if place.available and place.pod.uid not in chosen}
    return frozenset(ordinal for ordinal in target.ordinals if ordinal not in available)
