"""The keyed work queue: any number of reasons to look at a rollout become one look, by one worker at a time.

A key is queued once however often it is added; added while a worker has it, it is run exactly once more afterwards.
Of several deadlines of a key the earliest wins, and a key whose pass failed comes back with exponential back-off.
Nothing here knows what a key stands for. Keys belong to one event loop; other threads use `call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Generic, TypeVar

import structlog

from statefulrollout.errors import ApiError, NotLeader, Unavailable
from statefulrollout.kube.telemetry import QUEUE_DEPTH, RECONCILE_SECONDS, RECONCILES

log = structlog.stdlib.get_logger(__name__)

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys that wait, keys that are being worked on, and when to come back to others. All durations in seconds."""

    def __init__(
        self,
        *,
        debounce: float = 0.01,
        backoff_first: float = 0.5,
        backoff_most: float = 120.0,
        timeout: float = 60.0,
    ):
        """`debounce`: how soon after a pass `wake_up` asks for the next; `timeout`: how long one pass may take."""
        self._debounce = debounce
        self._backoff_first = backoff_first
        self._backoff_most = backoff_most
        self._timeout = timeout
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._queued: set[K] = set()
        self._active: set[K] = set()
        self._dirty: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._calm_at: dict[K, float] = {}

    def add(self, key: K) -> None:
        """Run the key as soon as a worker is free."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._active:
            self._dirty.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.put_nowait(key)
            QUEUE_DEPTH.set(len(self._queued))

    def add_after(self, key: K, seconds: float) -> None:
        """Run the key after so many seconds, or earlier where something asked for that."""
        if key in self._queued or key in self._dirty:
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(when, self.add, key)

    def wake_up(self, key: K) -> None:
        """Run the key: something changed. What else changes meanwhile, or right afterwards, is one more pass.

        A key whose last pass failed waits a little longer, lest a pass that fails *after* it has changed something
        is woken by its own change for ever.
        """
        failures = self._failures.get(key, 0)
        self.add_after(key, min(1.0, self._backoff_of(failures)) if failures else self._pause_of(key))

    def add_all(self, keys: Iterable[K], *, within: float) -> None:
        """Run all of them, spread evenly at random over `within` seconds, so that a resync is no stampede."""
        for key in keys:
            self.add_after(key, random.uniform(0, within))  # noqa: S311 - jitter, not a secret

    async def run(self, reconcile: Callable[[K], Awaitable[float | None]], *, workers: int) -> None:
        """Work for ever: `reconcile` gets a key and returns in how many seconds it wants it again, or None.

        A pass that fails is repeated; only `NotLeader` ends the work.
        """
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(reconcile), name=f"worker-{number}")

    async def _work(self, reconcile: Callable[[K], Awaitable[float | None]]) -> None:
        while True:
            key = await self._ready.get()
            self._queued.discard(key)
            self._active.add(key)
            QUEUE_DEPTH.set(len(self._queued))
            try:
                again = await self._pass(key, reconcile)
            finally:
                self._active.discard(key)
                self._has_run(key)
            if key in self._dirty:
                self._dirty.discard(key)
                self.wake_up(key)
            elif again is not None:
                self.add_after(key, again)

    async def _pass(self, key: K, reconcile: Callable[[K], Awaitable[float | None]]) -> float | None:
        """One pass over the key; returns when to come back."""
        bug: Exception | None = None
        try:
            with RECONCILE_SECONDS.time():
                async with asyncio.timeout(self._timeout):
                    again = await reconcile(key)
        except ApiError as error:
            result, problem = "refused", str(error)
        except Unavailable as error:
            result, problem = "unavailable", str(error)
        except TimeoutError:
            result, problem = "timeout", f"the pass took longer than {self._timeout:g} s"
        except NotLeader:
            raise
        except Exception as error:
            result, problem, bug = "bug", repr(error), error
        else:
            RECONCILES.labels("ok").inc()
            self._failures.pop(key, None)
            return again
        RECONCILES.labels(result).inc()
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        wait = self._backoff_of(failures) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret
        log.warning("a pass failed", key=key, problem=problem, failures=failures, again=round(wait, 1), exc_info=bug)
        return wait

    def _has_run(self, key: K) -> None:
        loop = asyncio.get_running_loop()
        self._calm_at[key] = loop.time() + self._debounce
        loop.call_later(self._debounce, self._calm_at.pop, key, None)

    def _pause_of(self, key: K) -> float:
        now = asyncio.get_running_loop().time()
        return max(0.0, self._calm_at.get(key, now) - now)

    def _backoff_of(self, failures: int) -> float:
        return min(self._backoff_most, self._backoff_first * 2.0 ** min(failures - 1, 30))
