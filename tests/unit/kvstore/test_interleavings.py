"""Members change over and over while every exchange between them is delayed at random, lost, or answered unheard."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from e2e.kvstore.peers import Peers, UnreachableError
from e2e.kvstore.placement import Peer
from tests.unit.kvstore.pods import Pods
from tests.unit.kvstore.traffic import traffic

LOST = 0.05
UNHEARD = 0.05


class UnreliablePeers(Peers):
    """Delays each question and each answer by up to 15 ms, and drops one in twenty of either."""

    def __init__(self, port: int, chance: random.Random) -> None:
        super().__init__(port)
        self._chance = chance

    async def ask(self, peer: Peer, verb: str, question: dict[str, Any], seconds: float = 2.0) -> dict[str, Any]:
        await asyncio.sleep(self._chance.random() * 0.015)
        if self._chance.random() < LOST:
            raise UnreachableError("the question was lost")
        answer = await super().ask(peer, verb, question, seconds)
        await asyncio.sleep(self._chance.random() * 0.015)
        if self._chance.random() < UNHEARD:
            raise UnreachableError("the answer was lost")
        return answer


@pytest.mark.parametrize("seed", range(2))
async def test_no_key_is_lost_or_stale_and_no_request_fails(seed: int) -> None:
    chance = random.Random(seed)
    async with Pods(lambda port: UnreliablePeers(port, chance)) as pods:
        await pods.start(0, 1, 2, 3)
        await pods.declare(0, pods.document(1, joining=[0, 1, 2, 3]))
        async with traffic(pods, to=[0, 1, 2, 3], keys=200) as seen:
            for generation in range(2, 7):
                leaving = chance.sample(range(4), chance.choice((0, 1, 2)))
                serving = [n for n in range(4) if n not in leaving]
                document = pods.document(generation, serving=serving, leaving=leaving)
                to = chance.randrange(4)
                if chance.random() < 0.5:
                    await pods.declare(to, document)
                else:
                    # Superseded by the next one while it is under way.
                    asking = asyncio.create_task(pods.admin(to, "POST", "/members", document))
                    await asyncio.wait([asking], timeout=chance.random() * 0.15)
                    asking.cancel()
            await pods.declare(0, pods.document(7, serving=[0, 1, 2, 3]))
        seen.assert_nobody_noticed()
