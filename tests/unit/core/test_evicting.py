"""A pod that somebody wants off its node: how long that is so, where the pod stands, and what is done with it."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.api import names
from statefulrollout.core.actions import MarkPod, Motion, RemovePod
from statefulrollout.core.evicting import PATIENCE_SECONDS, Answer, answer_of, is_evicted
from statefulrollout.core.guards import Verdict, judge
from statefulrollout.core.plan import Plan, decide
from statefulrollout.core.snapshot import PodView, StatefulSetView
from statefulrollout.core.stages import EVICTION, SCALE_DOWN, Stage, places_of
from tests.builders import NOW, APod, a_ledger, a_pod, a_rolling_set, a_set, a_snapshot, a_spec, pods
from tests.unit.core.guarded import CANDIDATE, said, scene_of


def wanted_off(pod: APod, ago: float = 5) -> APod:
    return pod.but(eviction_asked=NOW - ago)


POD = wanted_off(a_pod("db-2"))


@pytest.mark.parametrize(("wanted", "ago"), [(True, 0), (True, 89), (False, 90), (True, -89), (False, -3600)])
def test_an_eviction_is_wanted_as_long_as_it_is_asked_for(wanted: bool, ago: float) -> None:
    assert is_evicted(wanted_off(POD, ago), NOW) is wanted
    assert not is_evicted(a_pod("db-2"), NOW)


@pytest.mark.parametrize(
    ("answer", "pod"),
    [
        (Answer(passes=False, noted=True), a_pod("db-2")),
        (Answer(passes=False, noted=False), wanted_off(POD, 19)),
        (Answer(passes=False, noted=True), wanted_off(POD, 20)),
        (Answer(passes=False, noted=True), wanted_off(POD, -1)),
        (Answer(passes=True, noted=False), wanted_off(POD).let_go(EVICTION)),
        (Answer(passes=True, noted=False), POD.but(phase="Failed")),
        (Answer(passes=True, noted=False), POD.but(phase="Pending")),
        (Answer(passes=True, noted=False), POD.deleted()),
    ],
)
def test_what_is_answered(answer: Answer, pod: PodView) -> None:
    assert answer_of(pod, pod.uid, NOW) == answer
    assert answer_of(pod, "of-another", NOW) == Answer(passes=True)


@pytest.mark.parametrize(
    ("leaves_for", "stage", "pod", "target"),
    [
        (EVICTION, Stage.SERVING, POD, a_set()),
        (None, Stage.UPDATED, wanted_off(POD, 90), a_set()),
        (EVICTION, Stage.SERVING, POD, a_rolling_set()),
        (SCALE_DOWN, Stage.SERVING, wanted_off(a_pod("db-3")), a_set()),
        (EVICTION, Stage.DRAINING, POD.isolated(EVICTION), a_set()),
        ("v2", Stage.DRAINING, POD.isolated("v2"), a_rolling_set()),
        (EVICTION, Stage.RELEASED, POD.let_go(EVICTION), a_set()),
        (None, Stage.RETURNING, wanted_off(POD, 90).isolated(EVICTION), a_set()),
        (None, Stage.RETURNING, wanted_off(POD, 90).let_go(EVICTION), a_set()),
        ("v2", Stage.RETURNING, wanted_off(POD, 90).let_go(EVICTION), a_rolling_set()),
        (None, Stage.RELEASED, wanted_off(POD, 90).let_go(EVICTION).deleted(), a_set()),
    ],
)
def test_where_it_stands(leaves_for: str | None, stage: Stage, pod: PodView, target: StatefulSetView) -> None:
    (place,) = places_of(a_snapshot(target, pod, isolated={pod.uid: 60}), NOW)
    assert (place.leaves_for, place.stage) == (leaves_for, stage)
    assert (place.evicted, place.rolled) == (leaves_for == EVICTION, leaves_for == "v2")


@pytest.mark.parametrize(
    ("guard", "seen"),
    [
        ("rollout_is_not_paused", {"paused": True}),
        ("inside_a_maintenance_window", {"strategy": {"windows": [{"schedule": "0 3 * * *", "durationSeconds": 60}]}}),
        ("revision_has_not_failed", {"failed": "v2"}),
        ("pace_is_respected", {"strategy": {"minSecondsBetweenPods": 60}, "remembered": {"chosen_at": NOW - 1}}),
        ("rollout_is_prepared", {"unprepared": "not yet"}),
    ],
)
def test_what_holds_a_rollout_does_not_hold_an_eviction(guard: str, seen: dict[str, Any]) -> None:
    assert said(guard, CANDIDATE, **seen)
    assert not said(guard, wanted_off(CANDIDATE), **seen)


def test_an_eviction_waits_for_what_would_hurt_those_that_stay() -> None:
    scene, place = scene_of(POD, pods(1))
    assert judge(scene, place) == Verdict("budget_allows_new_unavailability", "1 of 1 are unavailable: db-1")
    scene, place = scene_of(wanted_off(a_pod("db-0")), (), a_set(1))
    assert judge(scene, place) == Verdict(
        "outage_was_allowed",
        "maxUnavailable is 1 of 1 replicas: lower it, or set strategy.allowFullOutage to true",
    )


def plan_of(*present: PodView, target: StatefulSetView | None = None, **spec: Any) -> Plan:
    dark = {pod.uid: 60.0 for pod in present if pod.facts and pod.facts.wanted}
    snapshot = a_snapshot(target or a_set(), *present, spec=a_spec(**spec), ledger=a_ledger(), isolated=dark)
    return decide(snapshot, NOW)


def marks_in(plan: Plan) -> list[tuple[str, str]]:
    return [(action.pod.name, action.reason) for action in plan.actions if isinstance(action, MarkPod)]


def test_it_goes_before_those_that_are_rolled() -> None:
    present = (wanted_off(a_pod("db-0")), a_pod("db-1"), a_pod("db-2"))
    plan = plan_of(*present, target=a_rolling_set())
    assert marks_in(plan) == [("db-0", "PodIsolated")]
    (mark,) = (action for action in plan.actions if isinstance(action, MarkPod))
    assert mark.facts is not None
    assert mark.facts.wanted == EVICTION


def test_once_released_it_is_left_to_whoever_asked() -> None:
    released = POD.isolated(EVICTION)
    plan = plan_of(*pods(2), released, drain=None)
    (mark,) = (action for action in plan.actions if isinstance(action, MarkPod))
    assert (mark.reason, mark.conditions[names.RELEASED], mark.motion) == ("PodReleased", True, Motion.RELEASED)
    assert not any(isinstance(action, RemovePod) for action in plan.actions)
    plan = plan_of(*pods(2), POD.let_go(EVICTION))
    assert plan.actions == ()
    assert plan.waiting[POD.uid].name == "evictor"
    assert plan.recheck_at == NOW - 5 + PATIENCE_SECONDS


def test_if_nobody_asks_any_more_it_goes_back() -> None:
    plan = plan_of(*pods(2), wanted_off(POD, 90).let_go(EVICTION))
    (mark,) = (action for action in plan.actions if isinstance(action, MarkPod))
    assert (mark.reason, dict(mark.conditions)) == ("PodReturning", {names.RELEASED: False})
    assert mark.message == "goes back: it does not leave for eviction any more"
