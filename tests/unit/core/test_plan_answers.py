"""Decisions that rest on what the application answered and on the time: membership, undo, and when to look again."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.core.actions import MarkPod
from statefulrollout.core.asks import Answer, Report
from statefulrollout.core.ledger import Absence, Ledger, OpenHook
from statefulrollout.core.plan import Plan, decide
from statefulrollout.core.snapshot import PodView, StatefulSetView
from tests.builders import (
    MEMBERSHIP,
    NOW,
    a_check,
    a_hook,
    a_ledger,
    a_pod,
    a_report,
    a_rolling_set,
    a_set,
    a_snapshot,
    a_spec,
    pods,
)

OLD = pods(3)


def plan_for(target: StatefulSetView | None, *present: PodView, now: float = NOW, **seen: Any) -> Plan:
    return decide(a_snapshot(target, *present, **seen), now)


def kinds(plan: Plan) -> list[str]:
    return [type(action).__name__ for action in plan.actions]


def settled(ledger: Ledger, **declaration: Any) -> Ledger:
    return ledger.model_copy(update={"declaration": ledger.declaration.model_copy(update=declaration)})


JOINED = a_spec(membership=MEMBERSHIP)


def test_the_first_declaration_is_written_before_it_is_told() -> None:
    plan = plan_for(a_set(), *OLD, spec=JOINED)
    assert [member.name for member in plan.ledger.declaration.members] == ["db-0", "db-1", "db-2"]
    assert kinds(plan) == ["WriteLedger"]
    assert [ask.id for ask in plan.asks] == [f"membership/{int(NOW * 1000)}/uid-db-0"]


def test_a_declaration_that_is_done_is_asked_no_more() -> None:
    plan = plan_for(a_set(), *OLD, spec=JOINED, ledger=a_ledger(*OLD))
    assert (plan.actions, plan.asks) == ((), ())


MIGRATING = (*OLD[:2], a_pod("db-2").drained("v2"))


@pytest.mark.parametrize(("answer", "released"), [(None, False), (Answer.IN_PROGRESS, False), (Answer.DONE, True)])
def test_a_pod_is_released_only_when_a_membership_without_it_is_done(answer: Answer | None, released: bool) -> None:
    first = plan_for(a_rolling_set(), *MIGRATING, spec=JOINED, ledger=a_ledger(*OLD))
    assert [member.name for member in first.ledger.declaration.members] == ["db-0", "db-1"]
    reports = {first.asks[0].id: a_report(answer)} if answer else {}
    plan = plan_for(a_rolling_set(), *MIGRATING, spec=JOINED, ledger=first.ledger, reports=reports)
    assert ("RemovePod" in kinds(plan)) is released
    assert plan.ledger.declaration.done is released
    assert ("uid-db-2" in plan.waiting) is not released


def late_membership(on_timeout: str) -> Plan:
    """A declaration without db-2 that is not done after its deadline of 60 seconds."""
    spec = a_spec(membership={**MEMBERSHIP, "deadlineSeconds": 60, "onTimeout": on_timeout})
    begun = plan_for(a_rolling_set(), *MIGRATING, spec=spec, ledger=a_ledger(*OLD))
    reports = {begun.asks[0].id: a_report(Answer.ERROR)}
    seen = a_snapshot(a_rolling_set(), *MIGRATING, spec=spec, ledger=begun.ledger, reports=reports)
    return decide(seen, NOW + 60)


def test_a_late_membership_holds_the_rollout_and_says_so() -> None:
    plan = late_membership("Pause")
    assert "membership is not done after 60 s (deadlineSeconds: 60)" in plan.troubles[0]
    assert "RemovePod" not in kinds(plan)


def test_a_membership_that_is_passed_over_is_announced() -> None:
    plan = late_membership("Proceed")
    assert "RemovePod" in kinds(plan)
    assert any("passed over" in word.note for word in plan.announcements)


def test_no_member_can_be_asked() -> None:
    down = tuple(pod.failing_probe() for pod in OLD)
    plan = plan_for(a_set(), *down, spec=JOINED)
    assert plan.asks == ()
    assert plan.ledger.declaration.coordinator == ""


GONE = OpenHook(id="gone/v2/drain/0", hook="drain", pod="db-9", uid="gone", since=0)
HTTP = {"port": "admin", "path": "/drain", "method": "DELETE"}


def told(name: str) -> dict[str, Any]:
    address = {"name": name, "host": "10.0.0.1", "port": 8081}
    return {"what": HTTP, "to": [address], "timeout_seconds": 5}


@pytest.mark.parametrize(
    ("undone", "entry", "report"),
    [
        (False, GONE, None),
        (False, GONE.model_copy(update={"undo": told("db-9")}), None),
        (True, GONE.model_copy(update={"undo": told("db-0")}), None),
        (False, GONE.model_copy(update={"undo": told("db-0")}), a_report(Answer.DONE)),
        (False, GONE.model_copy(update={"undo": told("db-0"), "completed": True}), None),
    ],
)
def test_what_others_were_told_of_a_pod_that_vanished_is_undone(
    undone: bool, entry: OpenHook, report: Report | None
) -> None:
    reports = {f"undo/{entry.id}": report} if report else {}
    plan = plan_for(a_set(), *OLD, ledger=a_ledger(open_hooks=(entry,)), reports=reports)
    assert plan.ledger.open_hooks == ((entry,) if undone else ())
    assert (f"undo/{entry.id}" in {ask.id for ask in plan.asks}) is (undone or report is not None)


def test_gates_that_close_for_a_restore_share_the_budget() -> None:
    restarted = tuple(pod.restarted() for pod in OLD)
    spec = a_spec(restore=a_hook("/restore"))
    plan = plan_for(a_set(), *restarted, spec=spec)
    closed = [action.pod.name for action in plan.actions if isinstance(action, MarkPod)]
    assert closed == ["db-0"]
    assert [choice.uid for choice in plan.ledger.chosen] == ["uid-db-0"]
    two = a_spec(restore=a_hook("/restore"), strategy={"maxUnavailable": 2})
    assert len(plan_for(a_set(), *OLD[:1], *restarted[1:], spec=two).actions) == 3
    assert len(plan_for(a_set(), OLD[0].failing_probe(), *restarted[1:], spec=spec).actions) == 0


@pytest.mark.parametrize(
    ("seconds", "seen"),
    [
        (7, {"pods": (*OLD[:2], a_pod("db-2").at("v2").serving_since(4))}),
        (3, {"pods": (*OLD[:2], a_pod("db-2").isolated("v2")), "isolated": {"uid-db-2": 2}}),
        (300, {"pods": (*OLD[:2], a_pod("db-2").isolated("v2")), "isolated": {"uid-db-2": 60}}),
        (595, {"pods": (*OLD[:2], a_pod("db-2").at("v2").starting(since=5))}),
        (None, {"pods": OLD}),
    ],
)
def test_it_is_looked_at_again_when_time_alone_changes_something(seconds: float | None, seen: dict[str, Any]) -> None:
    plan = plan_for(a_rolling_set(), *seen.pop("pods"), spec=a_spec(paused=True), **seen)
    assert plan.recheck_at == (None if seconds is None else NOW + seconds)


def test_a_membership_is_looked_at_again_when_it_may_stall_or_be_late() -> None:
    spec = a_spec(membership={**MEMBERSHIP, "stallSeconds": 20, "deadlineSeconds": 100})
    first = plan_for(a_set(), *OLD, spec=spec)
    assert first.recheck_at == NOW + 100
    reports = {first.asks[0].id: a_report(Answer.IN_PROGRESS, since=5)}
    second = plan_for(a_set(), *OLD, spec=spec, ledger=first.ledger, reports=reports)
    assert second.recheck_at == NOW + 15


def test_an_absence_is_looked_at_again_when_it_ends() -> None:
    spec = a_spec(membership={**MEMBERSHIP, "awaySeconds": 300})
    ledger = settled(a_ledger(*OLD[:2]), away=(Absence(name="db-2", since=NOW - 299),))
    assert plan_for(a_set(), *OLD[:2], spec=spec, ledger=ledger).recheck_at == NOW + 1


def test_a_pod_that_is_missing_is_looked_for_since_nobody_may_tell_of_it() -> None:
    assert plan_for(a_set(), *OLD[:2], ledger=settled(a_ledger(*OLD[:2]))).recheck_at == NOW + 2


def test_a_node_that_stopped_reporting_is_looked_at_again() -> None:
    spec = a_spec(membership={**MEMBERSHIP, "unknownAfterSeconds": 60})
    dark = (*OLD[:2], a_pod("db-2").condition("Ready", False, since=10))
    assert plan_for(a_set(), *dark, spec=spec, ledger=a_ledger(*OLD)).recheck_at == NOW + 50


def test_a_pod_that_joined_and_fails_its_probe_is_looked_at_again_when_it_counts_as_away() -> None:
    spec = a_spec(membership={**MEMBERSHIP, "unknownAfterSeconds": 60})
    joined = (*OLD[:2], a_pod("db-2").at("v2").came_back(since=90).condition("ContainersReady", False, since=10))
    plan = plan_for(a_rolling_set(), *joined, spec=spec, ledger=settled(a_ledger(*joined)))
    assert plan.recheck_at == NOW + 50


def test_a_check_is_looked_at_again_when_it_is_late() -> None:
    spec = a_spec(checks=[a_check(deadlineSeconds=60)])
    (ask,) = plan_for(a_rolling_set(), *OLD, spec=spec).asks
    reports = {ask.id: a_report(Answer.IN_PROGRESS, since=20)}
    assert plan_for(a_rolling_set(), *OLD, spec=spec, reports=reports).recheck_at == NOW + 40


def test_a_serving_pod_that_lost_its_health_is_looked_at_again_when_it_counts_as_stuck() -> None:
    weak = (*OLD[:2], a_pod("db-2").failing_probe(since=100))
    assert plan_for(a_rolling_set(), *weak, spec=a_spec(paused=True)).recheck_at == NOW + 500
