"""The operator dies between any two of its API calls, and goes on as if nothing had happened.

The crash points of a play are enumerated, not sampled: it runs once to count the calls; then once for each, with a
crash just before that call takes effect, and for each write once more with a crash while it is on its way, so that it
takes effect when the next process is at work already. One point in `EVERY` is tried here, `make simulate` tries all.
"""

from __future__ import annotations

import pytest

from tests.simulation.crash_points import points_of, try_point
from tests.simulation.plays import PLAYS, Play

EVERY = 150


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.name)
def test_a_crash_at_any_call_changes_nothing_in_the_end(play: Play) -> None:
    points = points_of(play)
    assert len(points) > 40
    for point in points[PLAYS.index(play) % EVERY :: EVERY]:
        try_point(play, point)
