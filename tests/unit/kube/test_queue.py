from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from statefulrollout.errors import NotLeader, Unavailable
from statefulrollout.kube.queue import WorkQueue
from tests.unit.kube.waiting import until

CLOCK = 0.02
"""Seconds that a timer of the event loop may come too early."""

Reconcile = Callable[[str], Awaitable[float | None]]


@asynccontextmanager
async def working(queue: WorkQueue[str], reconcile: Reconcile, workers: int = 4) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run(reconcile, workers=workers))
    yield
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Runs:
    """A reconcile that records when it ran, and takes its time."""

    def __init__(self, seconds: float = 0.0, again: float | None = None):
        self.at: defaultdict[str, list[float]] = defaultdict(list)
        self.side_by_side: Counter[str] = Counter()
        self.most_of_one = 0
        self.most_of_all = 0
        self._seconds = seconds
        self._again = again

    async def __call__(self, key: str) -> float | None:
        self.at[key].append(time.monotonic())
        self.side_by_side[key] += 1
        self.most_of_one = max(self.most_of_one, self.side_by_side[key])
        self.most_of_all = max(self.most_of_all, self.side_by_side.total())
        await asyncio.sleep(self._seconds)
        self.side_by_side[key] -= 1
        return self._again


async def test_a_burst_is_one_pass_and_a_burst_during_it_one_more() -> None:
    runs, queue = Runs(seconds=0.1), WorkQueue[str](debounce=0.02)
    async with working(queue, runs):
        for _ in range(1000):
            queue.wake_up("a")
        await until(lambda: runs.side_by_side["a"] == 1)
        for _ in range(1000):
            queue.wake_up("a")
            queue.add("a")
        await until(lambda: len(runs.at["a"]) == 2)
        await asyncio.sleep(0.3)
    assert len(runs.at["a"]) == 2
    assert runs.most_of_one == 1


async def test_who_is_woken_runs_at_once_unless_it_has_just_run() -> None:
    runs, queue = Runs(), WorkQueue[str](debounce=0.2)
    async with working(queue, runs):
        started = time.monotonic()
        queue.wake_up("a")
        await until(lambda: len(runs.at["a"]) == 1)
        for _ in range(10):
            queue.wake_up("a")
            await asyncio.sleep(0.01)
        await until(lambda: len(runs.at["a"]) == 2)
        await asyncio.sleep(0.3)
        woken = time.monotonic()
        queue.wake_up("a")
        await until(lambda: len(runs.at["a"]) == 3)
    first, second, third = runs.at["a"]
    assert first - started < 0.1
    assert second - first >= 0.2 - CLOCK
    assert third - woken < 0.1


async def test_keys_are_worked_on_side_by_side_by_so_many_workers() -> None:
    runs, queue = Runs(seconds=0.02), WorkQueue[str]()
    async with working(queue, runs, workers=4):
        for number in range(12):
            queue.add(str(number))
        await until(lambda: len(runs.at) == 12)
    assert sorted(runs.at, key=int) == [str(number) for number in range(12)]
    assert runs.most_of_all == 4


async def test_of_several_deadlines_the_earliest_wins() -> None:
    runs, queue = Runs(), WorkQueue[str]()
    async with working(queue, runs):
        started = time.monotonic()
        queue.add_after("a", 30)
        queue.add_after("a", 0.05)
        queue.add_after("a", 20)
        await until(lambda: "a" in runs.at)
    (at,) = runs.at["a"]
    assert at - started >= 0.05 - CLOCK


async def test_adding_now_replaces_a_deadline() -> None:
    runs, queue = Runs(), WorkQueue[str]()
    async with working(queue, runs):
        queue.add_after("a", 0.05)
        queue.add("a")
        await asyncio.sleep(0.2)
    assert len(runs.at["a"]) == 1


async def test_a_pass_comes_back_when_it_asks_for_it_and_not_otherwise() -> None:
    often, queue = Runs(again=0.05), WorkQueue[str]()
    async with working(queue, often):
        queue.add("a")
        await until(lambda: len(often.at["a"]) == 3)
    assert all(later - earlier >= 0.05 - CLOCK for earlier, later in itertools.pairwise(often.at["a"]))

    once, queue = Runs(again=None), WorkQueue[str]()
    async with working(queue, once):
        queue.add("a")
        await asyncio.sleep(0.2)
    assert len(once.at["a"]) == 1


@pytest.mark.parametrize("error", [Unavailable("down"), RuntimeError("a bug")], ids=["unavailable", "bug"])
async def test_a_failing_pass_backs_off_twice_as_long_each_time(error: Exception) -> None:
    at: list[float] = []

    async def reconcile(_: str) -> None:
        at.append(time.monotonic())
        if len(at) < 4:
            raise error

    queue = WorkQueue[str](backoff_first=0.05)
    async with working(queue, reconcile):
        queue.add("a")
        await until(lambda: len(at) == 4)
        await asyncio.sleep(0.1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert len(gaps) == 3
    assert all(gap >= 0.05 * 2**number * 0.8 - CLOCK for number, gap in enumerate(gaps))


async def test_a_pass_that_hangs_is_ended_and_repeated() -> None:
    started: list[str] = []

    async def reconcile(key: str) -> None:
        started.append(key)
        if len(started) == 1:
            await asyncio.sleep(3600)

    queue = WorkQueue[str](timeout=0.05, backoff_first=0.05)
    async with working(queue, reconcile):
        queue.add("a")
        await until(lambda: started == ["a", "a"])


async def test_a_pass_that_fails_after_waking_itself_does_not_spin() -> None:
    passes = 0
    queue = WorkQueue[str](debounce=0.001, backoff_first=0.1)

    async def reconcile(key: str) -> None:
        nonlocal passes
        passes += 1
        queue.wake_up(key)
        raise Unavailable("down")

    async with working(queue, reconcile):
        queue.add("a")
        await until(lambda: passes >= 2)
        await asyncio.sleep(0.5)
    # At least 0.1, 0.2 and 0.4 s apart.
    assert passes <= 5


async def test_losing_the_lease_ends_the_work() -> None:
    async def reconcile(_: str) -> None:
        raise NotLeader("lost")

    queue = WorkQueue[str]()
    queue.add("a")
    async with asyncio.timeout(1):
        with pytest.raises(ExceptionGroup) as caught:
            await queue.run(reconcile, workers=2)
    assert caught.group_contains(NotLeader)


async def test_a_resync_is_spread_over_its_time() -> None:
    runs, queue = Runs(), WorkQueue[str]()
    async with working(queue, runs):
        started = time.monotonic()
        queue.add_all((str(number) for number in range(200)), within=0.4)
        await until(lambda: len(runs.at) == 200)
    delays = [at - started for (at,) in runs.at.values()]
    assert sum(delay < 0.2 for delay in delays) < 180
    assert max(delays) > 0.3
