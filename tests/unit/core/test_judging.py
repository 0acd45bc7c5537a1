"""What an answer means: done, wait, or trouble; and that a timeout is never success."""

from __future__ import annotations

import pytest

from statefulrollout.core.asks import Answer, Report
from statefulrollout.core.judging import Judgement, judge_check, judge_hook
from tests.builders import DRAIN, NOW, a_check, a_report, a_spec


def judged(report: Report | None, *, begun: float = 0, stalled_for: float | None = None, **fields: object) -> Judgement:
    """A drain begun so many seconds ago."""
    hook = a_spec(drain={**DRAIN, "deadlineSeconds": 100, **fields}).drain
    assert hook is not None
    return judge_hook("drain", hook, NOW - begun, None if stalled_for is None else NOW - stalled_for, report, NOW)


@pytest.mark.parametrize("begun", [0, 99, 100, 10_000])
def test_done_is_done_however_late(begun: float) -> None:
    assert judged(a_report(Answer.DONE), begun=begun) == Judgement(done=True, observed="it said Done")


@pytest.mark.parametrize("answer", [Answer.IN_PROGRESS, Answer.NOT_NOW, Answer.ERROR])
def test_before_the_deadline_anything_else_is_waited_for(answer: Answer) -> None:
    assert judged(a_report(answer), begun=99) == Judgement(done=False, observed=f"it said {answer.value}")


def test_no_answer_yet_is_waited_for() -> None:
    assert judged(None) == Judgement(done=False, observed="not answered yet")


@pytest.mark.parametrize("report", [a_report(Answer.IN_PROGRESS), a_report(Answer.ERROR)])
def test_past_its_deadline_a_hook_is_trouble_with_its_age(report: Report) -> None:
    judgement = judged(report, begun=100)
    assert not judgement.done
    assert "drain is not done after 100 s (deadlineSeconds: 100)" in judgement.trouble
    assert report.text in judgement.trouble


@pytest.mark.parametrize("on_timeout", ["Pause", "Proceed", "Rollback"])
def test_a_hook_that_nobody_asked_since_the_operator_started_is_asked_before_it_is_late(on_timeout: str) -> None:
    assert judged(None, begun=1000, onTimeout=on_timeout) == Judgement(done=False, observed="not answered yet")


def test_a_misconfigured_hook_is_trouble_at_once_and_not_passed_over_before_its_time() -> None:
    judgement = judged(a_report(Answer.MISCONFIGURED), onTimeout="Proceed")
    assert not judgement.done
    assert judgement.trouble == "drain is misconfigured: it said Misconfigured"


@pytest.mark.parametrize(("seconds", "stalled"), [(19.9, False), (20, True)])
def test_progress_that_stands_still_is_a_stall(seconds: float, stalled: bool) -> None:
    judgement = judged(a_report(Answer.IN_PROGRESS, since=seconds), stallSeconds=20)
    assert judgement.stalled is stalled
    assert bool(judgement.trouble) is stalled
    assert ("no progress for more than 20 s (stallSeconds)" in judgement.trouble) is stalled


@pytest.mark.parametrize(
    ("stalled", "report"),
    [
        (True, None),
        (True, a_report(Answer.IN_PROGRESS, since=30)),
        (False, a_report(Answer.IN_PROGRESS, since=29)),
        (False, a_report(Answer.DONE, since=30)),
    ],
)
def test_a_remembered_stall_lasts_until_there_is_progress(stalled: bool, report: Report | None) -> None:
    assert judged(report, stalled_for=30, stallSeconds=60).stalled is stalled


def test_a_remembered_stall_ends_when_the_user_takes_the_limit_away() -> None:
    assert not judged(a_report(Answer.IN_PROGRESS, since=30), stalled_for=10).stalled


@pytest.mark.parametrize(
    "judgement",
    [
        judged(a_report(Answer.ERROR), begun=100, onTimeout="Proceed"),
        judged(a_report(Answer.IN_PROGRESS, since=20), stallSeconds=20, onTimeout="Proceed"),
        judged(a_report(Answer.MISCONFIGURED), begun=100, onTimeout="Proceed"),
    ],
)
def test_proceed_passes_a_late_hook_over_and_says_so(judgement: Judgement) -> None:
    assert judgement.done
    assert judgement.passed_over
    assert judgement.trouble == ""
    assert judgement.observed.startswith("passed over (onTimeout: Proceed): drain ")


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (None, Judgement(done=False, observed="not answered yet")),
        (a_report(Answer.DONE, since=900), Judgement(done=True, observed="it said Done")),
        (a_report(Answer.IN_PROGRESS, since=59), Judgement(done=False, observed="it said InProgress")),
        (
            a_report(Answer.ERROR, since=60),
            Judgement(
                done=False,
                observed="it said Error",
                trouble="check calm has not passed for 60 s (deadlineSeconds: 60): it said Error",
            ),
        ),
        (
            a_report(Answer.MISCONFIGURED),
            Judgement(False, "it said Misconfigured", "check calm is misconfigured: it said Misconfigured"),
        ),
        (
            a_report(Answer.FAILED),
            Judgement(False, "it said Failed", "check calm failed: it said Failed", failed=True),
        ),
    ],
)
def test_a_check_passes_waits_or_is_trouble(report: Report | None, expected: Judgement) -> None:
    (check,) = a_spec(checks=[a_check(deadlineSeconds=60)]).checks
    assert judge_check(check, report, NOW) == expected
