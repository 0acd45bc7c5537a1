"""Follows the pods of a namespace from outside the cluster while they change: who served when, in which stage.

One `kubectl get pods --watch` runs beside the change and every version of every pod becomes one `Event`. What is
made of the events is pure, so that it can be judged after the fact. Never writes to the cluster.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GATE = "statefulrollout.dev/serving"
DRAINED = "statefulrollout.dev/drained"
RELEASED = "statefulrollout.dev/released"
REVISION_LABEL = "controller-revision-hash"
LINE_LIMIT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Event:
    """One version of one pod as the watch told it; `at` is when it was heard, in seconds since the epoch."""

    at: float
    name: str
    uid: str
    revision: str
    gone: bool
    terminating: bool
    conditions: dict[str, bool]
    containers: tuple[str, ...]
    """Each container as `name=state restarts`, the state being running, or the reason it is not."""

    @property
    def serving(self) -> bool:
        """Whether Services send to it: Ready, and not on its way out."""
        return self.conditions.get("Ready", False) and not self.terminating and not self.gone


@dataclass(frozen=True)
class Interval:
    """A stage of one pod, from and to in seconds since the epoch."""

    name: str
    uid: str
    revision: str
    stage: str
    since: float
    until: float


def event_of(at: float, kind: str, pod: dict[str, Any]) -> Event:
    """Read one watch event (`kind` is ADDED, MODIFIED or DELETED)."""
    metadata, status = pod["metadata"], pod.get("status", {})
    return Event(
        at=at,
        name=metadata["name"],
        uid=metadata["uid"],
        revision=metadata.get("labels", {}).get(REVISION_LABEL, ""),
        gone=kind == "DELETED",
        terminating="deletionTimestamp" in metadata,
        conditions={each["type"]: each["status"] == "True" for each in status.get("conditions", ())},
        containers=tuple(_container_of(each) for each in status.get("containerStatuses", ())),
    )


def serving_over_time(events: Iterable[Event]) -> list[tuple[float, int]]:
    """How many pods were serving from which moment on."""
    serving: set[str] = set()
    counts: list[tuple[float, int]] = []
    for event in events:
        (serving.add if event.serving else serving.discard)(event.uid)
        if not counts or counts[-1][1] != len(serving):
            counts.append((event.at, len(serving)))
    return counts


def lowest_serving(events: Sequence[Event], since: float = 0.0, until: float = float("inf")) -> int:
    """The fewest pods that were serving at any moment from `since` to `until`, 0 where nothing is known.

    Without `since`, from the moment at which most were: the watch begins by listing pods one by one.
    """
    counts = serving_over_time(events)
    if not counts:
        return 0
    if since == 0.0:
        since = max(counts, key=lambda count: (count[1], -count[0]))[0]
    before = [number for at, number in counts if at <= since][-1:]
    return min(before + [number for at, number in counts if since < at <= until], default=0)


def absences(events: Iterable[Event], since: float) -> list[float]:
    """How long no pod of a name served, in seconds: every gap that began after `since` and is over."""
    serving: dict[str, set[str]] = {}
    gone_at: dict[str, float] = {}
    found = []
    for event in events:
        pods = serving.setdefault(event.name, set())
        served = bool(pods)
        (pods.add if event.serving else pods.discard)(event.uid)
        if served and not pods:
            gone_at[event.name] = event.at
        elif pods and (gone := gone_at.pop(event.name, None)) is not None and gone > since:
            found.append(event.at - gone)
    return found


def stages_of(events: Iterable[Event], until: float) -> list[Interval]:
    """What each pod went through, in order of time; what still lasts ends at `until`."""
    open_stages: dict[str, Interval] = {}
    has_served: set[str] = set()
    closed: list[Interval] = []
    for event in events:
        if event.serving:
            has_served.add(event.uid)
        stage = None if event.gone else _stage_of(event, event.uid in has_served)
        current = open_stages.get(event.uid)
        if current is not None and stage == current.stage:
            continue
        if current is not None:
            closed.append(_ended(open_stages.pop(event.uid), event.at))
        if stage is not None:
            open_stages[event.uid] = Interval(event.name, event.uid, event.revision, stage, event.at, until)
    return sorted([*closed, *open_stages.values()], key=lambda interval: (interval.since, interval.name))


def _stage_of(event: Event, has_served: bool) -> str:
    conditions = event.conditions
    if event.terminating:
        return "Terminating"
    if conditions.get("Ready"):
        return "Serving"
    if conditions.get(RELEASED):
        return "Released"
    if not conditions.get("ContainersReady"):
        return "Restarting" if has_served else "Starting"
    if not has_served:
        return "Restoring"
    if conditions.get(GATE, True):
        return "NotReady"
    return "Migrating" if conditions.get(DRAINED) else "Draining"


def _ended(interval: Interval, at: float) -> Interval:
    return Interval(interval.name, interval.uid, interval.revision, interval.stage, interval.since, at)


def _container_of(status: dict[str, Any]) -> str:
    states: dict[str, dict[str, Any]] = status.get("state") or {"waiting": {}}
    state, details = next(iter(states.items()))
    return f"{status['name']}={details.get('reason', state)} {status.get('restartCount', 0)}"


@dataclass
class Sampler:
    """The events so far, oldest first."""

    events: list[Event] = field(default_factory=list)

    async def follow(self, lines: asyncio.StreamReader) -> None:
        """Read watch events, one to a line, until the stream ends."""
        async for line in lines:
            watched = json.loads(line)
            self.events.append(event_of(time.time(), watched["type"], watched["object"]))


@asynccontextmanager
async def sampling(
    namespace: str, selector: str, kubeconfig: Path | None = None, kubectl: str = "kubectl"
) -> AsyncIterator[Sampler]:
    """Follow the pods that a label selector selects for as long as the context lasts.

    Raises RuntimeError at the end if kubectl ended by itself: the events would then be incomplete.
    """
    argv = [kubectl, *(["--kubeconfig", str(kubeconfig)] if kubeconfig else [])]
    argv += ["get", "pods", "--namespace", namespace, "--selector", selector]
    argv += ["--watch", "--output-watch-events", "--output", "json"]
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, limit=LINE_LIMIT_BYTES)
    sampler = Sampler()
    following = asyncio.create_task(sampler.follow(process.stdout)) if process.stdout is not None else None
    try:
        yield sampler
    finally:
        ended_early = process.returncode is not None
        if not ended_early:
            process.terminate()
        await process.wait()
        if following is not None:
            await following
    if ended_early:
        raise RuntimeError(f"`{' '.join(argv)}` ended with status {process.returncode} while pods were followed")
