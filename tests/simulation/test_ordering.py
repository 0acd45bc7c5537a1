"""In which order pods go, in simulated time: zone by zone, and the leader last wherever it is by then."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.scenario import Scenario, a_scenario
from tests.simulation.world.objects import ordinal_of

ZONES: dict[str, Any] = {"maxUnavailable": 2, "order": {"by": "Zone"}}
LEADER_LAST: dict[str, Any] = {
    "maxUnavailable": 2, "order": {"by": "Role", "role": {"label": "role", "last": ["leader"]}},
}  # fmt: skip


def departures(scenario: Scenario) -> list[int]:
    """The ordinals in the order in which they were taken out of service."""
    events = [change.item for change in scenario.world.server.log if change.plural == "events"]
    return [
        ordinal_of(event["regarding"]["name"])
        for event in events
        if event["reason"] == "PodIsolated" and event["regarding"]["kind"] == "Pod"
    ]


async def test_a_zone_is_done_before_the_next_begins() -> None:
    scenario = await a_scenario(replicas=6, policy="Parallel", spec={"strategy": ZONES})
    await scenario.roll_out()
    await scenario.until_complete()
    assert departures(scenario) == [3, 0, 4, 1, 5, 2]
    assert scenario.world.lost_keys == set()


async def test_while_another_zone_is_hurt_no_zone_is_disturbed() -> None:
    scenario = await a_scenario(replicas=6, policy="Parallel", spec={"strategy": {**ZONES, "maxUnavailable": 3}})
    scenario.world.nodes.lose("node-c")
    await scenario.world.run(limit_seconds=60)
    await scenario.roll_out()
    await scenario.world.run(limit_seconds=60)
    assert departures(scenario) == []
    assert "only_one_zone_is_disturbed: kvstore-2 in zone zone-c is" in scenario.world.rollout()["status"]["message"]
    scenario.world.nodes.restore("node-c")
    await scenario.until_complete()


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
async def test_the_leader_goes_last(policy: str) -> None:
    scenario = await a_scenario(replicas=4, policy=policy, spec={"strategy": LEADER_LAST})
    scenario.user.lead(2)
    await scenario.roll_out()
    await scenario.until_complete()
    assert departures(scenario) == [3, 1, 0, 2]


async def test_the_leader_goes_last_wherever_it_is_by_then() -> None:
    scenario = await a_scenario(replicas=4, policy="Parallel", spec={"strategy": {**LEADER_LAST, "maxUnavailable": 1}})
    scenario.user.lead(0)
    await scenario.roll_out()
    await scenario.until_stage("Draining", "kvstore-3")
    scenario.user.lead(2)
    await scenario.until_complete()
    assert departures(scenario) == [3, 1, 0, 2]


async def test_a_leader_that_is_broken_waits_for_nobody() -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={"strategy": {**LEADER_LAST, "maxUnavailable": 1}})
    await scenario.roll_out("kvstore:bad", crash=True)
    await scenario.world.run(limit_seconds=60)
    scenario.user.lead(2)
    await scenario.roll_out("kvstore:2")
    await scenario.until_complete()
