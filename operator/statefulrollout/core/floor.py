"""The floor: what nobody evicts, not even while the operator is down and no webhook holds an eviction.

Two PodDisruptionBudgets of ours divide the pods of a StatefulSet by a label, so that none is under both; Kubernetes
evicts no pod that two budgets select. Of the pods in motion none goes. Of the others one at a time goes, and never the
only one; broken pods always do, and so do released ones, which have left both service and the label. Where a budget of
the user's selects a pod, that one alone decides about it.
"""

from __future__ import annotations

from statefulrollout.api import names
from statefulrollout.core.actions import MakeBudget, RemoveBudget
from statefulrollout.core.snapshot import PodView, Snapshot, StatefulSetView


def name_in_motion(stateful_set: str) -> str:
    """The name of our PodDisruptionBudget over the pods of a StatefulSet that are in motion."""
    return f"{stateful_set}-statefulrollout-in-motion"


def name_at_rest(stateful_set: str) -> str:
    """The name of the one over all others."""
    return f"{stateful_set}-statefulrollout-at-rest"


def is_under_the_floor(snapshot: Snapshot, pod: PodView) -> bool:
    """Whether our budget protects the pod while it is in motion: not where a budget of the user's selects it."""
    return not any(pod.uid in budget.pods for budget in snapshot.budgets)


def plan_floor(snapshot: Snapshot, target: StatefulSetView) -> tuple[MakeBudget | RemoveBudget, ...]:
    """What brings our budgets to what they shall be; nothing where nobody looked at them."""
    floor = snapshot.floor
    if floor is None:
        return ()
    plan: list[MakeBudget | RemoveBudget] = []
    if floor.in_motion is None and any(is_under_the_floor(snapshot, pod) for pod in snapshot.pods):
        plan.append(_budget_in_motion(target))
    if floor.at_rest is None:
        plan += () if snapshot.budgets else (_budget_at_rest(target),)
    elif snapshot.budgets or floor.at_rest.limit != _limit_at_rest(target):
        # Made anew by the next pass where it shall only be another.
        plan.append(RemoveBudget(name_at_rest(target.name), floor.at_rest.uid))
    return tuple(plan)


def _limit_at_rest(target: StatefulSetView) -> int:
    return 1 if target.replicas > 1 else 0


def _budget_in_motion(target: StatefulSetView) -> MakeBudget:
    selector = {"matchLabels": {names.IN_MOTION_LABEL: target.name}}
    return MakeBudget(name_in_motion(target.name), {"maxUnavailable": 0, "selector": selector})


def _budget_at_rest(target: StatefulSetView) -> MakeBudget:
    not_in_motion = {"key": names.IN_MOTION_LABEL, "operator": "DoesNotExist"}
    expressions = [*(target.selector.get("matchExpressions") or ()), not_in_motion]
    spec = {
        "maxUnavailable": _limit_at_rest(target),
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {**target.selector, "matchExpressions": expressions},
    }
    return MakeBudget(name_at_rest(target.name), spec)
