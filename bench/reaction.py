"""How long the operator takes to act on what it sees, told from outside by the pods alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from e2e.harness.journal import PODS, Change
from e2e.harness.pods import Pod
from statefulrollout.api import names

Turn = Callable[[Pod | None, Pod], bool]
"""Whether something came about between two versions of a pod; None where there was none."""


def _came(kind: str) -> Turn:
    return lambda before, now: now.is_true(kind) and not (before and before.is_true(kind))


def _went(kind: str) -> Turn:
    return lambda before, now: before is not None and before.is_true(kind) and not now.is_true(kind)


REACTIONS: Mapping[str, tuple[Turn, Turn]] = {
    "a pod is ready: the gate of the next one is closed": (_came("Ready"), _went(names.SERVING)),
    "a pod is not ready any more: it is released": (_went("Ready"), _came(names.RELEASED)),
    "the containers of a new pod are ready: its gate is opened": (_came("ContainersReady"), _came(names.SERVING)),
}
"""What is to be seen, and what is done upon it."""


def reactions_in(changes: Iterable[Change], first: int = 0) -> Mapping[str, Sequence[float]]:
    """Seconds from each sight to the next deed, of every kind; meant for pods that go one at a time.

    What was before the change with the number `first` only says how the pods were.
    """
    pods, seen = dict[str, Pod](), dict[str, float]()
    found = defaultdict[str, list[float]](list)
    for number, change in enumerate(changes):
        if number == first:
            seen, found = {}, defaultdict(list)
        if change.plural != PODS:
            continue
        before = pods.pop(change.name, None)
        if change.gone:
            continue
        pods[change.name] = now = Pod(change.item)
        for kind, (sight, deed) in REACTIONS.items():
            if deed(before, now) and kind in seen:
                found[kind].append(change.at - seen.pop(kind))
            if sight(before, now):
                seen[kind] = change.at
    return found


def first_deed(changes: Iterable[Change], after: float) -> float | None:
    """When the operator first did something to a pod that was heard of after this time; None where it did nothing."""
    pods = dict[str, Pod]()
    for change in changes:
        if change.plural != PODS:
            continue
        before, now = pods.get(change.name), Pod(change.item)
        if change.gone:
            pods.pop(change.name, None)
            continue
        pods[change.name] = now
        if change.at > after and before and any(deed(before, now) for _, deed in REACTIONS.values()):
            return change.at
    return None


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that so many percent of them do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]
