"""The guards of the user's pace and order: windows, steps, time between pods, roles, zones; and passing guards over."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.core.guards import Verdict, judge, passed_over
from statefulrollout.core.snapshot import PodView
from tests.builders import NOW, APod, a_pod, pods
from tests.unit.core.guarded import CANDIDATE, CONDEMNED, STUCK, said, scene_of

ABORTED: dict[str, Any] = {"abort": {"revision": "v2"}}
ON_ITS_WAY_BACK = a_pod("db-2").at("v2")
SHUT: dict[str, Any] = {"windows": [{"schedule": "0 9 * * *", "durationSeconds": 60}]}


@pytest.mark.parametrize(
    ("held", "candidate", "spec"),
    [
        (True, CANDIDATE, {}),
        (False, CONDEMNED, {}),
        (False, STUCK, {}),
        (False, ON_ITS_WAY_BACK, ABORTED),
    ],
)
def test_inside_a_maintenance_window(held: bool, candidate: PodView, spec: dict[str, Any]) -> None:
    others = pods(3) if candidate is CONDEMNED else pods(2)
    scene, place = scene_of(candidate, others, strategy=SHUT, **spec)
    verdict = judge(scene, place)
    expected = Verdict("inside_a_maintenance_window", "no window is open before 2027-01-15T09:00:00Z")
    assert verdict == (expected if held else None)


STEPS: list[dict[str, Any]] = [{"pods": 1, "pause": {}}, {"pods": 2, "pause": {"seconds": 60}}]
MOVED = a_pod("db-1").at("v2")


@pytest.mark.parametrize(
    ("observed", "candidate", "other", "spec"),
    [
        ("", CANDIDATE, a_pod("db-1"), {}),
        ("step 1 is 1 pods, and so many have left already", CANDIDATE, a_pod("db-1").isolated("v2"), {}),
        ("step 1 is 1 pods, and so many have left already", CANDIDATE, MOVED.starting(), {}),
        ("step 1 of 2 is reached (1 pods); to go on, set spec.promote to {revision: v2, step: 1}", STUCK, MOVED, {}),
        ("", CANDIDATE, MOVED, {"promote": {"revision": "v2", "step": 1}}),
        ("", CONDEMNED, MOVED, {}),
        ("", ON_ITS_WAY_BACK, MOVED, ABORTED),
    ],
)
def test_step_allows_another_pod(observed: str, candidate: PodView, other: PodView, spec: dict[str, Any]) -> None:
    others = (a_pod("db-0"), other)
    assert said("step_allows_another_pod", candidate, others, strategy={"steps": STEPS}, **spec) == observed


def test_whoever_was_chosen_before_counts_for_the_step() -> None:
    others, strategy = pods(2), {"steps": STEPS}
    assert said("step_allows_another_pod", CANDIDATE, others, strategy=strategy, chosen=frozenset({"uid-db-1"}))


@pytest.mark.parametrize(
    ("observed", "candidate", "ago", "spec"),
    [
        ("", CANDIDATE, None, {}),
        ("", CANDIDATE, 60, {}),
        ("59 of 60 s since the last pod (minSecondsBetweenPods)", CANDIDATE, 59, {}),
        ("", CONDEMNED, 59, {}),
        ("", ON_ITS_WAY_BACK, 59, ABORTED),
    ],
)
def test_pace_is_respected(observed: str, candidate: PodView, ago: int | None, spec: dict[str, Any]) -> None:
    remembered = {"chosen_at": None if ago is None else NOW - ago}
    strategy = {"minSecondsBetweenPods": 60}
    assert said("pace_is_respected", candidate, strategy=strategy, remembered=remembered, **spec) == observed


def test_a_way_back_is_not_held_by_what_it_goes_back_from() -> None:
    scene, place = scene_of(ON_ITS_WAY_BACK, failed="v2", **ABORTED)
    assert judge(scene, place) is None
    scene, place = scene_of(ON_ITS_WAY_BACK, failed="v2", paused=True, **ABORTED)
    assert judge(scene, place) == Verdict("rollout_is_not_paused", "spec.paused is true")


LEADER_LAST: dict[str, Any] = {"order": {"by": "Role", "role": {"label": "role", "last": ["witness", "leader"]}}}


def playing(pod: APod, role: str) -> APod:
    return pod.but(labels={**pod.labels, "role": role})


def test_a_guard_that_the_user_passes_over_is_said_aloud_and_does_not_hold() -> None:
    word = {"revision": "v2", "guards": ["inside_a_maintenance_window", "application_checks_pass"]}
    scene, place = scene_of(strategy=SHUT, override=word)
    assert judge(scene, place) is None
    assert [verdict.guard for verdict in passed_over(scene, place)] == ["inside_a_maintenance_window"]
    for other in ({**word, "revision": "v1"}, {**word, "guards": ["pace_is_respected"]}):
        scene, place = scene_of(strategy=SHUT, override=other)
        assert judge(scene, place) is not None
        assert passed_over(scene, place) == ()


def test_a_scale_down_passes_no_guard_over() -> None:
    word = {"revision": "v2", "guards": ["budget_allows_new_unavailability"]}
    scene, place = scene_of(CONDEMNED, pods(2), override=word)
    assert judge(scene, place) is not None


@pytest.mark.parametrize(
    ("observed", "role", "other"),
    [
        ("", "leader", a_pod("db-1").at("v2")),
        ("", "", a_pod("db-1")),
        ("", "witness", playing(a_pod("db-1"), "leader")),
        ("", "leader", playing(a_pod("db-1"), "leader")),
        ("db-1 goes earlier (strategy.order), and is Serving", "leader", a_pod("db-1")),
        ("db-1 goes earlier (strategy.order), and is Serving", "leader", playing(a_pod("db-1"), "witness")),
        ("db-1 goes earlier (strategy.order), and is Isolating", "leader", a_pod("db-1").isolated("v2")),
        ("db-1 goes earlier (strategy.order), and is Soaking", "leader", a_pod("db-1").at("v2").serving_since(3)),
    ],
)
def test_earlier_roles_have_arrived(observed: str, role: str, other: PodView) -> None:
    others = (a_pod("db-0").at("v2"), other)
    candidate = playing(CANDIDATE, role) if role else CANDIDATE
    assert said("earlier_roles_have_arrived", candidate, others, strategy=LEADER_LAST) == observed
    assert said("earlier_roles_have_arrived", candidate, others) == ""


def test_a_condemned_leader_waits_for_nobody() -> None:
    assert said("earlier_roles_have_arrived", playing(CONDEMNED, "leader"), pods(3), strategy=LEADER_LAST) == ""


ZONES = {"node-0": "a", "node-1": "b", "node-2": "b", "node-3": "c"}


@pytest.mark.parametrize(
    ("observed", "others", "chosen"),
    [
        ("", (a_pod("db-0").at("v2"), a_pod("db-1")), ""),
        ("", (a_pod("db-0").at("v2"), a_pod("db-1").isolated("v2")), ""),
        ("zone a is not done yet: db-0 goes earlier", (a_pod("db-0"), a_pod("db-1").at("v2")), ""),
        ("db-0 in zone a is Soaking", (a_pod("db-0").at("v2").serving_since(3), a_pod("db-1")), ""),
        ("db-0 in zone a is Serving", (a_pod("db-0"), a_pod("db-1")), "uid-db-0"),
        ("db-1 is missing, and its zone is not known", (a_pod("db-0").at("v2"),), ""),
        ("", (a_pod("db-0").at("v2"), a_pod("db-1"), a_pod("db-3").isolated("scale-down")), ""),
    ],
)
def test_only_one_zone_is_disturbed(observed: str, others: tuple[PodView, ...], chosen: str) -> None:
    strategy = {"order": {"by": "Zone"}}
    away = frozenset({chosen}) if chosen else frozenset[str]()
    found = said("only_one_zone_is_disturbed", CANDIDATE, others, zones=ZONES, strategy=strategy, chosen=away)
    assert found == observed
    assert said("only_one_zone_is_disturbed", CANDIDATE, others, zones=ZONES, chosen=away) == ""


def test_a_zone_that_is_not_known_is_named() -> None:
    strategy = {"order": {"by": "Zone", "topologyKey": "rack"}}
    assert (
        said("only_one_zone_is_disturbed", zones={"node-0": "a"}, strategy=strategy) == "node node-2 has no label rack"
    )
