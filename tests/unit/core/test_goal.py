"""Which revision the pods shall be at, and that one that was given up is so until the user says otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.core.failures import note_failures
from statefulrollout.core.goal import goal_of, is_given_up
from statefulrollout.core.ledger import Attempt, Ledger
from statefulrollout.core.snapshot import Snapshot, StatefulSetView
from statefulrollout.core.stages import places_of
from tests.builders import NOW, a_ledger, a_pod, a_rolling_set, a_set, a_snapshot, a_spec, pods

BACK: dict[str, Any] = {"strategy": {"onFailure": "Rollback"}}
ABORT: dict[str, Any] = {"abort": {"revision": "v2"}}
ROLLING, DONE = a_rolling_set(), a_set(wanted="v2", accepted="v2")
BROKEN = a_pod("db-2").at("v2").waiting_in("CrashLoopBackOff", exit_code=1)


def seen(failed: str = "", target: StatefulSetView = ROLLING, ledger: Ledger | None = None, **spec: Any) -> Snapshot:
    ledger = ledger or a_ledger(failed=failed)
    return a_snapshot(target, *pods(2), BROKEN, spec=a_spec(**spec), ledger=ledger)


@pytest.mark.parametrize(
    ("goal", "snapshot"),
    [
        ("v2", seen()),
        ("v2", seen("v2")),
        ("v1", seen("v2", **BACK)),
        ("v2", seen("v0", **BACK)),
        ("v1", seen(**ABORT)),
        ("v2", seen(abort={"revision": "v1"})),
        ("v2", seen("v2", DONE, **BACK)),
        ("v2", seen("", DONE, **ABORT)),
        ("", a_snapshot(None, spec=a_spec(**ABORT))),
    ],
)
def test_a_revision_is_given_up_where_it_failed_or_the_user_says_so(goal: str, snapshot: Snapshot) -> None:
    assert goal_of(snapshot) == goal
    assert is_given_up(snapshot) is (goal == "v1")


def noted(snapshot: Snapshot) -> tuple[Ledger, list[str]]:
    assert snapshot.target is not None
    ledger, told = note_failures(snapshot, snapshot.target, places_of(snapshot, NOW), {}, NOW)
    return ledger, [announcement.reason for announcement in told]


def test_what_is_given_up_stays_failed_even_where_its_pods_become_healthy() -> None:
    ledger = a_ledger(failed="v2")
    healthy = a_snapshot(ROLLING, *pods(3, "v2"), spec=a_spec(**BACK), ledger=ledger)
    assert noted(healthy) == (ledger, [])
    forgiven = a_snapshot(ROLLING, *pods(3, "v2"), ledger=ledger)
    assert noted(forgiven)[0].failed == ()


def test_on_the_way_back_nothing_fails_anew() -> None:
    assert noted(seen(**ABORT)) == (a_ledger(), [])


def test_retry_forgets_the_failure_once_for_each_number() -> None:
    retry: dict[str, Any] = {"retry": {"revision": "v2", "nonce": 1}}
    ledger, told = noted(seen("v2", **BACK, **retry))
    assert (ledger.failed, ledger.attempt, told) == ((), Attempt(revision="v2", nonce=1), ["RevisionRetried"])
    again, told = noted(seen(ledger=ledger, **BACK, **retry))
    assert (len(again.failed), told) == (1, ["RevisionFailed"])
    assert noted(seen(ledger=again, **BACK, **retry)) == (again, [])
    more, told = noted(seen(ledger=again, **BACK, retry={"revision": "v2", "nonce": 2}))
    assert (more.failed, told) == ((), ["RevisionRetried"])


def test_retry_before_anything_failed_is_spent() -> None:
    retry: dict[str, Any] = {"retry": {"revision": "v2", "nonce": 1}}
    healthy = a_snapshot(ROLLING, *pods(3), spec=a_spec(**BACK, **retry), ledger=a_ledger())
    ledger, told = noted(healthy)
    assert (ledger.attempt, told) == (Attempt(revision="v2", nonce=1), [])
    failed, told = noted(seen(ledger=ledger, **BACK, **retry))
    assert (len(failed.failed), told) == (1, ["RevisionFailed"])


@pytest.mark.parametrize("retry", [{"revision": "v3", "nonce": 1}, {"revision": "v1", "nonce": 1}])
def test_retry_of_another_revision_is_no_word_on_this_one(retry: dict[str, Any]) -> None:
    ledger = a_ledger(failed="v2")
    assert noted(seen(ledger=ledger, **BACK, retry=retry)) == (ledger, [])
