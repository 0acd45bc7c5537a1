"""What a rollout of one pod at a time waits for, leg by leg, told from outside by the pods alone.

One pod goes after the other, so that at every moment there is one next thing to come, and somebody who lets it come:
from one to the next is a leg, and all legs together are the whole rollout.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from e2e.harness.journal import PODS, Change
from e2e.harness.pods import Pod
from statefulrollout.api import names

Turn = Callable[[Pod | None, Pod | None], bool]
"""Whether something came about between two versions of a pod; None where there was, or is, none."""


def _came(kind: str) -> Turn:
    return lambda before, now: now is not None and now.is_true(kind) and not (before and before.is_true(kind))


def _went(kind: str) -> Turn:
    return lambda before, now: bool(before and now and before.is_true(kind) and not now.is_true(kind))


CLOSED = "operator: closes the gate of the next pod"
DARK = "kubelet: the pod is not ready any more"
RELEASED = "operator: releases it, once no EndpointSlice shows it"
DELETED = "operator (natively the StatefulSet controller): deletes it"
GONE = "kubelet: the pod stops, and is gone"
MADE = "StatefulSet controller: makes the new pod"
STARTED = "scheduler and kubelet: its containers are ready"
OPENED = "operator: opens its gate"
READY = "kubelet: the pod is ready"

LEGS: Mapping[str, Turn] = {
    CLOSED: _went(names.SERVING),
    DARK: _went("Ready"),
    RELEASED: _came(names.RELEASED),
    DELETED: lambda before, now: bool(before and now and now.terminating and not before.terminating),
    GONE: lambda before, now: before is not None and now is None,
    MADE: lambda before, now: before is None and now is not None,
    STARTED: _came("ContainersReady"),
    OPENED: _came(names.SERVING),
    READY: _came("Ready"),
}
"""The ends of all legs, by who is waited for and what comes, in the order in which they come."""
DEEDS = (CLOSED, RELEASED, DELETED, OPENED)
"""What the operator does."""


def legs_in(changes: Iterable[Change], first: int = 0) -> Mapping[str, Sequence[float]]:
    """Seconds of every leg, from the end of the one before; meant for pods that go one at a time.

    What was before the change with the number `first` only says how the pods were. The leg to the first end is left
    out: nobody knows when it began.
    """
    found, last = defaultdict[str, list[float]](list), None
    for number, (change, before, now) in enumerate(_turns(changes)):
        if number < first:
            continue
        for leg, ends in LEGS.items():
            if ends(before, now):
                if last is not None:
                    found[leg].append(change.at - last)
                last = change.at
    return found


def first_deed(changes: Iterable[Change], after: float) -> float | None:
    """When the operator first did something to a pod that was heard of after this time; None where it did nothing."""
    for change, before, now in _turns(changes):
        if change.at > after and before and any(LEGS[deed](before, now) for deed in DEEDS):
            return change.at
    return None


def _turns(changes: Iterable[Change]) -> Iterable[tuple[Change, Pod | None, Pod | None]]:
    """Every change with the pod before and after it; neither where it is no change of a pod."""
    pods = dict[str, Pod]()
    for change in changes:
        if change.plural != PODS:
            yield change, None, None
            continue
        before, now = pods.pop(change.name, None), None if change.gone else Pod(change.item)
        if now is not None:
            pods[change.name] = now
        yield change, before, now


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that so many percent of them do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]
