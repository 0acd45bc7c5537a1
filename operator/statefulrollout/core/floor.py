"""The floor: what nobody evicts, not even while the operator is down and no webhook holds an eviction.

Two PodDisruptionBudgets of ours divide the pods of a StatefulSet by a label, so that none is under both; Kubernetes
evicts no pod that two budgets select. Of the pods in motion none goes, and of the others none while any is to leave:
their controller does not notice that a label took a pod out of a budget, but allows nothing under a spec that it has
not seen. While all are at rest, one at a time goes, and never the only one. Broken pods always do. Released ones are
under neither: one without a gate is ready to the last. Where a budget of the user's selects a pod, that one alone
decides about it.
"""

from __future__ import annotations

from collections.abc import Collection

from statefulrollout.api import names
from statefulrollout.core.actions import LimitBudget, MakeBudget, RemoveBudget
from statefulrollout.core.snapshot import Floor, OwnBudget, PodView, Snapshot, StatefulSetView
from statefulrollout.core.stages import Place

ALL = 2**31 - 1
"""`minAvailable` that no number of pods reaches; `maxUnavailable: 0` follows a scale-down, and gives the rest away."""


def name_in_motion(stateful_set: str) -> str:
    """The name of our PodDisruptionBudget over the pods of a StatefulSet that are in motion."""
    return f"{stateful_set}-statefulrollout-in-motion"


def name_at_rest(stateful_set: str) -> str:
    """The name of the one over all others."""
    return f"{stateful_set}-statefulrollout-at-rest"


def is_under_the_floor(snapshot: Snapshot, pod: PodView) -> bool:
    """Whether our budget protects the pod while it is in motion: not where a budget of the user's selects it."""
    return not any(pod.uid in budget.pods for budget in snapshot.budgets)


def missing_floor(snapshot: Snapshot, target: StatefulSetView, pod: PodView) -> str:
    """The name of the budget that has to be made or counted before the pod may leave; empty where none has."""
    in_motion = snapshot.floor.in_motion if snapshot.floor else None
    at_rest = snapshot.floor.at_rest if snapshot.floor else None
    if is_under_the_floor(snapshot, pod) and not _stands(in_motion):
        return name_in_motion(target.name)
    return "" if snapshot.budgets or _stands(at_rest) else name_at_rest(target.name)


def plan_floor(
    snapshot: Snapshot, target: StatefulSetView, places: Collection[Place]
) -> tuple[MakeBudget | LimitBudget | RemoveBudget, ...]:
    """What brings our budgets to what they shall be; nothing where nobody looked, or no ledger could own them yet."""
    floor, ledger, plan = snapshot.floor, snapshot.ledger.uid, list[MakeBudget | LimitBudget | RemoveBudget]()
    if floor is None or not ledger:
        return ()
    if floor.in_motion is None and any(is_under_the_floor(snapshot, place.pod) for place in places):
        plan.append(_budget_in_motion(target, ledger))
    kept, name = kept_at_rest(target, places), name_at_rest(target.name)
    if floor.at_rest is None:
        plan += () if snapshot.budgets else (_budget_at_rest(target, ledger, kept),)
    elif snapshot.budgets:
        plan.append(RemoveBudget(name, floor.at_rest.uid))
    elif floor.at_rest.keeps != kept:
        plan.append(LimitBudget(name, floor.at_rest.uid, kept))
    return tuple(plan)


def without_the_floor(floor: Floor, target: StatefulSetView) -> tuple[RemoveBudget, ...]:
    """What removes both, once nothing is in motion and nobody rolls the StatefulSet any more."""
    named = ((name_in_motion(target.name), floor.in_motion), (name_at_rest(target.name), floor.at_rest))
    return tuple(RemoveBudget(name, budget.uid) for name, budget in named if budget is not None)


def kept_at_rest(target: StatefulSetView, places: Collection[Place]) -> int:
    """How many pods at rest there must be for one to be evicted behind our back, itself not counted."""
    at_rest = all(place.leaves_for is None for place in places)
    return target.replicas - 1 if at_rest and target.replicas > 1 else ALL


def _stands(budget: OwnBudget | None) -> bool:
    return budget is not None and budget.observed and budget.keeps == ALL


def _budget_in_motion(target: StatefulSetView, ledger_uid: str) -> MakeBudget:
    selector = {"matchLabels": {names.IN_MOTION_LABEL: target.name}}
    return MakeBudget(name_in_motion(target.name), ledger_uid, {"minAvailable": ALL, "selector": selector})


def _budget_at_rest(target: StatefulSetView, ledger_uid: str, kept: int) -> MakeBudget:
    not_in_motion = {"key": names.IN_MOTION_LABEL, "operator": "DoesNotExist"}
    expressions = [*(target.selector.get("matchExpressions") or ()), not_in_motion]
    spec = {
        "minAvailable": kept,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {**target.selector, "matchExpressions": expressions},
    }
    return MakeBudget(name_at_rest(target.name), ledger_uid, spec)
