"""Letting go: nobody is stranded, what was begun is undone, and the fence is what the user said."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.api import names
from statefulrollout.core.actions import MarkPod, RemoveBudget, SetFence, WriteLedger
from statefulrollout.core.asks import Answer, Report
from statefulrollout.core.farewell import Farewell, decide_farewell, open_unattended_gates
from statefulrollout.core.fence import STRATEGIES
from statefulrollout.core.ledger import Ledger, OpenHook, Prepared
from statefulrollout.core.questions import REQUEST
from statefulrollout.core.snapshot import Facts, FenceKind, Floor, OwnBudget, PodView
from tests.builders import a_ledger, a_pod, a_report, a_rolling_set, a_set, pods

HELD = a_set()
LEAVING = a_pod("db-2").drained("v2").turned()
FREE = {names.SERVING: True, names.DRAINED: False, names.MIGRATED: False, names.RELEASED: False}


def an_open_drain(pod: PodView = LEAVING, to: str = "db-2", uid_of_told: str = "", **fields: Any) -> OpenHook:
    """A drain that was begun on the pod, with an undo that goes to the pod named `to`."""
    address = {"name": to, "host": "10.0.0.3", "port": 8081, "uid": uid_of_told}
    http = {"port": "admin", "path": "/drain", "method": "DELETE"}
    undo = {"what": http, "to": [address], "timeout_seconds": 5}
    REQUEST.validate_python(undo)
    entry = OpenHook(id=f"{pod.uid}/v2/drain/0", hook="drain", pod=pod.name, uid=pod.uid, since=0, undo=undo)
    return entry.model_copy(update=fields)


def freed(farewell: Farewell) -> list[str]:
    return [action.pod.name for action in farewell.actions if isinstance(action, MarkPod)]


def ledger_of(farewell: Farewell) -> Ledger | None:
    return next((action.ledger for action in farewell.actions if isinstance(action, WriteLedger)), None)


def forgotten(ledger: Ledger, **more: Any) -> Ledger:
    """The ledger as it is left behind."""
    return ledger.model_copy(update={"rollout_uid": "", "failed": (), "open_hooks": (), **more})


@pytest.mark.parametrize(
    ("policy", "original", "left"),
    [
        ("Freeze", {"type": "RollingUpdate"}, STRATEGIES[FenceKind.HOLD]),
        ("Release", {"type": "RollingUpdate"}, {"type": "RollingUpdate"}),
        ("Release", {"type": "OnDelete", "x": 1}, {"type": "OnDelete", "x": 1}),
        ("Release", None, STRATEGIES[FenceKind.HOLD]),
    ],
)
def test_the_fence_is_left_as_the_user_said_before_any_pod_is_freed(
    policy: str, original: dict[str, object] | None, left: dict[str, object]
) -> None:
    target = a_rolling_set()
    ledger = a_ledger(deletion_policy=policy, original_strategy=original)
    (action,) = decide_farewell(target, (a_pod("db-0"),), ledger, Floor(), {}).actions
    assert isinstance(action, SetFence)
    assert action.strategy == left
    assert f"deletionPolicy: {policy}" in action.message


def test_nobody_is_freed_before_the_controller_has_seen_the_fence() -> None:
    unseen = a_set(observed_generation=6)
    assert decide_farewell(unseen, pods(3), a_ledger(), Floor(), {}) == Farewell(recheck_seconds=1.0)


def test_no_fence_is_left_where_we_had_none() -> None:
    farewell = decide_farewell(a_rolling_set(), (a_pod("db-0"),), a_ledger(rollout_uid=""), Floor(), {})
    assert [type(action) for action in farewell.actions] == [MarkPod]


def test_a_ledger_of_another_set_of_the_same_name_leaves_no_fence() -> None:
    recreated = a_rolling_set(uid="another-uid")
    farewell = decide_farewell(recreated, (), a_ledger(), Floor(), {})
    assert not any(isinstance(action, SetFence) for action in farewell.actions)


@pytest.mark.parametrize(
    ("bears_marks", "pod"),
    [
        (True, a_pod("db-2")),
        (True, a_pod("db-2").untouched().but(fenced=True)),
        (True, a_pod("db-2").came_back().but(fenced=False)),
        (True, LEAVING),
        (True, a_pod("db-2").let_go("v2")),
        (True, a_pod("db-2").let_go("v2").but(fenced=False, gated=False)),
        (False, a_pod("db-2").untouched()),
        (False, a_pod("db-2").ungated().untouched()),
        (False, a_pod("db-2").deleted()),
    ],
)
def test_every_pod_that_bears_our_marks_is_freed_of_all_of_them(bears_marks: bool, pod: PodView) -> None:
    farewell = decide_farewell(HELD, (pod,), a_ledger(rollout_uid=""), Floor(), {})
    if not bears_marks:
        assert farewell.actions == ()
        return
    (mark,) = farewell.actions
    assert isinstance(mark, MarkPod)
    assert (mark.conditions, mark.facts, mark.fenced) == (FREE, Facts(), False)


@pytest.mark.parametrize(
    ("undone", "report"),
    [
        (False, None),
        (False, a_report(Answer.ERROR)),
        (False, a_report(Answer.IN_PROGRESS)),
        (True, a_report(Answer.DONE)),
    ],
)
def test_a_pod_is_freed_once_what_was_begun_on_it_is_undone(undone: bool, report: Report | None) -> None:
    entry, ledger = an_open_drain(), a_ledger(open_hooks=(an_open_drain(),))
    reports = {f"undo/{entry.id}": report} if report else {}
    farewell = decide_farewell(HELD, (a_pod("db-0"), LEAVING), ledger, Floor(), reports)
    assert [ask.id for ask in farewell.asks] == [f"undo/{entry.id}"]
    assert freed(farewell) == (["db-0", "db-2"] if undone else ["db-0"])
    assert ledger_of(farewell) == (forgotten(ledger) if undone else None)


def test_the_floor_goes_once_nothing_is_in_motion_and_before_the_ledger_forgets_us() -> None:
    entry, ledger = an_open_drain(), a_ledger(open_hooks=(an_open_drain(),))
    floor = Floor(in_motion=OwnBudget("uid-in-motion", 7, observed=True), at_rest=OwnBudget("uid-at-rest", 7, True))
    undone = {f"undo/{entry.id}": a_report(Answer.DONE)}
    waits = decide_farewell(HELD, (LEAVING,), ledger, floor, {})
    assert waits.actions == ()
    goes = decide_farewell(HELD, (LEAVING,), ledger, floor, undone)
    assert [type(action) for action in goes.actions] == [MarkPod, RemoveBudget, RemoveBudget]
    assert [action.uid for action in goes.actions if isinstance(action, RemoveBudget)] == [
        "uid-in-motion",
        "uid-at-rest",
    ]
    assert ledger_of(decide_farewell(HELD, (), ledger, Floor(), undone)) == forgotten(ledger)


def test_undoing_begins_while_the_fence_is_still_to_be_set() -> None:
    farewell = decide_farewell(a_rolling_set(), (LEAVING,), a_ledger(open_hooks=(an_open_drain(),)), Floor(), {})
    assert [ask.title for ask in farewell.asks] == ["undo of drain"]
    assert freed(farewell) == []


@pytest.mark.parametrize(
    ("asked", "entry", "present"),
    [
        (True, an_open_drain(), (LEAVING,)),
        (False, an_open_drain(), ()),
        (False, an_open_drain(), (LEAVING.but(phase="Failed"),)),
        (True, an_open_drain(to="db-0"), ()),
        (False, an_open_drain(to="db-0", completed=True), ()),
        (False, an_open_drain(undo=None), (LEAVING,)),
        (False, an_open_drain(to="db-0", uid_of_told="uid-of-another"), (LEAVING, a_pod("db-0"))),
        (True, an_open_drain(to="db-0", uid_of_told="uid-db-0"), (LEAVING, a_pod("db-0"))),
    ],
)
def test_whoever_is_gone_is_not_asked_and_holds_nothing_up(
    asked: bool, entry: OpenHook, present: tuple[PodView, ...]
) -> None:
    ledger = a_ledger(open_hooks=(entry,))
    farewell = decide_farewell(HELD, present, ledger, Floor(), {})
    assert bool(farewell.asks) is asked
    assert ledger_of(farewell) == (None if asked else forgotten(ledger))


def test_what_the_whole_set_was_told_is_not_forgotten_with_the_pod_that_was_told() -> None:
    told = an_open_drain(to="db-0", uid_of_told="uid-of-another").undo
    ledger = a_ledger(preparations=(Prepared(name="balancer", id="r/balancer/1", since=0, done=True, undo=told),))
    farewell = decide_farewell(HELD, (a_pod("db-0"),), ledger, Floor(), {})
    assert [ask.id for ask in farewell.asks] == ["undo/r/balancer/1"]
    assert freed(farewell) == ["db-0"]
    left = ledger_of(farewell)
    assert (left or ledger).preparations == ledger.preparations


@pytest.mark.parametrize(
    ("turned", "pod"),
    [
        (True, a_pod("db-2").drained("v2")),
        (True, a_pod("db-2").let_go("v2")),
        (False, LEAVING),
        (False, a_pod("db-2").drained("v2").deleted()),
        (False, a_pod("db-2").drained("v2").but(phase="Failed")),
    ],
)
def test_a_pod_is_turned_round_before_anything_is_undone(turned: bool, pod: PodView) -> None:
    farewell = decide_farewell(HELD, (pod,), a_ledger(open_hooks=(an_open_drain(),)), Floor(), {})
    marks = [action for action in farewell.actions if isinstance(action, MarkPod) and action.reason == "PodReturning"]
    assert bool(marks) is turned
    assert not (marks and farewell.asks)
    assert all(mark.conditions == {names.RELEASED: False} for mark in marks)


@pytest.mark.parametrize(("policy", "kept"), [("Freeze", {"type": "OnDelete"}), ("Release", None)])
def test_the_ledger_left_behind_keeps_the_generation_and_what_a_frozen_set_had(
    policy: str, kept: dict[str, object] | None
) -> None:
    ledger = a_ledger(*pods(3), failed="v2", deletion_policy=policy, original_strategy={"type": "OnDelete"})
    target = HELD if policy == "Freeze" else a_rolling_set()
    left = ledger_of(decide_farewell(target, pods(3), ledger, Floor(), {}))
    assert left == forgotten(ledger, original_strategy=kept)
    assert left is not None
    assert left.declaration.generation == 17
    assert decide_farewell(target, (), left, Floor(), {}) == Farewell()


def test_the_ledger_is_written_before_the_pods() -> None:
    first, *rest = decide_farewell(HELD, pods(3), a_ledger(), Floor(), {}).actions
    assert isinstance(first, WriteLedger)
    assert [type(action) for action in rest] == [MarkPod] * 3


def test_a_ledger_that_never_was_is_not_made() -> None:
    assert ledger_of(decide_farewell(HELD, pods(1), Ledger(), Floor(), {})) is None


@pytest.mark.parametrize(
    ("opened", "pod"),
    [
        (True, a_pod("db-2").came_back()),
        (True, a_pod("db-2").condition(names.SERVING, False)),
        (False, a_pod("db-2")),
        (False, a_pod("db-2").starting()),
        (False, a_pod("db-2").came_back().ungated()),
        (False, LEAVING),
    ],
)
def test_a_gate_that_nobody_else_would_open_is_opened(opened: bool, pod: PodView) -> None:
    marks = open_unattended_gates((pod,))
    assert [(mark.pod, mark.conditions) for mark in marks] == ([(pod, {names.SERVING: True})] if opened else [])
