"""Kubernetes events (`events.k8s.io/v1`) on the objects that the operator works on: deliberate words, never log lines.

The same word about the same object within ten minutes is one event with a count; each object has a token bucket, so
that no fault floods the cluster. An event is never worth failing for, nor waiting for: they are written one after the
other beside the work, and what cannot be written is counted and dropped.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import structlog

from statefulrollout.api import names
from statefulrollout.errors import KubeError, NotFound
from statefulrollout.kube import paths
from statefulrollout.kube.client import MERGE_PATCH, Json, Kube
from statefulrollout.kube.telemetry import EVENTS_DROPPED

log = structlog.stdlib.get_logger(__name__)

SERIES_SECONDS = 600.0
REPEAT_SECONDS = 30.0
"""A repeated event's count is written at most this often."""
BURST = 50
REFILL_SECONDS = 3.0
NOTE_LIMIT = 1024
"""Bytes that the API server accepts in a note."""
_FORGET_ABOVE = 2000
"""Fewer series and buckets are not worth a look for those that are over."""
LONGEST_QUEUE = 1000
"""More than so many that wait to be written are dropped."""
_FLUSH_SECONDS = 2.0


class Word(NamedTuple):
    """What is said about which object (by UID); an equal one is a repetition."""

    uid: str
    type: str
    reason: str
    action: str
    note: str


@dataclass
class _Series:
    name: str
    started: float
    written: float
    count: int = 1


@dataclass
class _Bucket:
    tokens: float
    at: float

    def take(self, now: float) -> bool:
        self.tokens = min(float(BURST), self.tokens + (now - self.at) / REFILL_SECONDS)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(frozen=True)
class _Request:
    """A word on its way: how it is written."""

    word: Word
    about: str
    method: Literal["POST", "PATCH"]
    path: str
    body: Json
    content_type: str = "application/json"


class Events:
    """Writes events as one reporting instance (the operator's pod)."""

    def __init__(self, kube: Kube, instance: str, clock: Callable[[], float] = time.time):
        self._kube = kube
        self._instance = instance
        self._clock = clock
        self._series: dict[Word, _Series] = {}
        self._buckets: dict[str, _Bucket] = {}
        self._most = _FORGET_ABOVE
        self._waiting: asyncio.Queue[_Request] = asyncio.Queue(LONGEST_QUEUE)

    def record(
        self,
        involved: Mapping[str, str],
        *,
        type: Literal["Normal", "Warning"],  # noqa: A002 - the API's own word
        reason: str,
        action: str,
        note: str,
    ) -> None:
        """Have an event written, or count a repetition of it.

        Args:
            involved: `apiVersion`, `kind`, `namespace`, `name` and `uid` of the object it is about.
            type: Normal, or Warning where a human should look.
            reason: why, in CamelCase, from a small set (users filter by it).
            action: what the operator did, in CamelCase.
            note: one sentence for humans; cut at 1024 bytes.
        """
        now = self._clock()
        self._forget(now)
        word = Word(involved["uid"], type, reason, action, note)
        series = self._series.get(word)
        if series is not None and now - series.started < SERIES_SECONDS:
            self._repeat(involved, word, series, now)
        elif self._buckets.setdefault(involved["uid"], _Bucket(BURST, now)).take(now):
            name = f"{involved['name'][:200]}.{uuid.uuid4().hex[:16]}"
            self._series[word] = _Series(name, now, now)
            event = build_event(involved, word, name, self._instance, now)
            self._put(_Request(word, involved["name"], "POST", paths.events(involved["namespace"]), event))
        else:
            EVENTS_DROPPED.inc()

    async def run(self) -> None:
        """Write what is recorded, until cancelled."""
        while True:
            await self._write(await self._waiting.get())

    async def flush(self) -> None:
        """Write what still waits, unless that takes longer than the last words are worth."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                while not self._waiting.empty():
                    await self._write(self._waiting.get_nowait())

    def _repeat(self, involved: Mapping[str, str], word: Word, series: _Series, now: float) -> None:
        series.count += 1
        if now - series.written < REPEAT_SECONDS:
            return
        series.written = now
        patch = {"series": {"count": series.count, "lastObservedTime": _micro_time_of(now)}}
        path = paths.events(involved["namespace"], series.name)
        self._put(_Request(word, involved["name"], "PATCH", path, patch, MERGE_PATCH))

    def _put(self, request: _Request) -> None:
        try:
            self._waiting.put_nowait(request)
        except asyncio.QueueFull:
            EVENTS_DROPPED.inc()

    async def _write(self, request: _Request) -> None:
        try:
            await self._kube.call(
                request.method, request.path, body=request.body, content_type=request.content_type, timeout=2
            )
        except NotFound:
            # The event's time to live is over, or its namespace is going: the next occurrence starts anew.
            self._series.pop(request.word, None)
        except KubeError as error:
            EVENTS_DROPPED.inc()
            log.info("an event was not written", reason=request.word.reason, object=request.about, error=str(error))

    def _forget(self, now: float) -> None:
        if len(self._series) + len(self._buckets) <= self._most:
            return
        self._series = {word: one for word, one in self._series.items() if now - one.started < SERIES_SECONDS}
        self._buckets = {uid: one for uid, one in self._buckets.items() if now - one.at < SERIES_SECONDS}
        # Where most of it is young, the next look has to wait: one for every word would take ever longer.
        self._most = max(_FORGET_ABOVE, 2 * (len(self._series) + len(self._buckets)))


def build_event(involved: Mapping[str, str], word: Word, name: str, instance: str, now: float) -> Json:
    """Build the event object; `now` is in seconds since the epoch."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": involved["namespace"]},
        "eventTime": _micro_time_of(now),
        "reportingController": f"{names.GROUP}/operator",
        "reportingInstance": instance[:128],
        "type": word.type,
        "reason": word.reason,
        "action": word.action,
        "note": word.note.encode()[:NOTE_LIMIT].decode(errors="ignore"),
        "regarding": {key: involved[key] for key in ("apiVersion", "kind", "namespace", "name", "uid")},
    }


def _micro_time_of(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
