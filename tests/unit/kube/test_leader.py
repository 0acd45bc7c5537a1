from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from statefulrollout.errors import NotLeader
from statefulrollout.kube import paths
from statefulrollout.kube.client import Kube
from statefulrollout.kube.leader import Leader, LeaseTimes, Watchdog
from tests.unit.kube.fake_api import FakeApi, Responder, hang, refuse, reset
from tests.unit.kube.waiting import until

LEASE = paths.leases("operators", "statefulrollout")
TIMES = LeaseTimes(duration=1.0, renew_deadline=0.6, retry=0.1)


@dataclass
class RecordingWatchdog(Watchdog):
    """Notes when it would have ended the process."""

    ended: list[float]

    def end_process(self) -> None:
        self.ended.append(time.monotonic())


@dataclass
class Candidate:
    """A leader whose process does not really end."""

    leader: Leader
    ended: list[float] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def campaign(self) -> None:
        async def campaign() -> None:
            await self.leader.acquire()
            await self.leader.renew_forever()

        self.tasks.append(asyncio.create_task(campaign()))

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
async def candidate(connect: Callable[[str], Kube]) -> AsyncIterator[Callable[[str], Candidate]]:
    made: list[Candidate] = []

    def candidate(name: str) -> Candidate:
        ended: list[float] = []
        leader = Leader(
            connect(name),
            "operators",
            "statefulrollout",
            name,
            times=TIMES,
            watchdog=RecordingWatchdog(ended),
        )
        made.append(Candidate(leader, ended))
        return made[-1]

    yield candidate
    for one in made:
        await one.stop()
        await one.leader.release()


Logged = list[MutableMapping[str, Any]]


def loss_in(logged: Logged) -> str:
    """What the log says why the Lease was lost."""
    (problem,) = (entry["problem"] for entry in logged if entry["event"].startswith("the Lease is lost"))
    return str(problem)


async def test_the_first_candidate_creates_the_lease_and_leads(
    api: FakeApi, candidate: Callable[[str], Candidate]
) -> None:
    first = candidate("first")
    with pytest.raises(NotLeader, match="operators/statefulrollout is not held by first"):
        first.leader.check()
    await first.leader.acquire()
    first.leader.check()
    spec = api.objects[LEASE]["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("first", 1, 0)


async def test_a_renewal_is_one_request(api: FakeApi, candidate: Callable[[str], Candidate]) -> None:
    first = candidate("first")
    first.campaign()
    await until(lambda: len(api.seen("PUT", LEASE)) == 3)
    assert len(api.seen("GET", LEASE)) == 1


async def test_a_standby_waits_while_the_lease_is_renewed(api: FakeApi, candidate: Callable[[str], Candidate]) -> None:
    first, second = candidate("first"), candidate("second")
    first.campaign()
    await until(lambda: first.leader.is_leader)
    assert not second.leader.lease_is_fresh()
    second.campaign()
    await until(second.leader.lease_is_fresh)
    renewed = len(api.seen("PUT", LEASE))
    await asyncio.sleep(TIMES.duration * 1.5)
    assert len(api.seen("PUT", LEASE)) > renewed + 2
    assert first.leader.is_leader
    assert second.leader.lease_is_fresh()
    assert not second.leader.is_leader


async def test_a_released_lease_is_taken_at_once(api: FakeApi, candidate: Callable[[str], Candidate]) -> None:
    first, second = candidate("first"), candidate("second")
    await first.leader.acquire()
    second.campaign()
    await until(second.leader.lease_is_fresh)
    await first.leader.release()
    released = time.monotonic()
    assert not first.leader.is_leader
    assert not first.leader.lease_is_fresh()
    await until(lambda: second.leader.is_leader)
    assert time.monotonic() - released < TIMES.duration
    assert api.objects[LEASE]["spec"]["leaseTransitions"] == 1
    assert first.ended == []


@pytest.mark.parametrize("fault", [hang, reset, refuse(500, "InternalError")], ids=["hang", "reset", "500"])
async def test_a_leader_cut_off_ends_before_the_next_one_starts(
    api: FakeApi, candidate: Callable[[str], Candidate], fault: Responder, logged: Logged
) -> None:
    first, second = candidate("first"), candidate("second")
    first.campaign()
    await until(lambda: first.leader.is_leader)
    second.campaign()
    await until(second.leader.lease_is_fresh)

    api.faults["first"] = fault
    both = False

    def second_leads() -> bool:
        nonlocal both
        both |= first.leader.is_leader and second.leader.is_leader
        return second.leader.is_leader

    await until(second_leads)
    assert not both
    assert len(first.ended) == 1
    assert "PUT" in loss_in(logged)
    with pytest.raises(NotLeader):
        first.leader.check()


async def test_a_blocked_event_loop_does_not_keep_a_leader_alive(
    candidate: Callable[[str], Candidate], logged: Logged
) -> None:
    first = candidate("first")
    first.campaign()
    await until(lambda: first.leader.is_leader)
    time.sleep(TIMES.renew_deadline + 0.6)  # noqa: ASYNC251 - blocking the loop is what is tested
    assert len(first.ended) == 1
    assert "this process stood still for" in loss_in(logged)


async def test_a_lease_taken_away_is_lost_at_once(
    api: FakeApi, candidate: Callable[[str], Candidate], logged: Logged
) -> None:
    first = candidate("first")
    first.campaign()
    await until(lambda: first.leader.is_leader)
    api.put(LEASE, {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 15, "renewTime": "now"}})
    await until(lambda: first.ended != [])
    assert loss_in(logged) == "it is held by somebody"
    assert not first.leader.is_leader
    assert first.leader.lease_is_fresh()


async def test_a_renewal_whose_answer_was_lost_is_still_ours(
    api: FakeApi, candidate: Callable[[str], Candidate]
) -> None:
    async def done_but_not_answered(request: web.Request) -> web.StreamResponse:
        api.store("PUT", request.path, await request.json())
        return await reset(request)

    first = candidate("first")
    api.script("PUT", LEASE, done_but_not_answered)
    first.campaign()
    await until(lambda: len(api.seen("PUT", LEASE)) >= 5)
    assert first.leader.is_leader
    assert first.ended == []
    assert api.objects[LEASE]["spec"]["leaseTransitions"] == 0


async def test_of_two_that_take_a_free_lease_one_leads(candidate: Callable[[str], Candidate]) -> None:
    several = [candidate(name) for name in ("first", "second", "third")]
    for one in several:
        one.campaign()
    await until(lambda: any(one.leader.is_leader for one in several))
    await asyncio.sleep(TIMES.duration)
    assert sum(one.leader.is_leader for one in several) == 1


async def test_a_restarted_leader_does_not_believe_its_past_life(
    api: FakeApi, candidate: Callable[[str], Candidate]
) -> None:
    api.put(LEASE, {"spec": {"holderIdentity": "first_of_past_life", "leaseDurationSeconds": 1, "renewTime": "then"}})
    first = candidate("first")
    started = time.monotonic()
    first.campaign()
    await until(lambda: first.leader.is_leader)
    assert time.monotonic() - started >= TIMES.duration
