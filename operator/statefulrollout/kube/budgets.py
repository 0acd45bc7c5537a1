"""Which PodDisruptionBudgets there are over the pods of a StatefulSet: the users', and our own.

They are read while a pod is to leave. While all rest, that ours stand is looked at once, when the operator or the
number of pods is new, and then every few minutes: what users do to budgets tells nobody, and matters only to evictions,
which wake us.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from statefulrollout.core.floor import name_at_rest, name_in_motion, plan_floor
from statefulrollout.core.snapshot import BudgetView, Floor, OwnBudget, PodView, Snapshot, StatefulSetView
from statefulrollout.kube import paths, views
from statefulrollout.kube.client import Kube

Json = dict[str, Any]

TRUSTED_SECONDS = 240.0
"""How long our budgets are taken to stand while all pods are at rest; less than a sweep, so that each one looks."""
TRUSTED_IN_MOTION_SECONDS = 30.0
"""And while any is to leave."""


async def list_budgets(kube: Kube, namespace: str) -> list[Json]:
    """All budgets of a namespace. Raises what every read raises."""
    return await kube.list_all(paths.poddisruptionbudgets(namespace))


def budgets_of(
    listed: Sequence[Json], target: StatefulSetView, pods: Sequence[PodView]
) -> tuple[tuple[BudgetView, ...], Floor]:
    """The budgets of others that select these pods, and our own."""
    found = {raw["metadata"]["name"]: raw for raw in listed}
    ours = [found.pop(name, None) for name in (name_in_motion(target.name), name_at_rest(target.name))]
    budgets = (views.budget_of(raw, pods) for raw in found.values())
    return tuple(budget for budget in budgets if budget.pods), Floor(*map(_own_budget_of, ours))


def _own_budget_of(raw: Json | None) -> OwnBudget | None:
    if raw is None:
        return None
    counted = views.budget_of(raw, ()).observed
    return OwnBudget(raw["metadata"]["uid"], raw["spec"].get("minAvailable"), counted)


class FloorMemory:
    """When the floor of one StatefulSet was last seen to stand."""

    def __init__(self, clock: Callable[[], float]):
        """`clock` is in seconds, of any epoch."""
        self._clock = clock
        self._seen: tuple[str, int] | None = None
        self._looked = -math.inf

    def stands(self, target: StatefulSetView) -> bool:
        """Whether it is known to, for as many pods as there shall be."""
        return self._seen == (target.uid, target.replicas) and self._clock() < self._looked + TRUSTED_SECONDS

    def is_due(self) -> bool:
        """Whether it was looked at too long ago for pods in motion."""
        return self._clock() >= self._looked + TRUSTED_IN_MOTION_SECONDS

    def note(self, snapshot: Snapshot, target: StatefulSetView) -> None:
        """Remember what was seen of the pods at rest."""
        unfinished = not snapshot.ledger.uid or plan_floor(snapshot, target, ())
        self._seen = None if unfinished else (target.uid, target.replicas)
        self._looked = self._clock()
