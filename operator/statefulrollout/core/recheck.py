"""When to look again although nothing was heard: pure arithmetic over what is under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from statefulrollout.core.asks import Ask
from statefulrollout.core.evicting import PATIENCE_SECONDS
from statefulrollout.core.measuring import LOOK_SECONDS, wait_to_leave
from statefulrollout.core.membership import dark_since
from statefulrollout.core.ordering import zone_unknown
from statefulrollout.core.stages import IN_MOTION
from statefulrollout.core.step import Stand, Step

VACANT_SECONDS = 2.0
"""Until the next look at a set with a pod missing."""
NODE_SECONDS = 10.0
"""Until the next look whether a node has got the label that the order is by, or takes pods again: no event tells."""
COUNT_SECONDS = 0.5
"""Until the next look whether a controller has counted: the StatefulSet's a pod that left service, or our budget's."""


def recheck_at(
    stand: Stand,
    times_of_others: Sequence[float | None],
    steps: Mapping[str, Step],
    check_asks: Sequence[Ask],
    measures: Sequence[Ask],
) -> float | None:
    """When time alone changes something, seconds since the epoch; None where only an event can.

    A soak is over, a deadline passes, an absence ends, a window opens, or what is measured is another.
    """
    around, now = stand.around, stand.now
    spec, reports = around.snapshot.rollout.spec, around.snapshot.reports
    times = [*times_of_others, *(step.recheck_at for step in steps.values())]
    if measures or (spec.group and wait_to_leave(around.places)):
        times.append(now + LOOK_SECONDS)
    if around.snapshot.ledger.chosen_at is not None:
        times.append(around.snapshot.ledger.chosen_at + spec.strategy.min_seconds_between_pods)
    asks_for_node = zone_unknown(around.snapshot) or bool(around.snapshot.cordoned)
    if asks_for_node and any(place.leaves_for is not None for place in around.places):
        times.append(now + NODE_SECONDS)
    floor = around.snapshot.floor
    if floor and not all(budget is None or budget.observed for budget in (floor.in_motion, floor.at_rest)):
        times.append(now + COUNT_SECONDS)
    target, present = around.snapshot.target, {place.pod.ordinal for place in around.places}
    if target is not None and any(ordinal not in present for ordinal in target.ordinals):
        # One that is created while the webhook does not answer bears no label, and no event tells of it.
        times.append(now + VACANT_SECONDS)
    if stand.turns and any(place.stage in IN_MOTION for place in around.places):
        # No event tells of everything that the StatefulSet controller has counted.
        times.append(now + COUNT_SECONDS)
    times += [
        reports[ask.id].since + check.deadline_seconds
        for check, ask in zip(spec.checks, check_asks, strict=False)
        if ask.id in reports
    ]
    times += [place.pod.eviction_asked + PATIENCE_SECONDS for place in around.places if place.pod.eviction_asked]
    for place in around.places:
        pod, dark = place.pod, dark_since(place.pod)
        if not pod.containers_ready:
            times.append(pod.unready_since + spec.strategy.progress_deadline_seconds)
        if spec.membership is not None:
            silent = [dark, None if pod.containers_ready else pod.unready_since]
            times += [at + spec.membership.unknown_after_seconds for at in silent if at is not None]
    return min((at for at in times if at is not None and at > now), default=None)
