"""Whole rollouts in simulated time: the real operator against a faithful cluster and an application with keys."""

from __future__ import annotations

import pytest

from tests.simulation.world.builders import User, a_world
from tests.simulation.world.driver import Operator
from tests.simulation.world.world import World


def is_complete(world: World) -> bool:
    status = world.rollout().get("status") or {}
    target = world.stateful_set()
    done = status.get("phase") == "Healthy" and status.get("updated") == target["spec"]["replicas"]
    return done and target["status"]["currentRevision"] == target["status"]["updateRevision"]


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
async def test_a_rollout_completes_and_loses_nothing(policy: str) -> None:
    world = await a_world(policy=policy)
    Operator(world)
    await world.run(until=lambda: is_complete(world), limit_seconds=60)
    before = world.stateful_set()["status"]["updateRevision"]
    User(world).roll_out("kvstore:2")
    await world.run(
        until=lambda: is_complete(world) and world.stateful_set()["status"]["updateRevision"] != before,
        limit_seconds=300,
    )
    print(world.history.tail(400))
    assert world.lost_keys == set()
