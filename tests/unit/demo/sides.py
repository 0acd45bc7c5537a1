"""A small measurement of each side, made by hand: the change is at second 100, the update is complete at 110."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from e2e.demo.figures import Measurement
from e2e.demo.page import Setting
from e2e.demo.variants import build_variants
from e2e.load.records import Record, totals_of
from e2e.load.sampler import Event

CHANGED_AT, COMPLETED_AT = 100.0, 110.0
SETTING = Setting(kubernetes="v1.35.4", nodes=3, keys=50, rate=1, together=False, machine=" on one machine")
PLAIN, OURS = build_variants("kvstore:dev")
POD = "kvstore-0"
GOOD = [Record(95.0 + number, "client", "read", "key-1", "ok", 2.0) for number in range(20)]


def event(at: float, uid: str, *, ready: bool = True, gone: bool = False, terminating: bool = False) -> Event:
    conditions = {"Ready": ready, "ContainersReady": ready}
    return Event(at, POD, uid, uid, gone, terminating, conditions, ())


EVENTS = [
    event(90, "old"),
    event(101, "old", terminating=True),
    event(103, "old", gone=True),
    event(104, "new", ready=False),
    event(108, "new"),
]


def version(stage: str | None, revision: str = "r1", wanted: str = "r2", **status: Any) -> dict[str, Any]:
    """The StatefulRollout as it reports its one pod; None where the pod does not exist."""
    pods = [{"name": POD, "stage": stage, "revision": revision}] if stage else []
    return {"metadata": {"generation": 1}, "status": {"wantedRevision": wanted, "pods": pods, **status}}


VERSIONS = [
    (90.0, version("Updated", wanted="r1")),
    (100.5, version("Serving")),
    (101.0, version("Draining")),
    (101.5, version("Draining")),
    (102.0, version(None)),
    (104.0, version("Starting", "r2")),
    (108.0, version("Updated", "r2")),
]


def plain(records: Sequence[Record] = GOOD, **stats: int) -> Measurement:
    return Measurement(PLAIN, stats_of(records, **stats), records, EVENTS, (), CHANGED_AT, COMPLETED_AT)


def ours(records: Sequence[Record] = GOOD, **stats: int) -> Measurement:
    return Measurement(OURS, stats_of(records, **stats), records, EVENTS, VERSIONS, CHANGED_AT, COMPLETED_AT)


def stats_of(records: Sequence[Record], **stats: int) -> dict[str, Any]:
    keys = {"keysWritten": 50, "keysLost": 0, "keysStale": 0, "keysUnread": 0, **stats}
    return {**totals_of(records, "client"), **keys, "watcher": totals_of(records, "watcher")}
