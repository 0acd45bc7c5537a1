"""The next step of a pod on its way back: started, restored, returned to service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from statefulrollout.api import names
from statefulrollout.core.asks import Answer
from statefulrollout.core.snapshot import Facts, PodView
from statefulrollout.core.stages import Stage, places_of
from statefulrollout.core.step import CLOSED, OPENED
from statefulrollout.core.steps import step_of
from tests.builders import (
    MEMBERSHIP,
    NOW,
    STORE,
    APod,
    a_pod,
    a_report,
    a_rolling_set,
    a_set,
    a_snapshot,
    a_spec,
)
from tests.unit.core.one_pod import (
    NEW,
    OLD,
    PENDING,
    RESTORE,
    Case,
    the_mark,
    undo_of,
    wait_of,
)


@pytest.mark.parametrize(
    ("observed", "pod"),
    [
        ("containers are not ready", NEW.starting()),
        ("container store ImagePullBackOff", NEW.waiting_in("ImagePullBackOff").but(facts=None)),
        ("not scheduled: no node", NEW.starting().but(unschedulable="not scheduled: no node")),
    ],
)
def test_starting_says_what_the_kubelet_says(observed: str, pod: PodView) -> None:
    step = Case(pod, drain=None).step
    assert wait_of(step) == ("kubelet", observed)
    assert step.actions == ()
    assert Case(NEW.starting(since=5)).step.recheck_at == NOW + 595


@pytest.mark.parametrize(
    ("closes", "spec"), [(True, {"restore": RESTORE}), (True, {"membership": MEMBERSHIP}), (False, {})]
)
def test_a_gate_closes_behind_a_restarted_container_where_there_is_something_to_restore(
    closes: bool, spec: dict[str, Any]
) -> None:
    step = Case(NEW.restarted(ready=False), **spec).step
    assert [action.reason for action in step.actions] == (["ContainerRestarted"] if closes else [])  # type: ignore[union-attr]
    if closes:
        assert the_mark(step).facts == Facts()
        assert the_mark(step).conditions == {**OPENED, **CLOSED}


@pytest.mark.parametrize("may_close_gate", [True, False])
def test_a_pod_that_is_ready_again_closes_its_gate_within_the_budget(may_close_gate: bool) -> None:
    step = Case(NEW.restarted(), restore=RESTORE, may_close_gate=may_close_gate).step
    if may_close_gate:
        assert the_mark(step).reason == "ContainerRestarted"
    else:
        assert step.actions == ()
        assert wait_of(step)[0] == "budget_allows_new_unavailability"


def test_restore_is_asked_of_a_pod_that_came_back() -> None:
    step = Case(NEW.came_back(), restore=RESTORE).step
    assert [ask.title for ask in step.asks] == ["restore"]
    assert step.actions == ()
    assert [entry.hook for entry in step.opens] == ["restore"]


@pytest.mark.parametrize(
    "case",
    [
        Case(NEW.came_back()),
        Case(NEW.came_back(), restore=RESTORE, opened={"restore": (5, a_report(Answer.DONE))}),
        Case(NEW.restarted()),
        Case(OLD.turned()),
    ],
)
def test_a_pod_serves_again_with_what_is_true_of_its_containers_now(case: Case) -> None:
    mark = the_mark(case.step)
    assert mark.conditions == OPENED
    assert mark.facts == Facts(containers={STORE: case.place.pod.containers[0].id})
    assert mark.fenced


@pytest.mark.parametrize("pod", [NEW.came_back(), OLD.turned()])
def test_a_gate_waits_for_the_membership_and_for_the_fence(pod: PodView) -> None:
    held = Case(pod, pending=PENDING).step
    assert (held.actions, held.closes, held.waiting) == ((), (), PENDING)
    unfenced = Case(pod, fence_stands=False).step
    assert unfenced.actions == ()
    assert wait_of(unfenced)[0] == "fence"


@pytest.mark.parametrize(("opens", "other"), [(False, "v2"), (True, "v1")])
def test_a_gate_stays_shut_that_alone_keeps_what_is_given_up_from_being_accepted(opens: bool, other: str) -> None:
    target = a_rolling_set(2)
    spec: dict[str, Any] = {"abort": {"revision": "v2"}}
    places = places_of(a_snapshot(target, a_pod("db-0").at(other), spec=a_spec(**spec)), NOW)
    stand = Case(a_pod("db-1").at("v2").came_back(), target, **spec).stand
    place = stand.around.places[-1]
    around = replace(stand.around, places=(*places, place))
    step = step_of(replace(stand, around=around), place)
    assert bool(step.actions) is opens
    assert opens or wait_of(step)[0] == "fence"


def test_a_gate_needs_no_fence_where_nothing_rolls() -> None:
    assert the_mark(Case(OLD.came_back(), a_set(), fence_stands=False).step).reason == "PodServing"


@pytest.mark.parametrize("pod", [OLD.isolated("v0"), OLD.migrated("v0"), OLD.isolated("v0").restarted()])
def test_a_pod_that_goes_back_is_told_so_before_anything_is_taken_back(pod: APod) -> None:
    case = Case(pod, entries=(undo_of(pod, pod),))
    mark = the_mark(case.step)
    assert (mark.reason, mark.conditions, case.step.asks, case.step.closes) == ("PodReturning", {}, (), ())
    assert mark.facts is not None
    assert (mark.facts.wanted, mark.facts.returning) == ("v0", True)
    assert case.restored == frozenset()


@pytest.mark.parametrize("answer", [None, Answer.ERROR, Answer.IN_PROGRESS])
def test_a_returning_pod_is_undone_before_it_serves(answer: Answer | None) -> None:
    pod = OLD.turned()
    entry = undo_of(pod, pod)
    reports = {f"undo/{entry.id}": a_report(answer)} if answer else {}
    step = Case(pod, entries=(entry,), reports=reports).step
    assert [ask.id for ask in step.asks] == [f"undo/{entry.id}"]
    assert wait_of(step) == ("undo of drain", f"it said {answer.value}" if answer else "asked")
    assert (step.actions, step.closes) == ((), ())


def test_an_answer_is_not_forgotten_while_another_is_waited_for() -> None:
    pod = OLD.turned()
    drain, migrate = undo_of(pod, pod), undo_of(pod, a_pod("db-0"), hook="migrate")
    asked = (f"undo/{drain.id}", f"undo/{migrate.id}")
    half = {asked[0]: a_report(Answer.DONE), asked[1]: a_report(Answer.NOT_NOW)}
    step = Case(pod, entries=(drain, migrate), reports=half).step
    assert tuple(ask.id for ask in step.asks) == asked
    assert wait_of(step)[0] == "undo of migrate"
    done = dict.fromkeys(asked, a_report(Answer.DONE))
    held = Case(pod, pending=PENDING, entries=(drain, migrate), reports=done)
    assert tuple(ask.id for ask in held.step.asks) == asked


def test_a_returning_pod_serves_when_all_is_undone() -> None:
    pod = OLD.turned()
    entry = undo_of(pod, pod)
    case = Case(pod, entries=(entry,), reports={f"undo/{entry.id}": a_report(Answer.DONE)})
    assert (the_mark(case.step).reason, case.step.closes) == ("PodReturned", (entry.id,))
    assert case.restored == {pod.uid}


@pytest.mark.parametrize("pod", [OLD.turned().restarted(), OLD.turned().failing_probe()])
def test_a_returning_pod_that_lost_its_state_goes_on_as_one_that_came_back(pod: APod) -> None:
    mark = the_mark(Case(pod).step)
    assert (mark.facts, mark.conditions) == (Facts(), {**OPENED, **CLOSED})
    after = pod.condition(names.DRAINED, False).but(facts=mark.facts)
    assert Case(after).place.stage in (Stage.RESTORING, Stage.STARTING)


def test_what_a_dead_pod_was_told_died_with_it_and_what_its_peers_were_told_did_not() -> None:
    dead = OLD.turned().but(phase="Failed")
    assert Case(dead, entries=(undo_of(dead, dead),)).step.asks == ()
    assert len(Case(dead, entries=(undo_of(dead, a_pod("db-0")),)).step.asks) == 1


@pytest.mark.parametrize(
    ("restored", "case"),
    [
        (True, Case(NEW.came_back())),
        (False, Case(NEW.came_back(), restore=RESTORE)),
        (True, Case(NEW.came_back(), restore=RESTORE, opened={"restore": (5, a_report(Answer.DONE))})),
        (False, Case(NEW.restarted(), restore=RESTORE, opened={"restore": (5, a_report(Answer.DONE))})),
        (False, Case(NEW.starting())),
        (False, Case(OLD)),
        (True, Case(OLD.turned())),
        (False, Case(OLD.turned().restarted())),
    ],
)
def test_only_who_did_its_own_part_may_join(restored: bool, case: Case) -> None:
    assert (case.place.pod.uid in case.restored) is restored
