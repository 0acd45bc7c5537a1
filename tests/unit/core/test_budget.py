"""How many pods may be away, and which are."""

from __future__ import annotations

import pytest

from statefulrollout.core.budget import pods_of, unavailable_ordinals
from statefulrollout.core.snapshot import PodView
from statefulrollout.core.stages import places_of
from tests.builders import NOW, a_pod, a_rolling_set, a_snapshot


@pytest.mark.parametrize(
    ("value", "replicas", "limit"),
    [
        (1, 3, 1),
        (7, 3, 7),
        ("40%", 5, 2),
        ("39%", 5, 1),
        ("99%", 5, 4),
        ("100%", 5, 5),
        ("1%", 5, 1),
        ("1%", 0, 1),
        ("33%", 1000, 330),
    ],
)
def test_a_percentage_is_rounded_down_and_at_least_one(value: int | str, replicas: int, limit: int) -> None:
    assert pods_of(value, replicas) == limit


LAST = a_pod("db-2")


@pytest.mark.parametrize(
    ("away", "present"),
    [
        (set(), (LAST,)),
        ({2}, ()),
        ({2}, (LAST.deleted(),)),
        ({2}, (LAST.failing_probe(),)),
        ({2}, (LAST.isolated("v2"),)),
        ({2}, (LAST.let_go("v2"),)),
        ({2}, (LAST.at("v2").starting(),)),
        ({2}, (LAST.at("v2").came_back(),)),
        ({2}, (LAST.at("v2").serving_since(10),)),
        (set(), (LAST.at("v2").serving_since(11),)),
        (set(), (LAST, a_pod("db-3").deleted())),
    ],
)
def test_whoever_carries_no_load_is_away_for_whatever_reason(away: set[int], present: tuple[PodView, ...]) -> None:
    target = a_rolling_set(3)
    places = places_of(a_snapshot(target, a_pod("db-0"), a_pod("db-1"), *present), NOW)
    assert unavailable_ordinals(target, places) == away


def test_the_chosen_are_counted_as_if_they_were_gone() -> None:
    target = a_rolling_set(2, start_ordinal=1)
    places = places_of(a_snapshot(target, a_pod("db-1"), LAST), NOW)
    assert unavailable_ordinals(target, places, {LAST.uid}) == {2}
