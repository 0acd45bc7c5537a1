"""Rollouts that wait for one another, in simulated time."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.api import names
from tests.simulation.scenario import Scenario, a_scenario, gates, is_complete
from tests.simulation.world.builders import add_neighbour
from tests.simulation.world.invariants.base import leaves_for
from tests.simulation.world.objects import is_true
from tests.simulation.world.world import NAMESPACE

DEPENDS: dict[str, Any] = {"dependsOn": [{"name": "etcd"}]}


async def a_dependent() -> Scenario:
    """Our set, and another one that it depends on; both rest."""
    scenario = await a_scenario(replicas=3, policy="Parallel", spec=DEPENDS)
    add_neighbour(scenario.world, "etcd")
    await scenario.world.run(until=lambda: neighbours_image(scenario) == {"etcd:1"}, limit_seconds=60)
    return scenario


def neighbours_image(scenario: Scenario) -> set[str]:
    """The images of the neighbour's pods once all of them serve."""
    pods = [pod for pod in scenario.world.server.list("pods", NAMESPACE) if pod["metadata"]["name"].startswith("etcd")]
    if len(pods) != 2 or not all(is_true(pod, "Ready") for pod in pods):
        return set()
    return {pod["spec"]["containers"][0]["image"] for pod in pods}


async def test_whoever_depends_on_another_goes_after_it() -> None:
    scenario = await a_dependent()
    scenario.user.roll_out_neighbour("etcd", "etcd:2")
    await scenario.roll_out()
    await scenario.world.run(limit_seconds=5)
    message = scenario.world.rollout()["status"]["message"]
    assert "dependencies_are_complete: etcd: revision etcd-" in message
    assert all(gates(scenario.world))
    await scenario.world.run(until=lambda: not all(gates(scenario.world)), limit_seconds=120)
    assert neighbours_image(scenario) == {"etcd:2"}
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def test_one_that_is_not_there_holds_until_it_is() -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel", spec=DEPENDS)
    await scenario.roll_out()
    await scenario.world.run(limit_seconds=30)
    assert "there is no StatefulRollout etcd: create it" in scenario.world.rollout()["status"]["message"]
    add_neighbour(scenario.world, "etcd")
    await scenario.until_complete(120)


async def test_a_circle_is_refused_until_it_is_broken() -> None:
    scenario = await a_dependent()
    scenario.user.patch(names.PLURAL, {"spec": {"dependsOn": [{"name": "kvstore"}]}}, "etcd")
    message = await scenario.until_condition(names.STALLED)
    assert message == "spec.dependsOn: kvstore waits for etcd waits for kvstore: remove one of these dependencies"
    scenario.user.patch(names.PLURAL, {"spec": {"dependsOn": None}}, "etcd")
    await scenario.until_complete(120)


@pytest.mark.parametrize("operators", [1, 2])
async def test_of_a_group_one_at_a_time_has_pods_in_motion(operators: int) -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={"group": "shop"}, operators=operators)
    add_neighbour(scenario.world, "etcd", group="shop")
    await scenario.world.run(until=lambda: neighbours_image(scenario) == {"etcd:1"}, limit_seconds=60)
    await scenario.world.run(limit_seconds=10)
    scenario.user.roll_out_neighbour("etcd", "etcd:2")
    scenario.user.roll_out()
    both: list[list[str]] = []
    said: set[str] = set()

    def is_over() -> bool:
        away = {pod["metadata"]["name"].split("-")[0] for pod in scenario.world.server.list("pods", NAMESPACE)
                if leaves_for(pod) or not is_true(pod, "Ready")}  # fmt: skip
        if len(away) > 1:
            both.append(sorted(away))
        for rollout in scenario.world.server.list(names.PLURAL, NAMESPACE):
            said.add((rollout.get("status") or {}).get("message", ""))
        return neighbours_image(scenario) == {"etcd:2"} and is_complete(scenario.world)

    await scenario.world.run(until=is_over, limit_seconds=600)
    assert both == []
    assert any("group_has_no_other_motion: " in message for message in said)
    assert scenario.images() == ["kvstore:2"] * 3
