"""The next step of a pod on its way out: what is done, what is asked, what is waited for."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.api import names
from statefulrollout.core.actions import MarkPod, RemovePod
from statefulrollout.core.asks import Answer
from statefulrollout.core.departure import begin
from statefulrollout.core.snapshot import Facts, PodView
from statefulrollout.core.step import CLOSED, LET_GO, Step, Waiting
from tests.builders import (
    DRAIN,
    HOUR,
    MEMBERSHIP,
    NOW,
    APod,
    a_hook,
    a_pod,
    a_report,
    a_rolling_set,
)
from tests.unit.core.one_pod import (
    DRAINED,
    IDS,
    MIGRATE,
    MIGRATED,
    NEW,
    OLD,
    PENDING,
    Case,
    the_mark,
    undo_of,
    wait_of,
)

BROKEN = OLD.isolated("v2", stuck=True).failing_probe()


def test_a_pod_begins_to_leave_by_closing_its_gate_for_what_it_leaves_for() -> None:
    case = Case(OLD)
    mark = begin(case.stand, case.place)
    assert (mark.reason, mark.fenced) == ("PodIsolated", True)
    assert mark.conditions == {names.SERVING: False, names.DRAINED: False, names.MIGRATED: False}
    assert mark.facts == Facts("v2", IDS, stuck=False)
    assert mark.message == "out of service: leaves for v2"


def test_a_stuck_pod_is_remembered_as_stuck() -> None:
    case = Case(OLD.waiting_in("CrashLoopBackOff", exit_code=1))
    mark = begin(case.stand, case.place)
    assert mark.facts == Facts("v2", IDS, stuck=True)
    assert "CrashLoopBackOff (exit code 1); goes first" in mark.message


@pytest.mark.parametrize(
    ("pod", "wait", "recheck"),
    [
        (OLD, None, None),
        (NEW, None, None),
        (NEW.serving_since(4), ("soak", "healthy for 10 s, then trusted"), NOW + 7),
        (OLD.failing_probe(), ("kubelet", "gate open, not Ready yet"), None),
    ],
)
def test_who_serves_waits_for_nothing_but_its_soak(
    pod: PodView, wait: tuple[str, str] | None, recheck: float | None
) -> None:
    entry = undo_of(OLD, OLD)
    step = Case(pod, entries=(entry,)).step
    assert (step.actions, step.asks) == ((), ())
    assert (wait_of(step) if step.waiting else None, step.recheck_at) == (wait, recheck)
    assert step.closes == (entry.id,)


@pytest.mark.parametrize(
    ("pod", "conditions", "facts"),
    [
        (OLD.untouched().but(created=NOW - 3 * HOUR), {names.SERVING: True}, Facts(containers=IDS)),
        (OLD.but(fenced=False), {}, None),
        (NEW.starting().but(fenced=False), {}, None),
        (OLD.isolated("v2").but(fenced=False), {}, None),
    ],
)
def test_a_pod_without_our_marks_is_taken_over_in_silence(
    pod: PodView, conditions: dict[str, bool], facts: Facts | None
) -> None:
    mark = the_mark(Case(pod, isolated=None).step)
    assert (mark.conditions, mark.facts, mark.fenced, mark.reason) == (conditions, facts, True, "")


def test_a_pod_that_somebody_deletes_is_left_alone() -> None:
    step = Case(OLD.deleted().but(fenced=False)).step
    assert step == Step(waiting=Waiting("kubelet", "deleted by somebody else; stopping within its grace period"))


@pytest.mark.parametrize(
    ("isolated", "words", "recheck"),
    [(None, "an EndpointSlice still shows", NOW + 0.5), (2, "propagationSeconds: 5 s", NOW + 3)],
)
def test_isolating_waits_for_the_slices_and_then_for_the_nodes(
    isolated: float | None, words: str, recheck: float
) -> None:
    step = Case(OLD.isolated("v2"), isolated=isolated).step
    name, observed = wait_of(step)
    assert (name, step.recheck_at, step.asks) == ("endpoints", recheck, ())
    assert words in observed


def test_a_drain_is_remembered_before_it_is_begun() -> None:
    step = Case(OLD.isolated("v2")).step
    (entry,), (ask,) = step.opens, step.asks
    assert (entry.id, entry.since, entry.uid) == (ask.id, NOW, OLD.uid)
    assert entry.undo is not None
    assert step.actions == ()
    assert wait_of(step) == ("drain", "not answered yet")
    assert step.recheck_at == NOW + 300


def test_a_drain_that_goes_on_is_asked_again_and_not_written_again() -> None:
    step = Case(OLD.isolated("v2"), opened={"drain": (20, a_report(Answer.IN_PROGRESS))}).step
    assert (step.opens, len(step.asks), step.actions) == ((), 1, ())
    assert step.waiting == Waiting("drain", "it said InProgress", NOW - 20)
    assert step.recheck_at == NOW + 280


def test_the_drain_of_a_pod_without_a_gate_says_why_it_may_never_end() -> None:
    step = Case(OLD.isolated("v2").ungated(), opened={"drain": (20, a_report(Answer.IN_PROGRESS))}).step
    said = "it said InProgress; the pod has no readiness gate, so Services go on sending to it"
    assert wait_of(step) == ("drain", said)


def test_a_stall_is_noted_once_and_taken_back_when_there_is_progress() -> None:
    slow: dict[str, Any] = {"drain": {**DRAIN, "stallSeconds": 10}}
    late = Case(OLD.isolated("v2"), opened={"drain": (20, a_report(Answer.IN_PROGRESS, since=12))}, **slow)
    (entry,) = late.step.opens
    assert entry.stalled == NOW
    assert late.step.trouble.startswith("db-2: drain has made no progress")
    report = a_report(Answer.IN_PROGRESS, since=1)
    moved = entry.model_copy(update={"stalled": NOW - 5})
    again = Case(OLD.isolated("v2"), entries=(moved,), reports={entry.id: report}, **slow)
    assert [each.stalled for each in again.step.opens] == [None]
    assert again.step.recheck_at == NOW + 9


def test_a_drain_of_containers_that_are_gone_is_superseded() -> None:
    before = Case(OLD.isolated("v2")).step.opens
    step = Case(OLD.isolated("v2").restarted(), entries=before).step
    assert step.closes == (before[0].id,)
    assert step.opens[0].id != before[0].id


@pytest.mark.parametrize("after", [{"migrate": MIGRATE}, {"membership": MEMBERSHIP}])
def test_a_drained_pod_is_marked_where_there_is_more_to_do(after: dict[str, Any]) -> None:
    mark = the_mark(Case(OLD.isolated("v2"), opened=DRAINED, **after).step)
    assert (mark.reason, mark.facts) == ("PodDrained", Facts("v2", IDS))
    assert mark.conditions == {**CLOSED, names.DRAINED: True, names.MIGRATED: False}


def test_a_drained_pod_is_released_and_removed_where_there_is_nothing_more() -> None:
    mark, removal = Case(OLD.isolated("v2"), opened=DRAINED).step.actions
    assert isinstance(mark, MarkPod)
    assert (mark.reason, mark.conditions) == ("PodReleased", {**CLOSED, **LET_GO})
    assert removal == RemovePod(OLD.isolated("v2"), "PodRemoved", "makes room for v2")


@pytest.mark.parametrize("pod", [BROKEN, OLD.isolated("v2").but(phase="Failed", ip="")])
def test_a_dead_pod_is_not_asked(pod: PodView) -> None:
    step = Case(pod).step
    assert (step.asks, step.opens) == ((), ())
    assert [type(action) for action in step.actions] == [MarkPod, RemovePod]


@pytest.mark.parametrize("pod", [OLD.isolated("v2", stuck=True), OLD.drained("v2").but(facts=Facts("v2", {}, True))])
def test_a_pod_that_came_to_life_after_it_was_chosen_as_broken_is_drained_like_any_other(pod: APod) -> None:
    step = Case(pod).step
    mark = the_mark(step)
    assert (mark.reason, mark.facts, step.asks) == ("PodRevived", Facts("v2", IDS), ())
    assert mark.conditions[names.DRAINED] is False
    revived = pod.but(facts=mark.facts).condition(names.DRAINED, False)
    assert [ask.title for ask in Case(revived).step.asks] == ["drain"]


def test_a_pod_without_a_gate_that_came_to_life_goes_back_to_be_judged_anew() -> None:
    pod = OLD.isolated("v2", stuck=True).ungated()
    mark = the_mark(Case(pod).step)
    assert (mark.reason, mark.facts) == ("PodReturning", Facts("v2", IDS, returning=True))
    assert mark.conditions == {}


def test_with_nobody_left_to_take_over_nothing_is_migrated() -> None:
    alone = a_pod("db-0").drained("v2")
    step = Case(alone, a_rolling_set(2), migrate=MIGRATE).step
    assert (step.asks, wait_of(step)) == ((), ("migrate", "nobody is left who could take over"))
    assert Case(alone, a_rolling_set(1), migrate=MIGRATE).step.asks


def test_peers_of_a_dead_pod_are_asked_all_the_same() -> None:
    step = Case(BROKEN, drain=a_hook("/drain", "Peers")).step
    assert [address.name for address in step.asks[0].request.to] == ["db-0", "db-1"]


def test_the_only_pod_has_no_peers_to_ask() -> None:
    only = a_pod("db-0").isolated("v2")
    step = Case(only, a_rolling_set(1), drain=a_hook("/drain", "Peers")).step
    assert step.asks == ()
    assert [type(action) for action in step.actions] == [MarkPod, RemovePod]


@pytest.mark.parametrize(
    "pod", [OLD.let_go("v2"), a_pod("db-3").let_go("scale-down"), OLD.let_go("v2").but(phase="Failed")]
)
def test_a_released_pod_is_removed(pod: PodView) -> None:
    (action,) = Case(pod).step.actions
    assert isinstance(action, RemovePod)
    assert action.pod == pod


def test_a_released_pod_that_stops_is_waited_for_and_its_hooks_are_complete() -> None:
    entry = undo_of(OLD, OLD)
    step = Case(OLD.let_go("v2").deleted(), entries=(entry,)).step
    assert step == Step(closes=(entry.id,), waiting=Waiting("kubelet", "stopping within its grace period"))


DELETED = "deleted by somebody else; stopping within its grace period"


def test_the_state_of_a_pod_that_somebody_deleted_is_moved_as_far_as_its_grace_lasts() -> None:
    step = Case(NEW.deleted(), migrate=MIGRATE).step
    (ask,), (entry,) = step.asks, step.opens
    assert (ask.title, entry.hook, step.actions) == ("migrate", "migrate", ())
    assert wait_of(step) == ("kubelet", f"{DELETED}; migrate: not answered yet")


def test_a_migrate_that_a_deleted_pod_fails_holds_nobody() -> None:
    late = {"migrate": (HOUR, a_report(Answer.ERROR, since=HOUR))}
    step = Case(NEW.deleted(), opened=late, migrate=MIGRATE).step
    assert (step.trouble, step.announcements) == ("", ())


def test_what_others_were_told_of_a_deleted_pod_stands_once_its_state_is_moved() -> None:
    begun = undo_of(OLD, a_pod("db-0"), "migrate")
    step = Case(OLD.deleted(), opened=MIGRATED, entries=(begun,), migrate=MIGRATE).step
    assert [entry.completed for entry in step.opens if entry.id == begun.id] == [True]


@pytest.mark.parametrize(
    ("pod", "migrate"),
    [
        (NEW.deleted(), None),
        (NEW.deleted().but(phase="Failed"), MIGRATE),
        (OLD.migrated("v2").deleted(), MIGRATE),
    ],
)
def test_of_a_deleted_pod_that_has_nothing_to_move_nothing_is_asked(pod: PodView, migrate: Any) -> None:
    step = Case(pod, migrate=migrate).step
    assert step == Step(waiting=Waiting("kubelet", DELETED))


@pytest.mark.parametrize("pod", [OLD.isolated("v2"), OLD.drained("v2"), OLD.let_go("v2")])
def test_nobody_is_let_go_before_the_fence_stands(pod: PodView) -> None:
    step = Case(pod, fence_stands=False, opened=DRAINED).step
    assert step.actions == ()
    assert wait_of(step)[0] == "fence"


BACK: dict[str, Any] = {"abort": {"revision": "v2"}}
GOES_BACK = a_pod("db-2").at("v2")


@pytest.mark.parametrize("pod", [GOES_BACK.isolated("v1"), GOES_BACK.drained("v1"), GOES_BACK.let_go("v1")])
def test_on_the_way_back_nobody_is_let_go_before_the_fence_has_turned(pod: APod) -> None:
    step = Case(pod, turns=True, opened=DRAINED, **BACK).step
    assert step.actions == ()
    assert wait_of(step) == ("fence", "the StatefulSet controller has not counted yet that the pod is out of service")
    assert Case(pod, opened=DRAINED, **BACK).step.actions
    assert Case(pod.ungated(), turns=True, opened=DRAINED, **BACK).step.actions


def test_what_others_were_told_of_a_released_pod_is_completed_and_not_undone() -> None:
    entry = undo_of(OLD, a_pod("db-0"))
    alone = undo_of(OLD, OLD).model_copy(update={"id": "alone"})
    step = Case(OLD.drained("v2"), entries=(entry, alone)).step
    assert [(each.id, each.completed) for each in step.opens] == [(entry.id, True)]


def test_migrate_is_asked_after_the_drain() -> None:
    step = Case(OLD.drained("v2"), migrate=MIGRATE).step
    assert [ask.title for ask in step.asks] == ["migrate"]
    assert wait_of(step) == ("migrate", "not answered yet")
    assert step.actions == ()


def test_a_pod_whose_state_moved_waits_for_the_membership_and_remembers_that_it_moved() -> None:
    step = Case(OLD.drained("v2"), migrate=MIGRATE, opened=MIGRATED, pending=PENDING).step
    assert (the_mark(step).reason, the_mark(step).conditions) == ("PodMigrated", {names.MIGRATED: True})
    assert step.waiting == PENDING
    later = Case(OLD.migrated("v2"), migrate=MIGRATE, pending=PENDING).step
    assert (later.actions, later.asks, later.waiting) == ((), (), PENDING)


def test_a_pod_is_released_when_state_and_membership_are_settled() -> None:
    for case in (
        Case(OLD.drained("v2"), migrate=MIGRATE, opened=MIGRATED),
        Case(OLD.migrated("v2"), migrate=MIGRATE),
        Case(OLD.drained("v2"), pending=None),
    ):
        assert [action.reason for action in case.step.actions] == ["PodReleased", "PodRemoved"]  # type: ignore[union-attr]


def test_a_migration_that_is_passed_over_is_not_called_done() -> None:
    late = {**MIGRATE, "deadlineSeconds": 10, "onTimeout": "Proceed"}
    error = {"migrate": (20.0, a_report(Answer.ERROR))}
    mark = the_mark(Case(OLD.drained("v2"), migrate=late, opened=error, pending=PENDING).step)
    assert "passed over (onTimeout: Proceed)" in mark.message
