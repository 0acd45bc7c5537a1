"""What users read: one row for each situation, and that the conditions never contradict one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from statefulrollout.api import names
from statefulrollout.api.v1alpha1 import Status
from statefulrollout.core.asks import Answer
from statefulrollout.core.plan import decide
from statefulrollout.core.snapshot import FenceKind, PodCondition, PodView, StatefulSetView
from statefulrollout.core.status import build_status, refusal
from statefulrollout.core.timestamps import timestamp
from tests.builders import (
    DRAIN,
    NOW,
    a_call,
    a_check,
    a_ledger,
    a_pod,
    a_report,
    a_rolling_set,
    a_set,
    a_snapshot,
    a_spec,
    pods,
)

OLD, NEW = pods(3), pods(3, "v2")
LEAVING = a_pod("db-2").isolated("v2")
CRASHING = a_pod("db-2").at("v2").waiting_in("CrashLoopBackOff", exit_code=1)


def status_of(
    target: StatefulSetView | None, *present: PodView, previous: dict[str, Any] | None = None, **seen: Any
) -> Status:
    snapshot = a_snapshot(target, *present, **seen)
    return build_status(snapshot, decide(snapshot, NOW), previous or {}, NOW)


def holding(status: Status) -> set[str]:
    """The conditions that are True."""
    return {condition.type for condition in status.conditions if condition.status == "True"}


class Row(NamedTuple):
    name: str
    phase: str
    reason: str
    holds: set[str]
    says: str
    target: StatefulSetView | None
    pods: tuple[PodView, ...]
    seen: Mapping[str, Any] = MappingProxyType({})


READY, RECONCILING, STALLED, PAUSED, DEGRADED, OVERRIDDEN = names.CONDITIONS
ROLLING = a_rolling_set()
ABORTED = a_spec(abort={"revision": "v2"})

BEHIND_A_GATE = replace(
    OLD[2], conditions={**OLD[2].conditions, "Ready": PodCondition(False, NOW - 60, "ReadinessGatesNotReady")}
)

ROWS = [
    Row(
        "complete", "Healthy", "RolloutComplete", {READY}, "3 of 3 pods updated; revision v1 is in place", a_set(), OLD
    ),
    Row(
        "a pod on its way out", "RollingOut", "RollingOut", {RECONCILING},
        "0 of 3 pods updated; db-2 is Draining and waits for drain: not answered yet",
        ROLLING, (*OLD[:2], LEAVING), {"isolated": {LEAVING.uid: 60}},
    ),
    Row(
        "a pod on its way back", "RollingOut", "RollingOut", {RECONCILING},
        "db-2 is Soaking and waits for soak: healthy for 10 s, then trusted",
        ROLLING, (*OLD[:2], NEW[2].serving_since(3)),
    ),
    Row("a pod between two lives", "RollingOut", "RollingOut", {RECONCILING}, "0 of 3 pods updated", ROLLING, OLD[:2]),
    Row(
        "waiting for a guard", "Waiting", "WaitingForGuard", {RECONCILING},
        "db-0 is Serving and waits for application_checks_pass: check calm: not answered yet",
        ROLLING, OLD, {"spec": a_spec(checks=[a_check()])},
    ),
    Row(
        "paused", "Paused", "Paused", {RECONCILING, PAUSED},
        "paused by spec.paused; 1 of 3 pods updated",
        a_rolling_set(fence=FenceKind.HOLD), (*OLD[:2], NEW[2]), {"spec": a_spec(paused=True)},
    ),
    Row(
        "paused, a pod in motion finishes", "RollingOut", "RollingOut", {RECONCILING, PAUSED},
        "db-2 is Draining", ROLLING, (*OLD[:2], LEAVING), {"spec": a_spec(paused=True), "isolated": {LEAVING.uid: 60}},
    ),
    Row(
        "paused, nothing to roll", "Healthy", "RolloutComplete", {READY, PAUSED}, "is in place",
        a_set(), OLD, {"spec": a_spec(paused=True)},
    ),
    Row(
        "being accepted", "RollingOut", "Accepting", {RECONCILING}, "the new revision is being accepted",
        a_set(wanted="v2", accepted="v2", fence=FenceKind.ACCEPT, observed_generation=6), NEW,
    ),
    Row("all soaked, not accepted yet", "RollingOut", "RollingOut", {RECONCILING}, "3 of 3 pods updated", ROLLING, NEW),
    Row(
        "complete, later a pod unhealthy", "Degraded", "Recovering", {RECONCILING, DEGRADED},
        "db-2 is Soaking and waits for kubelet: gate open, not Ready yet",
        a_set(), (*OLD[:2], OLD[2].failing_probe()),
    ),
    Row(
        "complete, later a node that does not answer", "Degraded", "Recovering", {RECONCILING, DEGRADED},
        "gate open, not Ready yet. Not heard of: db-2 on node-2. Bring the node back; if it is gone for good, delete",
        a_set(), (*OLD[:2], OLD[2].condition("Ready", False, since=60)),
    ),
    Row(
        "complete, and a gate of somebody else's is not open", "Degraded", "Recovering", {RECONCILING, DEGRADED},
        "3 of 3 pods exist; db-2 is Soaking and waits for kubelet: gate open, not Ready yet",
        a_set(), (*OLD[:2], BEHIND_A_GATE),
    ),
    Row(
        "rolling, and a node does not answer", "Waiting", "WaitingForGuard", {RECONCILING},
        "waits for budget_allows_new_unavailability: 1 of 1 are unavailable: db-2. Not heard of: db-2",
        ROLLING, (*OLD[:2], OLD[2].condition("Ready", False, since=60)),
    ),
    Row(
        "complete, and a pod to come", "Settling", "PodsComing", {RECONCILING},
        "2 of 3 pods exist; db-2 is missing: the StatefulSet's events say",
        a_set(), OLD[:2],
    ),
    Row(
        "rolling, and pods to come", "RollingOut", "RollingOut", {RECONCILING},
        "0 of 3 pods updated; db-1, db-2 are missing: the StatefulSet's events say", ROLLING, OLD[:1],
    ),
    Row(
        "failed revision", "Failed", "PodNotStarting", {STALLED, DEGRADED},
        "revision v2 failed (PodNotStarting): db-2: container store CrashLoopBackOff (exit code 1). 0 of 3 pods",
        ROLLING, (*OLD[:2], CRASHING),
    ),
    Row(
        "at a step", "Resting", "AtStep", {RECONCILING},
        "1 of 3 pods updated; step 1 of 1 is reached (1 pods); to go on, set spec.promote to {revision: v2, step: 1}",
        a_rolling_set(fence=FenceKind.HOLD), (*OLD[:2], NEW[2]),
        {"spec": a_spec(strategy={"steps": [{"pods": 1, "pause": {}}]})},
    ),
    Row(
        "at a step, a pod comes back", "RollingOut", "RollingOut", {RECONCILING}, "db-1 is Restoring",
        a_rolling_set(fence=FenceKind.HOLD), (OLD[0], OLD[1].came_back(), NEW[2]),
        {"spec": a_spec(strategy={"steps": [{"pods": 1, "pause": {}}]})},
    ),
    Row(
        "on the way back", "RollingBack", "RollingBack", {RECONCILING, DEGRADED},
        "2 of 3 pods are at revision v1 again; db-2 is Draining",
        a_rolling_set(), (*OLD[:2], NEW[2].isolated("v1")), {"spec": ABORTED, "isolated": {NEW[2].uid: 60}},
    ),
    Row(
        "paused on the way back", "Paused", "Paused", {RECONCILING, PAUSED, DEGRADED},
        "paused by spec.paused on the way back; 2 of 3 pods are at revision v1 again",
        a_rolling_set(), (*OLD[:2], NEW[2]), {"spec": a_spec(paused=True, abort={"revision": "v2"})},
    ),
    Row(
        "back again by the user's word", "RolledBack", "Aborted", {STALLED},
        "revision v2 was given up (spec.abort). 3 of 3 pods are at revision v1 again. Apply another pod template, or",
        a_rolling_set(fence=FenceKind.HOLD), OLD, {"spec": ABORTED},
    ),
    Row(
        "back again after a failure", "RolledBack", "PodNotStarting", {STALLED},
        "again. Apply a fixed template, or set spec.retry to {revision: v2, nonce: 1} to try it again",
        a_rolling_set(fence=FenceKind.HOLD), OLD,
        {"spec": a_spec(strategy={"onFailure": "Rollback"}), "ledger": a_ledger(failed="v2")},
    ),
    Row(
        "given up too late", "Healthy", "RolloutComplete", {READY},
        "revision v2 is in place. spec.abort comes too late, it is accepted: apply another pod template",
        a_set(wanted="v2", accepted="v2"), NEW, {"spec": ABORTED},
    ),
    Row(
        "guards passed over", "RollingOut", "RollingOut", {RECONCILING, OVERRIDDEN}, "db-2 is Soaking",
        ROLLING, (*OLD[:2], NEW[2].serving_since(3)),
        {"spec": a_spec(override={"revision": "v2", "guards": ["pace_is_respected"]})},
    ),
    Row(
        "hook past its deadline", "Failed", "HookFailed", {STALLED, DEGRADED},
        "check calm has not passed for 600 s (deadlineSeconds: 600): it said Error. 0 of 3 pods updated",
        ROLLING, OLD,
        {"spec": a_spec(checks=[a_check()]), "late": True},
    ),
    Row(
        "invalid spec", "Failed", "InvalidSpec", {STALLED, DEGRADED}, "spec.drain.apply.http.port: no container",
        a_set(), OLD, {"spec": a_spec(drain={"apply": a_call("/drain", port="nowhere")})},
    ),
    Row(
        "no target", "Failed", "InvalidSpec", {STALLED, DEGRADED}, "there is no StatefulSet db in this namespace",
        None, (),
    ),
    Row("scaled to zero", "Healthy", "RolloutComplete", {READY}, "0 of 0 pods updated", a_set(0), ()),
    Row(
        "a condemned pod waits", "Waiting", "WaitingForGuard", {RECONCILING}, "db-3 is Serving and waits for",
        a_set(), (*OLD, a_pod("db-3")), {"spec": a_spec(checks=[a_check()])},
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_situation_has_its_row(row: Row) -> None:
    seen = dict(row.seen)
    if seen.pop("late", False):
        (ask,) = decide(a_snapshot(row.target, *row.pods, **seen), NOW).asks
        seen["reports"] = {ask.id: a_report(Answer.ERROR, since=600)}
    status = status_of(row.target, *row.pods, **seen)
    ready = next(condition for condition in status.conditions if condition.type == READY)
    assert (status.phase, ready.reason, holding(status)) == (row.phase, row.reason, row.holds)
    assert row.says in status.message
    assert ("Not heard of" in status.message) is ("Not heard of" in row.says)
    assert ready.message == status.message
    assert not {RECONCILING, STALLED} <= holding(status)
    assert [condition.type for condition in status.conditions] == list(names.CONDITIONS)
    assert {condition.observed_generation for condition in status.conditions} == {status.observed_generation} == {3}
    assert all(condition.reason.isalnum() for condition in status.conditions)


def test_a_message_names_what_is_awaited_and_the_value_that_was_seen() -> None:
    begun = a_snapshot(ROLLING, *OLD[:2], LEAVING, isolated={LEAVING.uid: 60})
    plan = decide(begun, NOW - 40)
    text = "POST /drain on port admin of db-2 answered 202: in progress, progress 17"
    report = a_report(Answer.IN_PROGRESS, text=text)
    reports = {plan.asks[0].id: report}
    status = status_of(ROLLING, *OLD[:2], LEAVING, isolated={LEAVING.uid: 60}, ledger=plan.ledger, reports=reports)
    assert status.message == f"0 of 3 pods updated; db-2 is Draining and waits for drain: {text}"
    (waiting,) = (pod.waiting_for for pod in status.pods if pod.name == "db-2")
    assert waiting is not None
    assert (waiting.name, waiting.observed, waiting.since) == ("drain", text, timestamp(NOW - 40))


def test_a_late_hook_is_named_with_its_pod_and_what_to_expect() -> None:
    spec = a_spec(drain={**DRAIN, "deadlineSeconds": 30})
    begun = decide(a_snapshot(ROLLING, *OLD[:2], LEAVING, spec=spec, isolated={LEAVING.uid: 60}), NOW - 40)
    reports = {begun.ledger.open_hooks[0].id: a_report(Answer.ERROR)}
    seen: dict[str, Any] = {"spec": spec, "isolated": {LEAVING.uid: 60}, "ledger": begun.ledger, "reports": reports}
    status = status_of(ROLLING, *OLD[:2], LEAVING, **seen)
    assert status.message == (
        "db-2: drain is not done after 40 s (deadlineSeconds: 30): it said Error. "
        "0 of 3 pods updated; no further pod goes until it answers"
    )


def test_a_failure_says_what_to_do() -> None:
    message = status_of(ROLLING, *OLD[:2], CRASHING).message
    assert "Apply a fixed template" in message


def test_counts_speak_of_what_is_wanted() -> None:
    status = status_of(ROLLING, OLD[0].ungated(), a_pod("db-1").let_go("v2"), NEW[2], a_pod("db-3").at("v2"))
    assert (status.replicas, status.updated, status.ready, status.in_motion, status.ungated) == (3, 1, 2, 1, 1)
    assert (status.updated_of, status.ready_of, status.fence) == ("1/3", "2/3", "Forward")
    assert (status.accepted_revision, status.wanted_revision) == ("v1", "v2")


def test_pods_in_motion_are_listed_first_then_those_that_come_back() -> None:
    status = status_of(a_rolling_set(4), OLD[0], OLD[1], NEW[2].starting(), a_pod("db-3").let_go("v2"))
    assert [(pod.name, pod.stage) for pod in status.pods] == [
        ("db-3", "Released"),
        ("db-2", "Starting"),
        ("db-0", "Serving"),
        ("db-1", "Serving"),
    ]


def test_of_many_pods_at_rest_twenty_are_listed_those_first_that_wait_for_something() -> None:
    status = status_of(a_set(120), *pods(120))
    assert (len(status.pods), status.updated) == (20, 120)
    updated = [pod.at("v2") for pod in pods(40)[:30]]
    status = status_of(a_rolling_set(41), *updated, *pods(40)[30:], a_pod("db-40").let_go("v2"))
    assert [pod.name for pod in status.pods] == ["db-40", *(f"db-{ordinal}" for ordinal in (*range(30, 40), *range(9)))]
    assert [bool(pod.waiting_for) for pod in status.pods[1:]] == [True] * 10 + [False] * 9


@pytest.mark.parametrize(("moving", "listed"), [(20, 20), (50, 50), (120, 100)])
def test_those_in_motion_are_listed_up_to_a_hundred(moving: int, listed: int) -> None:
    gone = [pod.let_go("v2") for pod in pods(130)[:moving]]
    status = status_of(a_rolling_set(130), *gone, *pods(130)[moving:])
    assert (len(status.pods), {pod.stage for pod in status.pods}) == (listed, {"Released"})


def test_long_texts_are_cut_and_never_refused() -> None:
    crowd = [a_check(f"check-{number:02}", expect="status == 200 && 'x' != ''") for number in range(16)]
    spec = a_spec(checks=crowd)
    (first, *_) = decide(a_snapshot(ROLLING, *OLD, spec=spec), NOW).asks
    reports = {first.id: a_report(Answer.ERROR, since=600, text="é" * 5000)}
    status = status_of(ROLLING, *OLD, spec=spec, reports=reports)
    assert len(status.message) == 1024
    assert status.message.endswith("…")
    assert all(len(pod.waiting_for.observed) <= 256 for pod in status.pods if pod.waiting_for)


def earlier(status: str) -> dict[str, Any]:
    """What was written an hour ago, all conditions alike."""
    written = timestamp(NOW - 3600)
    return {
        "conditions": [{"type": kind, "status": status, "lastTransitionTime": written} for kind in names.CONDITIONS]
    }


def test_the_time_of_a_condition_moves_only_with_its_status() -> None:
    before = {condition.type: condition.last_transition_time for condition in status_of(a_set(), *OLD).conditions}
    assert set(before.values()) == {timestamp(NOW)}
    kept = status_of(a_set(), *OLD, previous=earlier("False"))
    times = {condition.type: condition.last_transition_time for condition in kept.conditions}
    assert times.pop(READY) == timestamp(NOW)
    assert set(times.values()) == {timestamp(NOW - 3600)}


def test_nothing_else_is_read_back() -> None:
    lie = {"phase": "Healthy", "updated": 3, "message": "all is well", "conditions": None}
    assert status_of(ROLLING, *OLD, previous=lie) == status_of(ROLLING, *OLD)


def test_a_spec_that_cannot_be_read_is_refused_with_its_generation() -> None:
    status = refusal(9, "spec.drain: is required: add it", earlier("True"), NOW)
    assert (status.phase, status.observed_generation, holding(status)) == ("Failed", 9, {STALLED, DEGRADED})
    assert status.message == "spec.drain: is required: add it"
    times = {condition.type: condition.last_transition_time for condition in status.conditions}
    assert times[STALLED] == timestamp(NOW - 3600)
    assert times[RECONCILING] == timestamp(NOW)


def test_times_are_in_utc() -> None:
    assert timestamp(NOW) == "2027-01-15T08:00:00Z"


def test_a_failed_revision_that_is_no_longer_wanted_is_not_what_is_said() -> None:
    stranger = a_pod("db-2").at("v2").failing_probe()
    status = status_of(a_rolling_set(wanted="v3"), *OLD[:2], stranger, ledger=a_ledger(failed="v2"))
    assert STALLED not in holding(status)
