"""Whole decisions: what is done in which order, who goes, what is asked, and when to look again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from statefulrollout.api import names
from statefulrollout.core.actions import MarkPod, RemovePod, SetFence, WriteLedger
from statefulrollout.core.asks import Answer
from statefulrollout.core.fence import STRATEGIES
from statefulrollout.core.ledger import Choice, Ledger, OpenHook
from statefulrollout.core.plan import Plan, decide
from statefulrollout.core.snapshot import BudgetView, FenceKind, PodView, StatefulSetView
from tests.builders import (
    DRAIN,
    HOUR,
    NOW,
    a_call,
    a_check,
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
BROKEN = a_pod("db-1").waiting_in("CrashLoopBackOff")


def plan_for(target: StatefulSetView | None, *present: PodView, now: float = NOW, **seen: Any) -> Plan:
    return decide(a_snapshot(target, *present, **seen), now)


def chosen(plan: Plan) -> list[str]:
    """Names of the pods that begin to leave, in order."""
    return [
        action.pod.name for action in plan.actions if isinstance(action, MarkPod) and action.reason == "PodIsolated"
    ]


def kinds(plan: Plan) -> list[str]:
    return [type(action).__name__ for action in plan.actions]


def test_at_rest_nothing_is_done_and_nothing_asked() -> None:
    plan = plan_for(a_set(), *OLD)
    assert (plan.actions, plan.asks, plan.waiting, plan.recheck_at) == ((), (), {}, None)
    assert plan.fence is FenceKind.HOLD


def test_the_first_visit_remembers_before_it_touches() -> None:
    original = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    plan = plan_for(a_set(update_strategy=original), *(pod.untouched() for pod in OLD), ledger=Ledger())
    write, fence, *marks = plan.actions
    assert isinstance(write, WriteLedger)
    assert (write.ledger.rollout_uid, write.ledger.stateful_set_uid) == ("uid-rollout", "uid-db")
    assert write.ledger.original_strategy == original
    assert isinstance(fence, SetFence)
    assert fence.strategy == STRATEGIES[FenceKind.HOLD]
    assert chosen(plan) == []
    assert len(marks) == 3


def test_the_users_strategy_is_remembered_once() -> None:
    original = {"type": "OnDelete", "theirs": True}
    plan = plan_for(a_rolling_set(fence=FenceKind.ACCEPT), *OLD, ledger=a_ledger(original_strategy=original))
    assert plan.ledger.original_strategy == original


def test_of_another_set_of_the_same_name_nothing_is_remembered() -> None:
    entry = OpenHook(id="x", hook="drain", pod="db-2", uid="gone", since=0)
    ledger = a_ledger(*OLD, failed="v2", open_hooks=(entry,))
    plan = plan_for(a_set(uid="another-uid"), *OLD, ledger=ledger)
    assert (plan.ledger.failed, plan.ledger.open_hooks, plan.ledger.declaration.generation) == ((), (), 0)
    assert (plan.ledger.resource_version, plan.ledger.stateful_set_uid) == ("41", "another-uid")


@pytest.mark.parametrize("policy", ["Freeze", "Release"])
def test_the_ledger_carries_what_is_to_happen_without_us(policy: str) -> None:
    plan = plan_for(a_set(), *OLD, spec=a_spec(deletionPolicy=policy))
    assert plan.ledger.deletion_policy == policy
    assert kinds(plan) == ([] if policy == "Freeze" else ["WriteLedger"])


def test_a_new_template_moves_the_fence_and_takes_the_highest_ordinal() -> None:
    plan = plan_for(a_rolling_set(fence=FenceKind.HOLD), *OLD)
    assert kinds(plan) == ["WriteLedger", "SetFence", "MarkPod"]
    assert chosen(plan) == ["db-2"]
    assert plan.ledger.chosen == (Choice(uid="uid-db-2", version="72"),)
    assert {uid: waiting.name for uid, waiting in plan.waiting.items()} == {
        "uid-db-0": "budget_allows_new_unavailability",
        "uid-db-1": "budget_allows_new_unavailability",
    }


@pytest.mark.parametrize(
    ("expected", "written", "version"), [(["db-1"], False, "71"), (["db-2"], True, "an earlier one")]
)
def test_a_choice_counts_as_gone_and_comes_first_as_long_as_its_write_may_be_on_its_way(
    expected: list[str], written: bool, version: str
) -> None:
    plan = plan_for(a_rolling_set(), *OLD, ledger=a_ledger(chosen=(Choice(uid="uid-db-1", version=version),)))
    assert chosen(plan) == expected
    assert ("WriteLedger" in kinds(plan)) is written


def withdrawn(plan: Plan) -> list[tuple[str, str]]:
    """Names of the pods that do not leave after all, with the version at which they had been chosen."""
    marks = [(action.pod.name, action.facts) for action in plan.actions if isinstance(action, MarkPod)]
    return [(name, facts.withdrawn) for name, facts in marks if facts and facts.withdrawn]


def test_a_choice_that_nobody_wants_any_more_counts_until_it_is_withdrawn() -> None:
    settled = a_ledger(chosen=(Choice(uid="uid-db-1", version="71"),))
    present = (OLD[0], a_pod("db-1").at("v2"), OLD[2])
    plan = plan_for(a_rolling_set(), *present, ledger=settled)
    assert (chosen(plan), withdrawn(plan)) == ([], [("db-1", "71")])
    assert withdrawn(plan_for(a_rolling_set(generation=9), *present, ledger=settled)) == []
    assert chosen(plan_for(a_rolling_set(), *present, ledger=a_ledger())) == ["db-2"]


def test_whoever_was_chosen_and_is_held_is_withdrawn_before_others_go() -> None:
    settled = a_ledger(chosen=(Choice(uid="uid-db-1", version="71"),))
    restarted = a_pod("db-2").restarted()
    spec = a_spec(restore={"apply": {"http": {"port": "admin", "path": "/restore"}}})
    plan = plan_for(a_rolling_set(), *OLD[:2], restarted, ledger=settled, spec=spec)
    assert plan.waiting["uid-db-1"].name == plan.waiting["uid-db-2"].name == "budget_allows_new_unavailability"
    assert withdrawn(plan) == [("db-1", "71")]
    plan = plan_for(a_rolling_set(), OLD[0], OLD[1].but(version="72"), restarted, ledger=settled, spec=spec)
    marks = [(action.pod.name, action.reason) for action in plan.actions if isinstance(action, MarkPod)]
    assert marks == [("db-2", "ContainerRestarted")]


@pytest.mark.parametrize(
    ("expected", "limit", "present"),
    [
        (["db-4"], 1, pods(5)),
        (["db-4", "db-3"], 2, pods(5)),
        (["db-4", "db-3"], "40%", pods(5)),
        (["db-3"], 2, (*pods(4), a_pod("db-4").isolated("v2"))),
        ([], 2, (*pods(3), a_pod("db-3").let_go("v2"), a_pod("db-4").isolated("v2"))),
        ([], 1, (*pods(4), a_pod("db-4").at("v2").serving_since(3))),
        (["db-3"], 1, (*pods(4), a_pod("db-4").at("v2"))),
        ([], 1, pods(4)),
        (["db-0"], 2, (a_pod("db-0").failing_probe(), *pods(5)[1:4])),
        (["db-0"], 1, (a_pod("db-0").failing_probe(), *pods(5)[1:])),
    ],
)
def test_never_more_go_than_the_budget_has_left(
    expected: list[str], limit: int | str, present: tuple[PodView, ...]
) -> None:
    spec = a_spec(strategy={"maxUnavailable": limit})
    plan = plan_for(a_rolling_set(5), *present, spec=spec, isolated={"uid-db-4": 60})
    assert chosen(plan) == expected


def test_broken_pods_go_first_and_free_then_the_condemned_then_the_highest() -> None:
    target = a_rolling_set(4)
    present = (a_pod("db-0"), BROKEN, *pods(4)[2:], a_pod("db-4"))
    two = a_spec(strategy={"maxUnavailable": 2})
    assert chosen(plan_for(target, *present, spec=two)) == ["db-1", "db-4", "db-3"]
    assert chosen(plan_for(target, *present)) == ["db-1", "db-4"]
    assert chosen(plan_for(target, *pods(4), a_pod("db-4"), spec=two)) == ["db-4", "db-3", "db-2"]


def test_all_broken_pods_go_at_once_whatever_the_budget() -> None:
    present = (a_pod("db-0"), BROKEN, a_pod("db-2").waiting_in("ErrImagePull"))
    assert chosen(plan_for(a_rolling_set(), *present)) == ["db-2", "db-1"]
    assert chosen(plan_for(a_rolling_set(ordered=True), *present)) == ["db-2"]


@pytest.mark.parametrize(("choice", "expected"), [("ReplaceIfStuck", ["db-1"]), ("Wait", []), ("Replace", ["db-1"])])
def test_whether_broken_pods_go_first_is_the_users_choice(choice: str, expected: list[str]) -> None:
    spec = a_spec(strategy={"unhealthyOutdated": choice})
    assert chosen(plan_for(a_rolling_set(), a_pod("db-0"), BROKEN, a_pod("db-2"), spec=spec)) == expected


@pytest.mark.parametrize(
    ("guard", "seen"),
    [
        ("rollout_is_not_paused", {"spec": a_spec(paused=True)}),
        ("revision_has_not_failed", {"ledger": a_ledger(failed="v2")}),
        ("outage_was_allowed", {"spec": a_spec(strategy={"maxUnavailable": 3})}),
        ("application_checks_pass", {"spec": a_spec(checks=[a_check()])}),
        ("disruption_budgets_allow_it", {"budgets": (BudgetView("pdb", 0, frozenset(pod.uid for pod in OLD)),)}),
    ],
)
def test_who_may_not_go_waits_for_the_guard_by_name(guard: str, seen: dict[str, Any]) -> None:
    plan = plan_for(a_rolling_set(), *OLD, **seen)
    assert chosen(plan) == []
    assert {waiting.name for waiting in plan.waiting.values()} == {guard}


def test_nobody_is_chosen_before_the_surroundings_are_known() -> None:
    snapshot = a_snapshot(a_rolling_set(), *OLD)
    assert chosen(decide(snapshot, NOW)) == ["db-2"]
    assert decide(replace(snapshot, surveyed=False), NOW) == Plan(wants_survey=True)


def test_they_are_not_asked_for_while_something_else_holds_everybody() -> None:
    snapshot = a_snapshot(a_rolling_set(), *OLD[:2], OLD[2].isolated("v2"))
    plan = decide(replace(snapshot, surveyed=False), NOW)
    assert not plan.wants_survey
    assert {plan.waiting[pod.uid].name for pod in OLD[:2]} == {"budget_allows_new_unavailability"}


def test_a_hook_in_trouble_holds_everybody_else() -> None:
    late = a_spec(strategy={"maxUnavailable": 2}, drain={**DRAIN, "deadlineSeconds": 10})
    leaving = a_pod("db-2").isolated("v2")
    opened = plan_for(a_rolling_set(), *OLD[:2], leaving, spec=late, isolated={leaving.uid: 60}).ledger
    seen = a_snapshot(a_rolling_set(), *OLD[:2], leaving, spec=late, ledger=opened, isolated={leaving.uid: 60})
    later = decide(replace(seen, reports={opened.open_hooks[0].id: a_report(Answer.ERROR)}), NOW + 10)
    assert chosen(later) == []
    assert later.waiting["uid-db-1"].name == "hooks_are_answering"
    assert later.troubles == ("db-2: drain is not done after 10 s (deadlineSeconds: 10): it said Error",)


def test_nobody_goes_before_the_controller_has_seen_the_spec() -> None:
    plan = plan_for(a_rolling_set(observed_generation=6), *OLD)
    assert chosen(plan) == []


def test_a_hook_is_asked_only_together_with_the_entry_that_remembers_it() -> None:
    leaving = a_pod("db-2").isolated("v2")
    plan = plan_for(a_rolling_set(), *OLD[:2], leaving, isolated={leaving.uid: 60})
    assert [entry.id for entry in plan.ledger.open_hooks] == [ask.id for ask in plan.asks]
    assert kinds(plan) == ["WriteLedger"]
    again = plan_for(a_rolling_set(), *OLD[:2], leaving, isolated={leaving.uid: 60}, ledger=plan.ledger)
    assert (again.asks, again.actions) == (plan.asks, ())


def test_the_ledger_comes_first_and_a_pod_is_removed_after_its_mark() -> None:
    present = (a_pod("db-0").let_go("v2"), a_pod("db-1").drained("v2"), a_pod("db-2").isolated("v2"))
    spec = a_spec(strategy={"maxUnavailable": 3, "allowFullOutage": True})
    plan = plan_for(a_rolling_set(), *present, spec=spec, isolated={"uid-db-2": 60})
    assert kinds(plan) == ["WriteLedger", "RemovePod", "MarkPod", "RemovePod"]
    on_pods = [action.pod.name for action in plan.actions if isinstance(action, MarkPod | RemovePod)]
    assert on_pods == ["db-0", "db-1", "db-1"]


def test_those_that_are_chosen_come_last() -> None:
    spec = a_spec(strategy={"maxUnavailable": 3, "allowFullOutage": True, "soakSeconds": 0})
    plan = plan_for(a_rolling_set(), OLD[0], a_pod("db-1").drained("v2"), a_pod("db-2").at("v2").came_back(), spec=spec)
    assert kinds(plan) == ["WriteLedger", "MarkPod", "RemovePod", "MarkPod", "MarkPod"]
    on_pods = [action.pod.name for action in plan.actions if isinstance(action, MarkPod | RemovePod)]
    assert on_pods == ["db-1", "db-1", "db-2", "db-0"]


def test_nothing_is_removed_in_the_pass_that_sets_the_fence() -> None:
    plan = plan_for(a_rolling_set(fence=FenceKind.ACCEPT), *OLD[:2], a_pod("db-2").let_go("v2"))
    assert kinds(plan) == ["SetFence"]
    assert plan.waiting["uid-db-2"].name == "fence"


def test_a_refused_spec_touches_nothing_but_gates_that_nobody_else_would_open() -> None:
    spec = a_spec(drain={"apply": a_call("/drain", port="nowhere")})
    plan = plan_for(a_rolling_set(), *OLD[:2], a_pod("db-2").came_back(), spec=spec)
    assert [problem.field for problem in plan.problems] == ["spec.drain.apply.http.port"]
    (mark,) = plan.actions
    assert isinstance(mark, MarkPod)
    assert (mark.pod.name, mark.conditions) == ("db-2", {names.SERVING: True})
    assert (plan.asks, plan.fence) == ((), None)


def test_a_set_that_is_not_there_is_a_problem_of_the_spec() -> None:
    plan = plan_for(None)
    assert [problem.field for problem in plan.problems] == ["spec.targetRef.name"]
    assert plan.actions == ()


ROLLED = pods(3, "v2")


@pytest.mark.parametrize(
    ("fence", "present", "answer"),
    [
        (FenceKind.ACCEPT, ROLLED, Answer.DONE),
        (FenceKind.FORWARD, ROLLED, Answer.IN_PROGRESS),
        (FenceKind.FORWARD, ROLLED, None),
        (FenceKind.FORWARD, (*ROLLED[:2], ROLLED[2].serving_since(2)), Answer.DONE),
    ],
)
def test_a_revision_is_accepted_when_all_have_soaked_and_the_checks_agree(
    fence: FenceKind, present: tuple[PodView, ...], answer: Answer | None
) -> None:
    spec = a_spec(checks=[a_check(at=["AfterPod"])])
    (ask,) = plan_for(a_rolling_set(), *present, spec=spec).asks
    reports = {ask.id: a_report(answer)} if answer else {}
    assert plan_for(a_rolling_set(), *present, spec=spec, reports=reports).fence is fence


def test_a_failure_is_remembered_and_said_and_sends_the_others_back() -> None:
    crashing = a_pod("db-2").at("v2").waiting_in("CrashLoopBackOff")
    leaving = a_pod("db-1").isolated("v2")
    spec = a_spec(strategy={"maxUnavailable": 2})
    plan = plan_for(a_rolling_set(), a_pod("db-0"), leaving, crashing, spec=spec, isolated={leaving.uid: 60})
    assert [failed.revision for failed in plan.ledger.failed] == ["v2"]
    (word,) = plan.announcements
    assert (word.reason, word.warning) == ("RevisionFailed", True)
    assert kinds(plan)[0] == "WriteLedger"
    assert {place.pod.name: place.stage.value for place in plan.places}["db-1"] == "Returning"


def test_checks_are_asked_only_while_something_is_to_move() -> None:
    spec = a_spec(checks=[a_check()])
    assert plan_for(a_set(), *OLD, spec=spec).asks == ()
    assert [ask.title for ask in plan_for(a_rolling_set(), *OLD, spec=spec).asks] == ["check calm"]
    assert [ask.title for ask in plan_for(a_set(), *OLD, a_pod("db-3"), spec=spec).asks] == ["check calm"]


def test_a_check_sees_the_members() -> None:
    (ask,) = plan_for(a_rolling_set(), *OLD, spec=a_spec(checks=[a_check()])).asks
    assert [member["name"] for member in ask.variables["members"]["serving"]] == ["db-0", "db-1", "db-2"]


def test_an_upgrade_of_the_operator_starts_nothing() -> None:
    taken = a_pod("db-0").untouched().but(created=NOW - 3 * HOUR)
    plan = plan_for(a_set(1), taken, ledger=Ledger())
    assert chosen(plan) == []
    assert not any(isinstance(action, RemovePod) for action in plan.actions)
    assert plan.fence is FenceKind.HOLD
