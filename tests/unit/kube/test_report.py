"""The status is written once, only if it changed, and leaves nothing stale behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from statefulrollout.api.v1alpha1 import Status
from statefulrollout.core.plan import decide
from statefulrollout.core.snapshot import Snapshot
from statefulrollout.core.status import build_status
from statefulrollout.errors import Conflict
from statefulrollout.kube import paths
from statefulrollout.kube.client import MERGE_PATCH
from statefulrollout.kube.report import MOMENT_SECONDS, OVERDUE_SECONDS, Unsaid, report, wire_of
from tests.builders import NOW, a_pod, a_rolling_set, a_set, a_snapshot, pods
from tests.unit.kube.recorder import Json, RecordedKube, a_raw_rollout

PATH = paths.statefulrollouts("shop", "db", "status")
LEAVING = a_pod("db-2").isolated("v2")
IDLE = a_snapshot(a_set(), *pods(3))
BUSY = a_snapshot(a_rolling_set(), *pods(2), LEAVING, isolated={LEAVING.uid: 60})
FURTHER = a_snapshot(a_rolling_set(), *pods(2))


def status_of(snapshot: Snapshot) -> Status:
    return build_status(snapshot, decide(snapshot, NOW), {}, NOW)


def merged(target: Any, patch: Any) -> Any:
    """The merge patch applied, as the API server does."""
    if not isinstance(patch, dict):
        return patch
    base = target if isinstance(target, dict) else {}
    kept = {key: value for key, value in base.items() if key not in patch}
    return kept | {key: merged(base.get(key), value) for key, value in patch.items() if value is not None}


async def after(status: Status, present: Json | None) -> tuple[RecordedKube, Json]:
    """What was sent, and the status as it then is."""
    raw = {**a_raw_rollout(), **({"status": present} if present else {})}
    kube = RecordedKube()
    await report(kube, raw, status)
    for call in kube.calls:
        raw = merged(raw, json.loads(json.dumps(call.body)))
    return kube, raw.get("status", {})


async def test_the_patch_is_bound_to_the_object_that_was_read() -> None:
    kube, _ = await after(status_of(BUSY), None)
    (call,) = kube.calls
    assert (call.method, call.path, call.content_type) == ("PATCH", PATH, MERGE_PATCH)
    assert call.body["metadata"] == {"resourceVersion": "55", "uid": "uid-rollout-db"}
    assert set(call.body) == {"metadata", "status"}


@pytest.mark.parametrize("snapshot", [IDLE, BUSY, a_snapshot(None)])
async def test_what_did_not_change_is_not_written(snapshot: Snapshot) -> None:
    _, written = await after(status_of(snapshot), None)
    kube, again = await after(status_of(snapshot), written)
    assert kube.calls == []
    assert again == written


@pytest.mark.parametrize(("before", "now"), [(BUSY, IDLE), (IDLE, BUSY), (BUSY, a_snapshot(None))])
async def test_nothing_stale_is_left_behind(before: Snapshot, now: Snapshot) -> None:
    _, written = await after(status_of(before), None)
    _, fresh = await after(status_of(now), None)
    _, changed = await after(status_of(now), {**written, "fromAnOlderOperator": {"x": 1}})
    assert changed == fresh


async def test_a_stale_key_is_taken_away_with_null() -> None:
    kube, _ = await after(status_of(IDLE), {"observedGeneration": -1, "eta": "soon"})
    assert kube.calls[0].body["status"]["eta"] is None


async def test_the_generation_goes_with_the_conditions_in_one_patch() -> None:
    kube, _ = await after(status_of(BUSY), None)
    status = kube.calls[0].body["status"]
    assert status["observedGeneration"] == 3
    assert {condition["observedGeneration"] for condition in status["conditions"]} == {3}


async def test_an_object_that_changed_is_a_conflict() -> None:
    kube = RecordedKube()
    kube.refuse("PATCH", PATH, 409)
    with pytest.raises(Conflict):
        await report(kube, a_raw_rollout(), status_of(IDLE))


def test_what_is_not_set_is_null_at_the_top_and_absent_below() -> None:
    wire = wire_of(status_of(a_snapshot(None)))
    assert wire["acceptedRevision"] is None
    pod = wire_of(status_of(IDLE))["pods"][0]
    assert "waitingFor" not in pod
    assert pod["stage"] == "Updated"


def told(snapshot: Snapshot) -> Json:
    """The StatefulRollout that says so."""
    present = {key: value for key, value in wire_of(status_of(snapshot)).items() if value is not None}
    return {**a_raw_rollout(), "status": present}


def test_nothing_is_due_where_the_status_says_it_already() -> None:
    assert Unsaid().due_in(told(BUSY), status_of(BUSY), NOW) is None


@pytest.mark.parametrize(("before", "now"), [(BUSY, IDLE), (IDLE, BUSY)])
def test_phase_and_conditions_are_told_at_once(before: Snapshot, now: Snapshot) -> None:
    assert Unsaid().due_in(told(before), status_of(now), NOW) == 0


def test_a_new_generation_is_told_at_once() -> None:
    older = status_of(BUSY).model_copy(update={"observed_generation": 2})
    assert Unsaid().due_in(told(BUSY), older, NOW) == 0


def test_how_far_the_pods_are_is_told_a_moment_later_however_often_it_changes() -> None:
    unsaid = Unsaid()
    assert unsaid.due_in(told(BUSY), status_of(FURTHER), NOW) == MOMENT_SECONDS
    assert unsaid.due_in(told(BUSY), status_of(FURTHER), NOW + 0.2) == pytest.approx(MOMENT_SECONDS - 0.2)
    assert unsaid.due_in(told(BUSY), status_of(FURTHER), NOW + MOMENT_SECONDS) == 0


def test_what_is_over_within_the_moment_is_not_told() -> None:
    unsaid = Unsaid()
    unsaid.due_in(told(BUSY), status_of(FURTHER), NOW)
    assert unsaid.due_in(told(BUSY), status_of(BUSY), NOW + 0.2) is None
    assert unsaid.due_in(told(BUSY), status_of(FURTHER), NOW + 0.3) == MOMENT_SECONDS


def test_a_clock_that_goes_back_delays_nothing() -> None:
    unsaid = Unsaid()
    unsaid.due_in(told(BUSY), status_of(FURTHER), NOW)
    assert unsaid.due_in(told(BUSY), status_of(FURTHER), NOW - 3600) == MOMENT_SECONDS
    assert unsaid.due_in(told(BUSY), status_of(FURTHER), NOW - 3600 + MOMENT_SECONDS) == 0


def test_where_pods_are_changed_all_the_time_the_status_becomes_overdue() -> None:
    unsaid = Unsaid()
    assert not unsaid.is_overdue(NOW)
    assert not unsaid.is_overdue(NOW + 0.9)
    assert unsaid.is_overdue(NOW + OVERDUE_SECONDS)
    assert unsaid.due_in(told(BUSY), status_of(FURTHER), NOW + OVERDUE_SECONDS) == 0
