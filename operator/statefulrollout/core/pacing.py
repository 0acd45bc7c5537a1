"""How far the rollout may go at present, and since when: steps, maintenance windows, and the pace.

Steps are totals over the rollout of one revision. Which of them are passed, and when the present one was reached, is
remembered in the ledger, so that neither a restart nor a pod that dies meanwhile begins a rest anew. Times are seconds
since the epoch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from statefulrollout.api.v1alpha1 import Pause, Step, Window
from statefulrollout.core.budget import pods_of
from statefulrollout.core.goal import is_given_up
from statefulrollout.core.ledger import Progress
from statefulrollout.core.snapshot import Snapshot, StatefulSetView
from statefulrollout.core.stages import IN_MOTION, Place, Stage
from statefulrollout.core.timestamps import timestamp


@dataclass(frozen=True)
class Pacing:
    """How far the rollout may go now.

    Attributes:
        progress: the steps as the ledger shall remember them.
        total: how many pods may have left for the wanted revision by now; None for all.
        rest: why the rollout rests at a step; empty where it does not.
        closed: why no window is open; empty where one is, or there is none to wait for.
        recheck_at: when time alone changes something of this.
    """

    progress: Progress
    total: int | None = None
    rest: str = ""
    closed: str = ""
    recheck_at: float | None = None

    @property
    def rests(self) -> bool:
        """Whether no pod may leave for the wanted revision, however healthy all are."""
        return bool(self.rest or self.closed)


def pacing_of(snapshot: Snapshot, target: StatefulSetView, places: Sequence[Place], now: float) -> Pacing:
    """How far the rollout of the wanted revision may go."""
    if target.current_revision == target.update_revision or is_given_up(snapshot):
        return Pacing(Progress())
    strategy = snapshot.rollout.spec.strategy
    progress = _advance(snapshot, target, places, now)
    total, rest, rest_ends_at = None, "", None
    if progress.passed < len(strategy.steps):
        step = strategy.steps[progress.passed]
        total = _total_of(step, target)
        rest_ends_at = _end_of(step.pause, progress, snapshot)
        if progress.reached_at is not None and now < rest_ends_at:
            rest = _rest_of(progress, len(strategy.steps), total, rest_ends_at)
    opens_at = opening_of(strategy.windows, now)
    closed = "" if opens_at is None else f"no window is open before {timestamp(opens_at)}"
    times = (rest_ends_at, opens_at, _next_closing(strategy.windows, now))
    recheck_at = min((at for at in times if at is not None and now < at < math.inf), default=None)
    return Pacing(progress, total, rest, closed, recheck_at)


def _advance(snapshot: Snapshot, target: StatefulSetView, places: Sequence[Place], now: float) -> Progress:
    """The steps after those that are reached and whose rest is over.

    A step is reached once; for the next one to begin, as many pods must be updated as when it was.
    """
    steps, progress = snapshot.rollout.spec.strategy.steps, snapshot.ledger.progress
    if not steps:
        return Progress()
    if progress.revision != target.update_revision:
        progress = Progress(revision=target.update_revision)
    updated = sum(place.stage is Stage.UPDATED for place in places)
    while progress.passed < len(steps):
        step = steps[progress.passed]
        if updated < _total_of(step, target):
            return progress
        if progress.reached_at is None:
            progress = progress.model_copy(update={"reached_at": now})
        if now < _end_of(step.pause, progress, snapshot):
            return progress
        progress = Progress(revision=progress.revision, passed=progress.passed + 1)
    return progress


def _total_of(step: Step, target: StatefulSetView) -> int:
    return min(pods_of(step.pods, target.replicas), target.replicas)


def _end_of(pause: Pause, progress: Progress, snapshot: Snapshot) -> float:
    """When the rest at the present step is over, infinite where only the user ends it."""
    promote = snapshot.rollout.spec.promote
    if promote is not None and promote.revision == progress.revision and promote.step > progress.passed:
        return 0.0
    if pause.seconds is None or progress.reached_at is None:
        return math.inf
    return progress.reached_at + pause.seconds


def _rest_of(progress: Progress, steps: int, total: int, ends_at: float) -> str:
    number = progress.passed + 1
    promote = f"set spec.promote to {{revision: {progress.revision}, step: {number}}}"
    if ends_at == math.inf:
        return f"step {number} of {steps} is reached ({total} pods); to go on, {promote}"
    return (
        f"step {number} of {steps} is reached ({total} pods), until {timestamp(ends_at)}; to go on earlier, {promote}"
    )


def moved_by_now(target: StatefulSetView, places: Sequence[Place], chosen: frozenset[str]) -> int:
    """How many of the wanted ordinals have no pod any more that has yet to leave for the wanted revision."""
    waiting = {
        place.pod.ordinal
        for place in places
        if place.leaves_for == target.update_revision
        and place.pod.uid not in chosen
        and place.stage not in IN_MOTION | {Stage.TERMINATING}
    }
    return sum(ordinal not in waiting for ordinal in target.ordinals)


def opening_of(windows: Sequence[Window], now: float) -> float | None:
    """When the next window opens; None where one is open, or there are none."""
    if not windows or any(_latest_start(window, now) is not None for window in windows):
        return None
    return min(_next_start(window, now) for window in windows)


def _next_closing(windows: Sequence[Window], now: float) -> float | None:
    starts = ((window, _latest_start(window, now)) for window in windows)
    return max((start + window.duration_seconds for window, start in starts if start is not None), default=None)


def _latest_start(window: Window, now: float) -> float | None:
    """When the window that is open now began; None where it is shut."""
    start = _next_start(window, now - window.duration_seconds)
    return start if start <= now else None


def _next_start(window: Window, after: float) -> float:
    """When the window opens next, after a time."""
    moment = datetime.fromtimestamp(after, ZoneInfo(window.time_zone))
    return next(CronSim(window.schedule, moment)).timestamp()
