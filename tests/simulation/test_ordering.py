"""In which order pods go, in simulated time: zone by zone, and the leader last wherever it is by then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.simulation.scenario import Scenario, a_scenario
from tests.simulation.world.application import Silence
from tests.simulation.world.objects import ordinal_of
from tests.simulation.world.rest import Request

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


def lose_the_departure(scenario: Scenario, pod: str, then: Callable[[], None]) -> None:
    """The next write that takes the pod out of service does not arrive, and something else happens."""
    network = scenario.world.network

    def lose(request: Request) -> None:
        if (request.method, request.plural, request.name) == ("PATCH", "pods", pod):
            network.before.remove(lose)
            then()
            raise aiohttp.ServerDisconnectedError

    network.before.append(lose)


@pytest.mark.parametrize(
    ("strategy", "last"),
    [({**ZONES, "maxUnavailable": 1}, "kvstore-2"), ({**LEADER_LAST, "maxUnavailable": 1}, "kvstore-1")],
)
async def test_nobody_waits_for_a_pod_whose_departure_was_lost_where_a_new_template_puts_others_ahead_of_it(
    strategy: dict[str, Any], last: str
) -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={"strategy": strategy})
    scenario.user.lead(1)
    await scenario.roll_out()
    lose_the_departure(scenario, last, lambda: scenario.user.roll_out("kvstore:3"))
    await scenario.world.run(until=lambda: "kvstore:3" in scenario.images(), limit_seconds=300)
    await scenario.until_complete()
    assert scenario.images() == ["kvstore:3"] * 3


async def test_nobody_waits_for_a_pod_whose_departure_was_lost_and_that_stays_after_all() -> None:
    scenario = await a_scenario(replicas=3)
    await scenario.roll_out()
    lose_the_departure(scenario, "kvstore-1", lambda: scenario.user.roll_out("kvstore:1"))
    await scenario.until_complete()
    assert departures(scenario) == [2, 2]


async def test_a_container_that_restarted_with_the_operator_down_is_restored_although_a_departure_was_lost() -> None:
    restore = {"apply": {"http": {"port": "admin", "path": "/restore"}}}
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={"restore": restore})

    def die() -> None:
        scenario.operator.crash()
        scenario.user.kill_container(0)

    await scenario.roll_out()
    lose_the_departure(scenario, "kvstore-2", die)
    await scenario.until_complete()
    assert departures(scenario) == [0, 2, 1]


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


ASKED: dict[str, Any] = {
    "call": {"http": {"port": "admin", "path": "/role", "method": "GET"}, "timeoutSeconds": 1}, "value": "json.role",
}  # fmt: skip
LEADER_LAST_AS_TOLD: dict[str, Any] = {
    "maxUnavailable": 1, "order": {"by": "Role", "role": {"ask": ASKED, "last": ["leader"]}},
}  # fmt: skip


async def test_a_leader_that_says_so_itself_goes_last_wherever_it_is_by_then() -> None:
    scenario = await a_scenario(replicas=4, policy="Parallel", spec={"strategy": LEADER_LAST_AS_TOLD})
    scenario.world.application.leader = "kvstore-0"
    await scenario.roll_out()
    await scenario.until_stage("Draining", "kvstore-3")
    scenario.world.application.leader = "kvstore-2"
    await scenario.until_complete()
    assert departures(scenario) == [3, 1, 0, 2]


async def test_no_pod_goes_while_its_role_is_not_known_and_it_goes_once_it_is() -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={"strategy": LEADER_LAST_AS_TOLD})
    scenario.world.application.script("role", Silence.HANG, forever=True)
    await scenario.roll_out()
    await scenario.world.run(limit_seconds=60)
    assert departures(scenario) == []
    message = scenario.world.rollout()["status"]["message"]
    assert "earlier_roles_have_arrived: its role is not known: GET /role on port admin of kvstore-" in message
    assert message.endswith("failed: timed out after 1 s")
    scenario.world.application.heal()
    await scenario.until_complete()


async def test_as_many_go_as_the_rest_can_carry_and_more_when_there_is_less_to_do() -> None:
    call = {"http": {"port": "admin", "path": "/load", "method": "GET"}, "target": "AnyPeer"}
    capacity = {"load": {"call": call, "value": "json.total", "perPod": 10, "headroomPercent": 0}}
    spec = {"strategy": {"maxUnavailable": 3}, "capacity": capacity}
    scenario = await a_scenario(replicas=6, policy="Parallel", spec=spec)
    application = scenario.world.application
    application.load = 60
    await scenario.roll_out()
    await scenario.world.run(limit_seconds=60)
    assert departures(scenario) == []
    message = scenario.world.rollout()["status"]["message"]
    assert "remaining_capacity_carries_the_load: the load is 60, and 5 pods carry 50 with 0% headroom" in message
    application.load = 45
    await scenario.world.run(limit_seconds=10, until=lambda: len(departures(scenario)) == 1)
    application.script("drain", 202, forever=True)
    application.load = 35
    await scenario.world.run(limit_seconds=10, until=lambda: len(departures(scenario)) == 2)
    application.load = 30
    await scenario.world.run(limit_seconds=10, until=lambda: len(departures(scenario)) == 3)
    application.heal()
    await scenario.until_complete()


async def test_pods_leave_one_by_one_as_the_application_allows() -> None:
    call = {"http": {"port": "admin", "path": "/free", "method": "GET"}, "target": "AnyPeer"}
    check = {"name": "spare", "at": ["BeforePod"], "call": call, "expect": "status == 200", "allow": "json.free"}
    scenario = await a_scenario(
        replicas=4, policy="Parallel", spec={"strategy": {"maxUnavailable": 3}, "checks": [check]}
    )
    application = scenario.world.application
    application.free = ["kvstore-1"]
    await scenario.roll_out()
    await scenario.world.run(until=lambda: departures(scenario) == [1], limit_seconds=30)
    await scenario.world.run(limit_seconds=20)
    assert departures(scenario) == [1]
    assert "application_checks_pass: check spare allows kvstore-1" in scenario.world.rollout()["status"]["message"]
    application.free = ["kvstore-0", "kvstore-2", "kvstore-3"]
    await scenario.until_complete()
    assert departures(scenario) == [1, 3, 2, 0]


async def test_a_leader_that_is_broken_waits_for_nobody() -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={"strategy": {**LEADER_LAST, "maxUnavailable": 1}})
    await scenario.roll_out("kvstore:bad", crash=True)
    await scenario.world.run(limit_seconds=60)
    scenario.user.lead(2)
    await scenario.roll_out("kvstore:2")
    await scenario.until_complete()
