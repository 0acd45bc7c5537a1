from __future__ import annotations

import pytest

from statefulrollout.core.asks import Answer
from statefulrollout.hooks.cadence import Cadence


def pause(answer: Answer, streak: int = 1, retry_after: float | None = None, **changes: object) -> float:
    repeats, chance = bool(changes.get("repeats")), float(str(changes.get("chance", 0)))
    return Cadence().pause(answer, repeats=repeats, streak=streak, retry_after=retry_after, chance=chance)


def test_work_in_progress_is_polled_quickly_at_first_and_every_two_seconds_in_the_end() -> None:
    pauses = [pause(Answer.IN_PROGRESS, streak) for streak in range(1, 100)]
    assert pauses[0] == 0.2
    assert pauses == sorted(pauses)
    assert pauses[-1] == 2.0
    assert sum(pauses[:5]) < 2.0


@pytest.mark.parametrize("answer", [Answer.NOT_NOW, Answer.ERROR])
def test_refusals_and_errors_are_retried_ever_more_slowly_with_chance(answer: Answer) -> None:
    assert pause(answer, 1) == 0.5
    assert pause(answer, 2) == 1.0
    assert pause(answer, 10_000) == 10.0
    assert pause(answer, 1, chance=0.5) == 0.75


@pytest.mark.parametrize(("asked", "granted"), [(0.0, 0.1), (7.0, 7.0), (3600.0, 30.0)])
def test_retry_after_is_granted_within_bounds(asked: float, granted: float) -> None:
    assert pause(Answer.IN_PROGRESS, 50, asked) == granted
    assert pause(Answer.NOT_NOW, 50, asked) == granted


def test_what_only_a_human_can_mend_is_asked_every_ten_seconds_whatever_it_wishes() -> None:
    assert pause(Answer.MISCONFIGURED, 1, 0.1) == 10.0
    assert pause(Answer.MISCONFIGURED, 1, repeats=True) == 10.0


@pytest.mark.parametrize("answer", [Answer.DONE, Answer.IN_PROGRESS, Answer.NOT_NOW, Answer.ERROR, Answer.FAILED])
def test_a_check_is_asked_every_second_until_it_passes(answer: Answer) -> None:
    assert pause(answer, 30, repeats=True) == 1.0
