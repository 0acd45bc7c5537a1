"""How far a rollout may go: steps that are reached and passed, and windows with time zones and daylight saving."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from statefulrollout.api.v1alpha1 import Window
from statefulrollout.core.ledger import Progress
from statefulrollout.core.pacing import Pacing, moved_by_now, opening_of, pacing_of
from statefulrollout.core.snapshot import PodView
from statefulrollout.core.stages import places_of
from tests.builders import NOW, a_ledger, a_pod, a_rolling_set, a_set, a_snapshot, a_spec, pods

STEPS: list[dict[str, Any]] = [
    {"pods": 1, "pause": {}},
    {"pods": "50%", "pause": {"seconds": 600}},
    {"pods": 9, "pause": {"seconds": 1}},
]


def paced(updated: int, progress: Progress | None = None, target: Any = None, **spec: Any) -> Pacing:
    """Of four pods, so many have been updated and have soaked."""
    target = target or a_rolling_set(4)
    present = (*pods(4 - updated), *(a_pod(f"db-{3 - n}").at("v2") for n in range(updated)))
    ledger = a_ledger(progress=progress or Progress())
    snapshot = a_snapshot(target, *present, spec=a_spec(strategy={"steps": STEPS}, **spec), ledger=ledger)
    return pacing_of(snapshot, target, places_of(snapshot, NOW), NOW)


def at(passed: int, ago: float | None = None) -> Progress:
    """So many steps of v2 are passed, and the next was reached so long ago."""
    return Progress(revision="v2", passed=passed, reached_at=None if ago is None else NOW - ago)


def promoted(step: int, revision: str = "v2") -> dict[str, Any]:
    return {"promote": {"revision": revision, "step": step}}


@pytest.mark.parametrize(
    ("before", "updated", "spec", "after", "total", "rests"),
    [
        (None, 0, {}, at(0), 1, False),
        (Progress(revision="v1", passed=2), 0, {}, at(0), 1, False),
        (None, 1, {}, at(0, 0), 1, True),
        (at(0, 99), 1, {}, at(0, 99), 1, True),
        (at(0, 99), 0, {}, at(0, 99), 1, True),
        (at(0, 99), 0, promoted(1), at(0, 99), 1, False),
        (at(1, 600), 1, {}, at(1, 600), 2, False),
        (at(0, 99), 1, promoted(1), at(1), 2, False),
        (at(0, 99), 1, promoted(1, "v1"), at(0, 99), 1, True),
        (None, 0, promoted(3), at(0), 1, False),
        (None, 1, promoted(3), at(1), 2, False),
        (at(1), 2, {}, at(1, 0), 2, True),
        (at(1, 599), 2, {}, at(1, 599), 2, True),
        (at(1, 600), 2, {}, at(2), 4, False),
        (at(1, 599), 2, promoted(2), at(2), 4, False),
        (at(2), 4, {}, at(2, 0), 4, True),
        (at(2, 1), 4, {}, at(3), None, False),
        (at(7), 1, {}, at(7), None, False),
    ],
)
def test_a_step_is_passed_once_it_is_reached_and_its_rest_is_over(
    before: Progress | None, updated: int, spec: dict[str, Any], after: Progress, total: int | None, rests: bool
) -> None:
    pacing = paced(updated, before, **spec)
    assert (pacing.progress, pacing.total, pacing.rests) == (after, total, rests)


def test_a_rest_says_what_ends_it_and_when() -> None:
    assert paced(1).rest == ("step 1 of 3 is reached (1 pods); to go on, set spec.promote to {revision: v2, step: 1}")
    assert paced(1).recheck_at is None
    timed = paced(2, at(1, 60))
    assert timed.rest == (
        "step 2 of 3 is reached (2 pods), until 2027-01-15T08:09:00Z; "
        "to go on earlier, set spec.promote to {revision: v2, step: 2}"
    )
    assert timed.recheck_at == NOW + 540


@pytest.mark.parametrize("spec", [{"abort": {"revision": "v2"}}, {}])
def test_nothing_is_remembered_of_what_is_given_up_or_done(spec: dict[str, Any]) -> None:
    done = None if spec else a_set(4, wanted="v2", accepted="v2")
    assert paced(2, at(1, 60), done, **spec) == Pacing(Progress())


def test_without_steps_nothing_is_remembered() -> None:
    target = a_rolling_set()
    snapshot = a_snapshot(target, *pods(3))
    assert pacing_of(snapshot, target, places_of(snapshot, NOW), NOW) == Pacing(Progress())


@pytest.mark.parametrize(
    ("moved", "third"),
    [
        (0, a_pod("db-2")),
        (0, a_pod("db-2").waiting_in("CrashLoopBackOff")),
        (1, a_pod("db-2").isolated("v2")),
        (1, a_pod("db-2").turned()),
        (1, a_pod("db-2").deleted()),
        (1, a_pod("db-2").at("v2").starting()),
        (1, a_pod("db-3")),
    ],
)
def test_whoever_does_not_wait_to_leave_has_moved(moved: int, third: PodView) -> None:
    target = a_rolling_set()
    places = places_of(a_snapshot(target, *pods(2), third), NOW)
    assert moved_by_now(target, places, frozenset()) == moved
    assert moved_by_now(target, places, frozenset({"uid-db-0"})) == moved + 1


def a_window(schedule: str, zone: str = "Europe/Berlin", seconds: int = 3600) -> Window:
    return Window(schedule=schedule, time_zone=zone, duration_seconds=seconds)


def berlin(*parts: int) -> float:
    return datetime(*parts, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        (berlin(2027, 1, 15, 1, 59, 59), berlin(2027, 1, 15, 2)),
        (berlin(2027, 1, 15, 2), None),
        (berlin(2027, 1, 15, 2, 59, 59), None),
        (berlin(2027, 1, 15, 3), berlin(2027, 1, 18, 2)),
        (berlin(2027, 1, 16, 2, 30), berlin(2027, 1, 18, 2)),
    ],
)
def test_a_window_opens_by_its_schedule_and_closes_after_its_duration(now: float, opens: float | None) -> None:
    assert opening_of([a_window("0 2 * * 1-5")], now) == opens


def test_any_open_window_will_do_and_none_is_always_open() -> None:
    night, noon = a_window("0 2 * * *"), a_window("0 12 * * *", seconds=60)
    assert opening_of([night, noon], berlin(2027, 1, 15, 12, 0, 30)) is None
    assert opening_of([night, noon], berlin(2027, 1, 15, 12, 1)) == berlin(2027, 1, 16, 2)
    assert opening_of([noon, night], berlin(2027, 1, 15, 3)) == berlin(2027, 1, 15, 12)
    assert opening_of([], NOW) is None


def test_an_hour_that_daylight_saving_skips_or_repeats_has_one_window_all_the_same() -> None:
    night = [a_window("30 2 * * *")]
    # 2027-03-28: from 02:00 it is 03:00.
    assert opening_of(night, berlin(2027, 3, 28, 1, 59)) == berlin(2027, 3, 28, 3)
    assert opening_of(night, berlin(2027, 3, 28, 3, 59)) is None
    assert opening_of(night, berlin(2027, 3, 28, 4)) == berlin(2027, 3, 29, 2, 30)
    # 2027-10-31: from 03:00 it is 02:00 once more.
    first = berlin(2027, 10, 31, 2, 30)
    assert opening_of(night, first) is None
    assert opening_of(night, first + 3600) == berlin(2027, 11, 1, 2, 30)


def test_a_window_longer_than_its_period_is_always_open() -> None:
    assert all(opening_of([a_window("0 0 * * *", seconds=90_000)], NOW + hour * 3600) is None for hour in range(48))


def test_what_time_alone_changes_is_looked_at_again() -> None:
    target = a_rolling_set()
    windows = [{"schedule": "0 * * * *", "durationSeconds": 600}]
    snapshot = a_snapshot(target, *pods(3), spec=a_spec(strategy={"windows": windows}))
    for now, closed, at_next in ((NOW, False, NOW + 600), (NOW + 600, True, NOW + 3600)):
        pacing = pacing_of(snapshot, target, places_of(snapshot, now), now)
        assert (bool(pacing.closed), pacing.rests, pacing.recheck_at) == (closed, closed, at_next)
