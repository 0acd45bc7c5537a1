"""Keys move between real pods on loopback while clients read and write them."""

from __future__ import annotations

import asyncio

from e2e.kvstore.placement import Peer
from e2e.load.connections import Pool
from tests.unit.kvstore.pods import Pods, until
from tests.unit.kvstore.traffic import traffic

KEYS = 4000


async def test_members_leave_and_join_and_no_client_notices(pods: Pods) -> None:
    members = await pods.start(0, 1, 2)
    await pods.declare(0, pods.document(1, joining=[0, 1, 2]))
    async with traffic(pods, to=[0, 1], keys=KEYS) as seen:
        await pods.declare(0, pods.document(2, serving=[0, 1], leaving=[2]))
        assert len(members[2].store) == 0
        await pods.kill(2)
        (fresh,) = await pods.start(2)
        await pods.declare(1, pods.document(3, serving=[0, 1], joining=[2]))
        assert len(fresh.store) > KEYS / 5
    seen.assert_nobody_noticed()
    assert len(members[0].store) + len(members[1].store) + len(fresh.store) == KEYS


async def test_every_pod_is_replaced_in_turn_and_no_client_notices(pods: Pods) -> None:
    await pods.start(0, 1, 2, 3)
    await pods.declare(0, pods.document(1, joining=[0, 1, 2, 3]))
    generation = 1
    # Pod 3 stays: the clients are connected to it.
    async with traffic(pods, to=[3], keys=KEYS) as seen:
        for leaving in (2, 1, 0):
            staying = [n for n in range(4) if n != leaving]
            generation += 1
            await pods.declare(3, pods.document(generation, serving=staying, leaving=[leaving]))
            await pods.kill(leaving)
            await pods.start(leaving)
            generation += 1
            await pods.declare(3, pods.document(generation, serving=staying, joining=[leaving]))
    seen.assert_nobody_noticed()


async def test_the_coordinator_dies_in_the_middle_and_another_finishes(pods: Pods) -> None:
    members = await pods.start(0, 1, 2, 3)
    await pods.declare(0, pods.document(1, joining=[0, 1, 2, 3]))
    async with traffic(pods, to=[1, 2], keys=KEYS) as seen:
        # Pod 0 is emptied first, so that its death loses nothing; it still coordinates.
        await pods.declare(0, pods.document(2, serving=[1, 2, 3], leaving=[0]))
        asking = asyncio.create_task(
            pods.admin(0, "POST", "/members", pods.document(3, serving=[1, 2], leaving=[0, 3]))
        )
        await until(lambda: members[1].generation == 3)
        await pods.kill(0)
        await asyncio.wait([asking])
        asking.exception()
        await pods.declare(1, pods.document(4, serving=[1, 2], leaving=[3]))
    seen.assert_nobody_noticed()
    assert len(members[3].store) == 0


async def test_a_newer_generation_supersedes_one_that_is_moving(pods: Pods) -> None:
    members = await pods.start(0, 1, 2, 3)
    await pods.declare(0, pods.document(1, joining=[0, 1, 2, 3]))
    async with traffic(pods, to=[0, 1], keys=KEYS) as seen:
        first = asyncio.create_task(pods.admin(0, "POST", "/members", pods.document(2, serving=[0, 1, 3], leaving=[2])))
        await until(lambda: members[2].generation == 2)
        await pods.declare(1, pods.document(3, serving=[0, 1, 2], leaving=[3]))
        status, answer = await first
        assert (status, answer) in ((409, {"generation": 3}), (200, {"generation": 2}))
    seen.assert_nobody_noticed()
    assert len(members[3].store) == 0
    assert [member.generation for member in members] == [3, 3, 3, 3]


async def test_an_undone_departure_brings_the_keys_back(pods: Pods) -> None:
    members = await pods.start(0, 1, 2)
    await pods.declare(0, pods.document(1, joining=[0, 1, 2]))
    async with traffic(pods, to=[0, 2], keys=KEYS) as seen:
        held = len(members[2].store)
        await pods.declare(0, pods.document(2, serving=[0, 1], leaving=[2]))
        await pods.declare(0, pods.document(3, serving=[0, 1, 2]))
        assert len(members[2].store) == held
    seen.assert_nobody_noticed()


async def test_an_older_generation_is_refused_with_the_highest(pods: Pods) -> None:
    await pods.start(0, 1)
    await pods.declare(0, pods.document(7, joining=[0, 1]))
    assert await pods.admin(1, "POST", "/members", pods.document(6, serving=[0, 1])) == (409, {"generation": 7})


async def test_the_same_generation_again_is_done_at_any_member(pods: Pods) -> None:
    await pods.start(0, 1)
    document = pods.document(7, joining=[0, 1])
    await pods.declare(0, document)
    assert await pods.admin(1, "POST", "/members", document) == (200, {"generation": 7})
    assert await pods.admin(0, "POST", "/members", document) == (200, {"generation": 7})


async def test_a_member_that_is_not_up_yet_delays_the_change_and_not_the_clients(pods: Pods) -> None:
    await pods.start(0, 1)
    await pods.declare(0, pods.document(1, joining=[0, 1]))
    document = pods.document(2, serving=[0, 1], joining=[2])
    async with traffic(pods, to=[0, 1], keys=500) as seen:
        status, answer = await pods.admin(0, "POST", "/members", document)
        assert (status, answer["waitingFor"]) == (202, ["kv-2"])
        (joined,) = await pods.start(2)
        await pods.declare(0, document)
        assert len(joined.store) > 0
    seen.assert_nobody_noticed()


async def test_a_member_that_was_never_told_its_peers_answers_no_client(pods: Pods) -> None:
    await pods.start(0, patience_seconds=0.3)
    pool = Pool(pods.ip(0), pods.client_port)
    answer = await pool.ask("GET", "/keys/anything")
    pool.close()
    assert answer.status == 503
    assert "kv-0" in answer.body.decode()


async def test_a_restarted_member_answers_only_once_it_is_declared_again(pods: Pods) -> None:
    members = await pods.start(0, 1, patience_seconds=0.3)
    await pods.declare(0, pods.document(1, joining=[0, 1]))
    key = next(f"k{n}" for n in range(100) if members[0].term.owner_of(f"k{n}") == Peer("kv-1", pods.ip(1)))
    await pods.kill(1)
    await pods.start(1)
    pool = Pool(pods.ip(0), pods.client_port, timeout_seconds=5)
    assert (await pool.ask("GET", f"/keys/{key}")).status == 503
    await pods.declare(0, pods.document(2, serving=[0], joining=[1]))
    assert (await pool.ask("GET", f"/keys/{key}")).status == 404
    pool.close()


async def test_the_last_member_keeps_its_keys(pods: Pods) -> None:
    await pods.start(0)
    await pods.declare(0, pods.document(1, joining=[0]))
    status, answer = await pods.admin(0, "POST", "/members", pods.document(2, leaving=[0]))
    assert status == 423
    assert "no member" in answer["error"]


async def test_a_document_that_cannot_be_read_names_the_field(pods: Pods) -> None:
    await pods.start(0)
    status, answer = await pods.admin(0, "POST", "/members", {"members": {"generation": 1, "serving": [{"ip": "x"}]}})
    assert status == 400
    assert "members.serving" in answer
