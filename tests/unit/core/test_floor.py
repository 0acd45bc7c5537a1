"""Our PodDisruptionBudgets: what nobody evicts, whether or not the operator runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from statefulrollout.api import names
from statefulrollout.core.actions import Action, LimitBudget, MakeBudget, MarkPod, Motion, RemoveBudget
from statefulrollout.core.floor import ALL, plan_floor
from statefulrollout.core.ledger import Ledger
from statefulrollout.core.plan import decide
from statefulrollout.core.snapshot import BudgetView, Floor, OwnBudget, PodView, StatefulSetView
from statefulrollout.core.stages import places_of
from tests.builders import NOW, a_floor, a_ledger, a_rolling_set, a_set, a_snapshot, pods

USERS = BudgetView("pdb", 1, frozenset({"uid-db-2"}))
FLOOR, ROLLING = a_floor(2), a_floor(ALL)
UNCOUNTED = replace(ROLLING, in_motion=OwnBudget("uid-in-motion", ALL, observed=False))
CHANGED = replace(ROLLING, at_rest=OwnBudget("uid-at-rest", ALL, observed=False))
NOT_IN_MOTION = {"key": names.IN_MOTION_LABEL, "operator": "DoesNotExist"}
IN_MOTION = MakeBudget(
    "db-statefulrollout-in-motion",
    "uid-ledger",
    {"minAvailable": ALL, "selector": {"matchLabels": {names.IN_MOTION_LABEL: "db"}}},
)
REMOVAL = RemoveBudget("db-statefulrollout-at-rest", "uid-at-rest")


def at_rest(kept: int) -> MakeBudget:
    spec = {
        "minAvailable": kept,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": {"app": "db"}, "matchExpressions": [NOT_IN_MOTION]},
    }
    return MakeBudget("db-statefulrollout-at-rest", "uid-ledger", spec)


def planned(floor: Floor | None, target: StatefulSetView, *present: PodView, **fields: Any) -> list[Action]:
    target = replace(target, selector={"matchLabels": {"app": "db"}})
    snapshot = replace(a_snapshot(target, *present, **fields), floor=floor)
    return [*plan_floor(snapshot, target, places_of(snapshot, NOW))]


def to(kept: int) -> LimitBudget:
    return LimitBudget("db-statefulrollout-at-rest", "uid-at-rest", kept)


def test_one_pod_at_a_time_and_never_the_only_one_may_be_evicted_behind_our_back() -> None:
    assert planned(Floor(), a_set(3), *pods(3)) == [IN_MOTION, at_rest(2)]
    assert planned(Floor(), a_set(1), *pods(1)) == [IN_MOTION, at_rest(ALL)]
    assert planned(FLOOR, a_set(3), *pods(3)) == []


def test_no_budget_is_made_before_there_is_a_ledger_that_owns_it() -> None:
    assert planned(Floor(), a_set(3), *pods(3), ledger=Ledger()) == []


def test_what_was_not_looked_at_is_left_alone() -> None:
    assert planned(None, a_set(3), *pods(3)) == []


def test_the_budget_over_those_at_rest_follows_the_replicas() -> None:
    assert planned(FLOOR, a_set(1), *pods(1)) == [to(ALL)]
    assert planned(replace(FLOOR, at_rest=None), a_set(1), *pods(1)) == [at_rest(ALL)]
    assert planned(ROLLING, a_set(3), *pods(3)) == [to(2)]


def test_while_a_pod_is_to_leave_no_other_may_be_evicted_behind_our_back() -> None:
    assert planned(FLOOR, a_rolling_set(), *pods(3)) == [to(ALL)]
    assert planned(FLOOR, a_set(2), *pods(3)) == [to(ALL)]
    assert planned(ROLLING, a_rolling_set(), *pods(3)) == []


def test_what_a_budget_of_the_user_selects_is_left_to_that() -> None:
    assert planned(Floor(), a_set(3), *pods(3), budgets=(USERS,)) == [IN_MOTION]
    assert planned(FLOOR, a_set(3), *pods(3), budgets=(USERS,)) == [REMOVAL]
    everything = replace(USERS, pods=frozenset(pod.uid for pod in pods(3)))
    assert planned(Floor(), a_set(3), *pods(3), budgets=(everything,)) == []


def test_what_the_set_selects_by_expressions_is_selected_by_the_budget_too() -> None:
    tier = {"key": "tier", "operator": "Exists"}
    target = a_set(3, selector={"matchExpressions": [tier]})
    (made,) = plan_floor(replace(a_snapshot(target), floor=Floor()), target, ())
    assert isinstance(made, MakeBudget)
    assert made.spec["selector"] == {"matchExpressions": [tier, NOT_IN_MOTION]}


@pytest.mark.parametrize(
    ("awaited", "floor", "budgets"),
    [
        ("in-motion", Floor(), ()),
        ("in-motion", UNCOUNTED, ()),
        ("at-rest", FLOOR, ()),
        ("at-rest", CHANGED, ()),
        ("", ROLLING, ()),
        ("", Floor(), (USERS,)),
    ],
)
def test_no_pod_goes_before_those_in_motion_are_protected_but_for_those_that_the_user_protects(
    awaited: str, floor: Floor, budgets: tuple[BudgetView, ...]
) -> None:
    snapshot = a_snapshot(a_rolling_set(), *pods(3), ledger=a_ledger(), budgets=budgets)
    plan = decide(replace(snapshot, floor=floor), NOW)
    marks = [action for action in plan.actions if isinstance(action, MarkPod)]
    if awaited:
        assert marks == []
        waiting = plan.waiting["uid-db-2"]
        assert (waiting.name, waiting.observed) == (
            "pods_in_motion_are_protected", f"PodDisruptionBudget db-statefulrollout-{awaited} is not up to date yet",
        )  # fmt: skip
        assert plan.recheck_at == (NOW + 0.5 if floor in (UNCOUNTED, CHANGED) else None)
    else:
        assert [(mark.pod.name, mark.motion) for mark in marks] == [
            ("db-2", Motion.AT_REST if budgets else Motion.IN_MOTION)
        ]
