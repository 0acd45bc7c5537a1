"""A scene with one more pod chosen, or one fewer, says the same as one that was worked out anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from statefulrollout.core.actions import MarkPod
from statefulrollout.core.budget import unavailable_ordinals
from statefulrollout.core.plan import decide
from statefulrollout.core.scene import Scene
from statefulrollout.core.stages import Place
from tests.builders import NOW, a_pod, a_rolling_set, a_snapshot, a_spec, pods
from tests.unit.core.guarded import scene_of

SAID = ("away", "away_named", "condemned_away", "moved", "unsettled", "available", "resting", "load")
STUCK = a_pod("db-1").waiting_in("CrashLoopBackOff")
UIDS = ("uid-db-0", "uid-db-1", "uid-db-3", "uid-db-5")
"""Of a pod that serves, one that is stuck, another that serves, and one that a scale-down takes; db-2 is missing."""


def said_by(scene: Scene) -> dict[str, Any]:
    return {name: getattr(scene, name) for name in SAID}


def a_scene(*chosen: str) -> Scene:
    others = (STUCK, a_pod("db-3"), a_pod("db-4").at("v2"), a_pod("db-5"))
    scene, _ = scene_of(a_pod("db-0"), others, a_rolling_set(5), chosen=frozenset(chosen))
    said_by(scene)
    return scene


def place_in(scene: Scene, uid: str) -> Place:
    return next(place for place in scene.places if place.pod.uid == uid)


@pytest.mark.parametrize("uid", UIDS)
def test_one_more_is_chosen(uid: str) -> None:
    before = a_scene("uid-db-4")
    after = before.choosing(place_in(before, uid))
    assert said_by(after) == said_by(a_scene("uid-db-4", uid))
    assert (after.chosen, after.chosen_at) == (frozenset({"uid-db-4", uid}), NOW)


@pytest.mark.parametrize("uid", UIDS)
def test_one_is_judged_that_was_chosen_before(uid: str) -> None:
    before = a_scene(*UIDS)
    after = before.sparing(place_in(before, uid))
    assert said_by(after) == said_by(a_scene(*(other for other in UIDS if other != uid)))
    assert after.chosen_at == before.chosen_at


def test_what_is_asked_first_of_a_later_scene_is_right_too() -> None:
    before = replace(a_scene("uid-db-4"))
    for uid in UIDS:
        before = before.choosing(place_in(before, uid))
    assert said_by(before) == said_by(a_scene("uid-db-4", *UIDS))


def test_who_is_away_is_worked_out_once_however_many_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each choice anew, a tenth of 10,000 pods took 15 seconds, in which the operator lost its Lease."""
    counted = Mock(wraps=unavailable_ordinals)
    monkeypatch.setattr("statefulrollout.core.scene.unavailable_ordinals", counted)
    spec = a_spec(strategy={"maxUnavailable": 50})
    plan = decide(a_snapshot(a_rolling_set(100), *pods(100), spec=spec), NOW)
    assert sum(isinstance(action, MarkPod) for action in plan.actions) == 50
    assert counted.call_count == 1
