"""The two moments of a change at which an answer would be wrong, held open as long as it takes to look."""

from __future__ import annotations

import asyncio
from typing import Any

from e2e.kvstore.peers import Peers
from e2e.kvstore.placement import Peer
from e2e.load.connections import Answer, Pool
from tests.unit.kvstore.pods import Pods, until


class GatedPeers(Peers):
    """Holds questions of some verbs back until told to let them go, and answers of others."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.held_questions: set[str] = set()
        self.held_answers: set[str] = set()
        self.arrived = asyncio.Event()
        self.opened = asyncio.Event()

    async def ask(self, peer: Peer, verb: str, question: dict[str, Any], seconds: float = 2.0) -> dict[str, Any]:
        if verb in self.held_questions:
            self.arrived.set()
            await self.opened.wait()
        answer = await super().ask(peer, verb, question, seconds)
        if verb in self.held_answers:
            self.arrived.set()
            await self.opened.wait()
        return answer


async def put(pods: Pods, to: int, version: int) -> Answer:
    pool = Pool(pods.ip(to), pods.client_port)
    try:
        return await pool.ask("PUT", "/keys/k", {"X-Version": str(version)}, f"value {version}".encode())
    finally:
        pool.close()


async def get(pods: Pods, at: int) -> tuple[int, str]:
    pool = Pool(pods.ip(at), pods.client_port)
    try:
        answer = await pool.ask("GET", "/keys/k")
    finally:
        pool.close()
    return answer.status, answer.body.decode()


async def test_a_new_owner_answers_nothing_while_the_old_one_may_still_answer(pods: Pods) -> None:
    gated = GatedPeers(pods.admin_port)
    await pods.start(0)
    await pods.start(1, connect=lambda port: gated)
    await pods.declare(0, pods.document(1, joining=[0]))
    await put(pods, 0, version=1)

    gated.held_questions = {"declare", "progress"}
    declaring = asyncio.create_task(pods.declare(1, pods.document(2, serving=[1], leaving=[0])))
    await gated.arrived.wait()
    writing = asyncio.create_task(put(pods, 1, version=2))
    assert await get(pods, 0) == (200, "value 1")
    await asyncio.wait([writing], timeout=0.2)
    assert not writing.done(), "pod 1 took a write that a read at pod 0 would not have found"

    gated.opened.set()
    await declaring
    assert (await writing).status == 200
    assert await get(pods, 0) == (200, "value 2")


async def test_an_owner_that_loses_a_key_while_it_looks_elsewhere_does_not_say_that_there_is_none(pods: Pods) -> None:
    gated = GatedPeers(pods.admin_port)
    await pods.start(0)
    (owner,) = await pods.start(1, connect=lambda port: gated)
    (next_owner,) = await pods.start(2)
    await pods.declare(0, pods.document(1, joining=[0]))
    await put(pods, 0, version=1)

    # Pod 1 has the key already, and does not know yet that pod 0 has nothing more for it.
    gated.held_questions = {"progress"}
    declaring = asyncio.create_task(pods.admin(0, "POST", "/members", pods.document(2, serving=[1], leaving=[0])))
    await until(lambda: len(owner.store) > 0)
    gated.arrived.clear()
    gated.held_answers = {"peek"}
    reading = asyncio.create_task(get(pods, 1))
    await gated.arrived.wait()

    superseding = asyncio.create_task(pods.admin(2, "POST", "/members", pods.document(3, serving=[2], leaving=[0, 1])))
    await until(lambda: len(next_owner.store) > 0 and len(owner.store) == 0)
    gated.opened.set()
    assert await reading == (200, "value 1")
    await asyncio.gather(declaring, superseding)
