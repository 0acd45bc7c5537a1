"""What is made of the versions of pods that a watch has told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from e2e.load.sampler import Event, Sampler, absences, event_of, lowest_serving, stages_of

GATE = "statefulrollout.dev/serving"


def pod(name: str = "kv-0", uid: str = "a", *, terminating: bool = False, **conditions: bool) -> dict[str, Any]:
    words = {"ready": "Ready", "containers": "ContainersReady", "gate": GATE, "drained": "statefulrollout.dev/drained"}
    metadata = {"name": name, "uid": uid, "labels": {"controller-revision-hash": "r1"}}
    if terminating:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status = {
        "conditions": [{"type": words[word], "status": str(value)} for word, value in conditions.items()],
        "containerStatuses": [{"name": "kvstore", "state": {"running": {}}, "restartCount": 1}],
    }
    return {"metadata": metadata, "status": status}


def change(at: float, kind: str = "MODIFIED", **of: Any) -> Event:
    return event_of(at, kind, pod(**of))


STARTED = [change(0, "ADDED", ready=True), change(0.1, "ADDED", name="kv-1", uid="b", ready=True)]


def test_an_event_tells_what_the_pod_said() -> None:
    event = change(5, ready=True, gate=False)
    assert (event.name, event.revision, event.conditions[GATE]) == ("kv-0", "r1", False)
    assert event.containers == ("kvstore=running 1",)


def test_a_terminating_pod_serves_nobody_though_it_is_ready() -> None:
    events = [*STARTED, change(1, uid="a", ready=True, terminating=True), change(2, "DELETED", uid="a", ready=True)]
    assert lowest_serving(events) == 1


def test_the_first_listing_is_not_taken_for_an_outage() -> None:
    assert lowest_serving(STARTED) == 2


def test_only_the_time_asked_for_counts() -> None:
    events = [*STARTED, change(1, ready=False), change(2, ready=True)]
    assert lowest_serving(events, since=2.5) == 2
    assert lowest_serving(events, since=1.5) == 1
    assert lowest_serving(events, since=0.5, until=0.9) == 2


def test_a_pod_that_is_gone_no_longer_serves() -> None:
    assert lowest_serving([*STARTED, change(1, "DELETED", ready=True)], since=0.5) == 1


def test_an_absence_lasts_until_a_pod_of_that_name_serves_again() -> None:
    events = [
        *STARTED,
        change(1, ready=False),
        change(2, "DELETED"),
        change(2.5, name="kv-1", uid="b", ready=False),
        change(3, "ADDED", uid="c", ready=True),
        change(5, name="kv-1", uid="b", ready=True),
        change(6, uid="c", ready=False),
    ]
    assert absences(events, since=0) == [2, 2.5]
    assert absences(events, since=2) == [2.5]


def test_the_stages_of_a_replaced_pod() -> None:
    events = [
        change(0, "ADDED", ready=True, gate=True, containers=True),
        change(1, ready=False, gate=False, containers=True),
        change(2, ready=False, gate=False, containers=True, drained=True),
        change(3, ready=False, gate=False, containers=True, drained=True, terminating=True),
        change(4, "DELETED", terminating=True),
        change(5, "ADDED", uid="c", ready=False, containers=False),
        change(6, uid="c", ready=False, gate=False, containers=True),
        change(7, uid="c", ready=True, gate=True, containers=True),
    ]
    seen = [(interval.uid, interval.stage, interval.since, interval.until) for interval in stages_of(events, until=9)]
    assert seen == [
        ("a", "Serving", 0, 1),
        ("a", "Draining", 1, 2),
        ("a", "Migrating", 2, 3),
        ("a", "Terminating", 3, 4),
        ("c", "Starting", 5, 6),
        ("c", "Restoring", 6, 7),
        ("c", "Serving", 7, 9),
    ]


async def test_documents_are_read_as_kubectl_writes_them() -> None:
    lines = asyncio.StreamReader()
    for kind in ("ADDED", "DELETED"):
        lines.feed_data(json.dumps({"type": kind, "object": pod(ready=True)}).encode() + b"\n")
    lines.feed_eof()
    sampler = Sampler()
    await sampler.follow(lines)
    assert [event.gone for event in sampler.events] == [False, True]
