"""Simulated time: a queue of due events, and workers that take one key at a time from it.

Nothing here sleeps. Two events due at the same moment run in the order they were planned, or, given a random
generator, in a seeded random order with jittered latencies.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

Action = Callable[[], None]

START = 1_767_225_600.0
"""Where simulated time begins (seconds since the epoch): 2026-01-01T00:00:00Z."""


@dataclass(order=True)
class Event:
    """Something that happens after so many seconds of the timeline, unless it is cancelled before."""

    due: float
    tie: float
    number: int
    what: str = field(compare=False)
    action: Action = field(compare=False)
    cancelled: bool = field(default=False, compare=False)


class Timeline:
    """What will happen, in order of time; `elapsed` is in seconds since `START`, `steps` counts what has happened."""

    def __init__(self, seed: int | None = None) -> None:
        self.elapsed = 0.0
        self._random = None if seed is None else Random(seed)
        self._events: list[Event] = []
        self._numbers = itertools.count()
        self.steps = 0

    @property
    def now(self) -> float:
        """The simulated time in seconds since the epoch."""
        return START + self.elapsed

    def after(self, seconds: float, what: str, action: Action) -> Event:
        """Plan an action exactly that many seconds from now."""
        tie = 0.0 if self._random is None else self._random.random()
        event = Event(self.elapsed + max(seconds, 0.0), tie, next(self._numbers), what, action)
        heapq.heappush(self._events, event)
        return event

    def soon(self, seconds: float, what: str, action: Action) -> Event:
        """Plan an action after a latency that varies where the order is random."""
        return self.after(seconds if self._random is None else seconds * self._random.uniform(0.2, 5.0), what, action)

    def next_due(self) -> float | None:
        """When the next event is due, or None where nothing will happen any more."""
        while self._events and self._events[0].cancelled:
            heapq.heappop(self._events)
        return self._events[0].due if self._events else None

    def step(self) -> str | None:
        """Let time pass to the next event and run it; says what it was, or None where there is none."""
        due = self.next_due()
        if due is None:
            return None
        event = heapq.heappop(self._events)
        self.elapsed = max(self.elapsed, due)
        self.steps += 1
        event.action()
        return event.what

    def step_or_pass(self, seconds: float | None) -> str | None:
        """Run the next event if it is due within that time (None: whenever it is), else let the time pass."""
        due = self.next_due()
        if due is not None and (seconds is None or due <= self.elapsed + seconds):
            return self.step()
        self.elapsed += seconds or 0.0
        return None


class Worker:
    """Works on one key at a time, never twice at once; a failure is retried after 5 ms, 10 ms, 20 ms …

    `sync` returns False where it failed, None where it has not finished: it then calls `finish` itself.
    """

    def __init__(
        self, timeline: Timeline, name: str, sync: Callable[[str], bool | None], latency: float = 0.002
    ) -> None:
        self._timeline = timeline
        self._name = name
        self._sync = sync
        self._latency = latency
        self._planned: dict[str, Event] = {}
        self._failures: dict[str, int] = {}
        self._busy: set[str] = set()
        self._again: set[str] = set()

    def add(self, key: str) -> None:
        """Look at this key soon; a key already waiting is not added twice."""
        self._plan(key, self._latency)

    def add_after(self, key: str, seconds: float) -> None:
        """Look at this key then, whether or not it is looked at before."""
        self._timeline.after(seconds, f"{self._name} {key} is due", lambda: self.add(key))

    def finish(self, key: str, *, succeeded: bool) -> None:
        """The work that `sync` left open is done."""
        self._busy.discard(key)
        if succeeded:
            self._failures.pop(key, None)
        else:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            self.add_after(key, min(0.005 * 2**failures, 1000.0))
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _plan(self, key: str, seconds: float) -> None:
        if key in self._busy:
            self._again.add(key)
        elif key not in self._planned:
            self._planned[key] = self._timeline.soon(seconds, f"{self._name} {key}", lambda: self._work(key))

    def _work(self, key: str) -> None:
        del self._planned[key]
        self._busy.add(key)
        succeeded = self._sync(key)
        if succeeded is not None:
            self.finish(key, succeeded=succeeded)
