"""Which revisions have failed, and when that is over."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.core.asks import Answer, Report
from statefulrollout.core.failures import MOST_REMEMBERED, note_failures
from statefulrollout.core.judging import Judgement
from statefulrollout.core.ledger import FailedRevision, Ledger, OpenHook
from statefulrollout.core.questions import hook_id_of
from statefulrollout.core.snapshot import PodView, StatefulSetView
from statefulrollout.core.stages import places_of
from tests.builders import NOW, a_hook, a_ledger, a_pod, a_report, a_rolling_set, a_set, a_snapshot, a_spec, pods

NEW = a_pod("db-2").at("v2")
CRASHING = NEW.waiting_in("CrashLoopBackOff", exit_code=1)
ROLLING = a_rolling_set()
RED = Judgement(False, "it said Failed", trouble="check calm failed: it said Failed", failed=True)


def noted(
    *present: PodView,
    target: StatefulSetView = ROLLING,
    ledger: Ledger | None = None,
    checks: dict[str, Judgement] | None = None,
) -> tuple[list[FailedRevision], list[str]]:
    """The failed revisions that are remembered afterwards, and the reasons of what is announced."""
    snapshot = a_snapshot(target, *present, ledger=ledger)
    after, announcements = note_failures(snapshot, target, places_of(snapshot, NOW), checks or {}, NOW)
    return list(after.failed), [announcement.reason for announcement in announcements]


@pytest.mark.parametrize(
    ("message", "pod"),
    [
        ("db-2: container store CrashLoopBackOff (exit code 1)", CRASHING),
        ("db-2: container store ImagePullBackOff", NEW.waiting_in("ImagePullBackOff")),
        ("db-2: containers not ready for 600 s (progressDeadlineSeconds)", NEW.starting(since=600)),
        ("db-2: phase Failed", NEW.failing_probe().but(phase="Failed")),
    ],
)
def test_a_new_pod_that_cannot_start_fails_its_revision(message: str, pod: PodView) -> None:
    failed, announced = noted(*pods(2), pod)
    assert failed == [FailedRevision(revision="v2", reason="PodNotStarting", message=message, at=NOW)]
    assert announced == ["RevisionFailed"]


@pytest.mark.parametrize(
    ("present", "target"),
    [
        ((*pods(2), NEW), ROLLING),
        ((*pods(2), NEW.starting(since=599)), ROLLING),
        ((*pods(2), a_pod("db-2").waiting_in("CrashLoopBackOff")), ROLLING),
        ((*pods(3), a_pod("db-3").at("v2").waiting_in("CrashLoopBackOff")), ROLLING),
        ((*pods(2), CRASHING.deleted()), ROLLING),
        ((*pods(2, "v2"), CRASHING), a_set(wanted="v2", accepted="v2")),
        ((*pods(2), CRASHING), a_rolling_set(observed_generation=6)),
    ],
)
def test_nothing_else_fails_it(present: tuple[PodView, ...], target: StatefulSetView) -> None:
    assert noted(*present, target=target) == ([], [])


def test_a_check_that_says_no_fails_the_revision_once_a_pod_of_it_is_there() -> None:
    failed, _ = noted(*pods(2), NEW, checks={"calm": RED})
    assert [(each.reason, each.message) for each in failed] == [("CheckFailed", RED.trouble)]
    assert noted(*pods(3), checks={"calm": RED}) == ([], [])
    waiting = Judgement(False, "it said Error", trouble="check calm has not passed for 600 s")
    assert noted(*pods(2), NEW, checks={"calm": waiting}) == ([], [])


@pytest.mark.parametrize(
    ("fails", "begun", "report"),
    [
        (False, 59, a_report(Answer.ERROR)),
        (True, 60, a_report(Answer.ERROR)),
        (False, 60, None),
        (False, 60, a_report(Answer.DONE)),
        (True, 1, a_report(Answer.MISCONFIGURED)),
        (False, None, None),
    ],
)
def test_a_restore_past_its_deadline_fails_the_revision(
    fails: bool, begun: float | None, report: Report | None
) -> None:
    pod = NEW.came_back()
    bare = a_snapshot(ROLLING, *pods(2), pod, spec=a_spec(restore=a_hook("/restore", deadlineSeconds=60)))
    (place,) = (place for place in places_of(bare, NOW) if place.pod == pod)
    entry = OpenHook(
        id=hook_id_of(bare, place, "restore"), hook="restore", pod="db-2", uid=pod.uid, since=NOW - (begun or 0)
    )
    snapshot = a_snapshot(
        ROLLING,
        *bare.pods,
        spec=bare.rollout.spec,
        ledger=a_ledger(open_hooks=() if begun is None else (entry,)),
        reports={entry.id: report} if report else {},
    )
    ledger, _ = note_failures(snapshot, ROLLING, places_of(snapshot, NOW), {}, NOW)
    assert [failed.reason for failed in ledger.failed] == (["RestoreFailed"] if fails else [])


FAILED = a_ledger(failed="v2")


def test_a_failure_is_remembered_with_its_first_cause_and_announced_once() -> None:
    assert noted(*pods(2), CRASHING, ledger=FAILED) == (list(FAILED.failed), [])


@pytest.mark.parametrize(
    ("remembered", "present", "wanted"),
    [
        (True, (*pods(2), NEW.failing_probe()), "v2"),
        (True, (*pods(2), NEW.serving_since(3)), "v2"),
        (True, pods(2), "v2"),
        (True, (*pods(2), CRASHING), "v3"),
        (False, pods(3), "v3"),
        (False, (*pods(2), NEW), "v2"),
        (False, pods(3), "v1"),
        (True, (*pods(2), NEW), "v3"),
    ],
    ids=lambda value: str(value) if isinstance(value, bool | str) else "",
)
def test_a_failure_is_forgotten_when_it_left_or_when_its_pods_became_healthy(
    remembered: bool, present: tuple[PodView, ...], wanted: str
) -> None:
    failed, announced = noted(*present, target=a_rolling_set(wanted=wanted), ledger=FAILED)
    left = [each.model_copy(update={"left": wanted != "v2"}) for each in FAILED.failed]
    assert failed == (left if remembered else [])
    assert announced == []


def test_a_failure_is_forgotten_when_the_revision_comes_back_after_another() -> None:
    present = (*pods(2), NEW.failing_probe())
    failed, _ = noted(*present, target=a_rolling_set(wanted="v3"), ledger=FAILED)
    assert noted(*present, ledger=FAILED.model_copy(update={"failed": tuple(failed)})) == ([], [])


def test_one_healthy_pod_does_not_forgive_another_that_crashes() -> None:
    present = (a_pod("db-0"), a_pod("db-1").at("v2"), CRASHING)
    assert noted(*present, ledger=FAILED)[0] == list(FAILED.failed)


def test_only_so_many_are_remembered() -> None:
    many: list[Any] = [
        FailedRevision(revision=f"w{number}", reason="PodNotStarting", message="", at=0.0) for number in range(12)
    ]
    broken = (a_pod(f"db-{number}").at(f"w{number}").failing_probe() for number in range(12))
    ledger = a_ledger(failed="").model_copy(update={"failed": tuple(many)})
    failed, _ = noted(*broken, CRASHING.but(ordinal=12), target=a_rolling_set(13), ledger=ledger)
    assert len(failed) == MOST_REMEMBERED
    assert failed[-1].revision == "v2"
