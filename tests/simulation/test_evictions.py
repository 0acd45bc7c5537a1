"""Pods that somebody wants off their node, in simulated time: drained like any other, taken by whoever asked."""

from __future__ import annotations

import contextlib

import pytest

from statefulrollout.api import names
from statefulrollout.core.evicting import PATIENCE_SECONDS
from statefulrollout.errors import ApiError
from tests.simulation.drains import ask_for_eviction_of, begin_drain
from tests.simulation.scenario import Scenario, a_scenario, gates
from tests.simulation.world.apiserver import USER
from tests.simulation.world.builders import a_budget
from tests.simulation.world.objects import is_terminating, is_true
from tests.simulation.world.world import NAMESPACE


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
async def test_a_drained_node_gives_its_pods_up_one_by_one_and_nothing_is_lost(policy: str) -> None:
    scenario = await a_scenario(replicas=5, policy=policy)
    drain = begin_drain(scenario, "node-a")
    assert len(drain.wanted) == 2

    def two_are_away() -> bool:
        return sum(is_true(pod, "Ready") for pod in scenario.world.pods()) < 4

    await scenario.world.run(until=lambda: drain.is_over or two_are_away(), limit_seconds=300)
    assert not two_are_away()
    gone = [change.before for change in scenario.world.server.log if change.plural == "pods" and change.after is None]
    assert all(pod is not None and is_true(pod, names.RELEASED) for pod in gone)
    await scenario.until_complete()
    assert {pod["spec"]["nodeName"] for pod in scenario.world.pods()} == {"node-b", "node-c"}
    assert scenario.world.lost_keys == set()


async def test_who_asks_is_told_to_ask_again_until_the_pod_is_released() -> None:
    scenario = await a_scenario(replicas=3)
    world, pod = scenario.world, scenario.world.pod(1)
    with pytest.raises(ApiError, match="drained before it may be evicted") as refused:
        ask_for_eviction_of(world, pod)
    assert (refused.value.status, refused.value.retry_after) == (429, None)
    world.application.script("drain", 202, forever=True)
    await scenario.until_stage("Draining", "kvstore-1")
    with contextlib.suppress(ApiError):
        ask_for_eviction_of(world, pod)
    assert not is_terminating(world.pod(1))
    world.application.heal()
    await scenario.until_stage("Released", "kvstore-1")
    assert "kvstore-1 is Released and waits for evictor" in world.rollout()["status"]["message"]
    assert world.rollout()["status"]["phase"] == "Evicting"
    await world.run(limit_seconds=10)
    assert world.pod(1)["metadata"]["uid"] == pod["metadata"]["uid"], "whoever asked takes it, nobody else"
    ask_for_eviction_of(world, world.pod(1))
    await scenario.until_complete()
    assert world.pod(1)["metadata"]["uid"] != pod["metadata"]["uid"]
    assert world.lost_keys == set()


@pytest.mark.parametrize("stage", ["Draining", "Released"])
async def test_who_stops_asking_leaves_nothing_half_done(stage: str) -> None:
    undo = {"http": {"port": "admin", "path": "/drain", "method": "DELETE"}}
    scenario = await a_scenario(replicas=3, spec={"drain": {"undo": undo}})
    world, uid = scenario.world, scenario.world.pod(1)["metadata"]["uid"]
    if stage == "Draining":
        world.application.script("drain", 202, forever=True)
    with pytest.raises(ApiError):
        ask_for_eviction_of(world, world.pod(1))
    await scenario.until_stage(stage, "kvstore-1")
    world.application.heal()
    await world.run(until=lambda: all(gates(world)), limit_seconds=PATIENCE_SECONDS + 30)
    await scenario.until_complete()
    scenario.assert_settled()
    assert world.pod(1)["metadata"]["uid"] == uid
    assert not is_true(world.pod(1), names.RELEASED)
    assert world.lost_keys == set()


async def test_a_disruption_budget_is_asked_before_the_pod_is_taken_out_of_service() -> None:
    scenario = await a_scenario(replicas=3, budget=a_budget(maxUnavailable=0))
    world, drain = scenario.world, begin_drain(scenario, "node-b")
    await world.run(limit_seconds=60)
    assert all(gates(world))
    message = world.rollout()["status"]["message"]
    assert "disruption_budgets_allow_it: PodDisruptionBudget kvstore allows 0 disruptions" in message
    scenario.user.patch("poddisruptionbudgets", {"spec": {"maxUnavailable": 1}})
    await world.run(until=lambda: drain.is_over, limit_seconds=120)
    await scenario.until_complete()
    assert world.lost_keys == set()


async def test_one_budget_for_a_drain_and_a_rollout() -> None:
    scenario = await a_scenario(replicas=5, policy="Parallel")
    await scenario.roll_out()
    await scenario.until_stage("Draining", "kvstore-4")
    drain = begin_drain(scenario, "node-a")
    await scenario.world.run(until=lambda: drain.is_over, limit_seconds=600)
    await scenario.until_complete()
    assert scenario.images() == ["kvstore:2"] * 5
    assert scenario.world.lost_keys == set()


async def test_a_paused_rollout_does_not_hold_a_drain() -> None:
    scenario = await a_scenario(replicas=4, policy="Parallel")
    await scenario.roll_out()
    await scenario.until_stage("Draining", "kvstore-3")
    scenario.user.pause()
    drain = begin_drain(scenario, "node-b")
    await scenario.world.run(until=lambda: drain.is_over, limit_seconds=600)
    scenario.user.pause(False)
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def test_a_singleton_is_evicted_only_by_consent() -> None:
    scenario = await a_scenario(replicas=1, keys=0)
    world = scenario.world
    drain = begin_drain(scenario, "node-a")
    await world.run(limit_seconds=120)
    assert all(gates(world))
    assert "outage_was_allowed: maxUnavailable is 1 of 1 replicas" in world.rollout()["status"]["message"]
    scenario.user.say(strategy={"soakSeconds": 2, "allowFullOutage": True})
    await world.run(until=lambda: drain.is_over, limit_seconds=120)
    await scenario.until_complete()


async def test_a_broken_pod_is_evicted_although_no_pod_can_be_spared() -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel")
    await scenario.roll_out("kvstore:bad", crash=True)
    await scenario.until_condition(names.STALLED)
    broken = [pod for pod in scenario.world.pods() if not is_true(pod, "Ready")]
    drain = begin_drain(scenario, broken[0]["spec"]["nodeName"])
    await scenario.world.run(until=lambda: broken[0]["metadata"]["uid"] not in _uids(scenario), limit_seconds=120)
    drain.given_up = True
    await scenario.roll_out("kvstore:fixed")
    await scenario.until_complete()


async def test_without_an_operator_one_pod_at_a_time_may_be_evicted() -> None:
    scenario = await a_scenario(replicas=3)
    world = scenario.world
    scenario.operator.kill()
    ask_for_eviction_of(world, world.pod(2))
    with pytest.raises(ApiError, match="would violate the pod's disruption budget"):
        ask_for_eviction_of(world, world.pod(1))
    scenario.operator.start()
    await scenario.until_complete()


async def test_without_an_operator_no_pod_is_evicted_beside_one_in_motion() -> None:
    scenario = await a_scenario(replicas=5, policy="Parallel")
    world = scenario.world
    await scenario.roll_out()
    await world.run(until=lambda: is_true(world.pod(4), names.DRAINED), limit_seconds=60)
    scenario.operator.kill()
    await world.run(limit_seconds=5)
    for pod in world.pods():
        with contextlib.suppress(ApiError):
            ask_for_eviction_of(world, pod)
    assert not any(is_terminating(pod) for pod in world.pods())
    scenario.operator.start()
    await scenario.until_complete()
    assert world.lost_keys == set()


async def test_without_an_operator_the_only_pod_is_not_evicted() -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel")
    scenario.user.scale(1)
    await scenario.until_complete()
    scenario.operator.kill()
    with pytest.raises(ApiError, match="would violate the pod's disruption budget"):
        ask_for_eviction_of(scenario.world, scenario.world.pod(0))


async def test_a_broken_pod_may_be_evicted_without_an_operator() -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel")
    await scenario.roll_out("kvstore:bad", crash=True)
    await scenario.until_condition(names.STALLED)
    (broken,) = (pod for pod in scenario.world.pods() if not is_true(pod, "Ready"))
    scenario.operator.kill()
    ask_for_eviction_of(scenario.world, broken)


async def test_a_budget_that_the_user_makes_later_takes_the_place_of_ours() -> None:
    scenario = await a_scenario(replicas=3)
    world = scenario.world
    assert "kvstore-statefulrollout-at-rest" in _budgets(scenario)
    world.server.create("poddisruptionbudgets", NAMESPACE, a_budget(maxUnavailable=1), USER)
    drain = begin_drain(scenario, "node-b")
    await world.run(until=lambda: drain.is_over, limit_seconds=120)
    assert _budgets(scenario) == ["kvstore", "kvstore-statefulrollout-in-motion"]
    await scenario.until_complete()
    assert world.lost_keys == set()


async def test_a_drain_goes_on_when_the_operator_is_killed_in_the_midst_of_it() -> None:
    scenario = await a_scenario(replicas=5, operators=2, policy="Parallel")
    drain = begin_drain(scenario, "node-a")
    await scenario.until_stage("Draining")
    scenario.operator.crash()
    await scenario.world.run(until=lambda: drain.is_over, limit_seconds=300)
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def test_a_pod_that_came_without_a_gate_is_taken_once_it_is_released() -> None:
    scenario = await a_scenario(replicas=3)
    world = scenario.world
    world.webhook.up = False
    scenario.user.delete_pod(1)
    await world.run(limit_seconds=20)
    world.webhook.up = True
    bare = world.pod(1)
    assert not bare["spec"].get("readinessGates")
    drain = begin_drain(scenario, bare["spec"]["nodeName"])
    await world.run(until=lambda: drain.is_over, limit_seconds=120)
    await scenario.until_complete()
    assert world.lost_keys == set()


@pytest.mark.parametrize("deleted", [False, True])
async def test_with_the_operator_down_nobody_evicts_a_pod_in_the_midst_of_its_migration(deleted: bool) -> None:
    scenario = await a_scenario(replicas=5, policy="Parallel")
    world = scenario.world
    world.application.script("members", 202, forever=True)
    await scenario.roll_out()
    await scenario.until_stage("Migrating", "kvstore-4")
    scenario.operator.kill()
    if deleted:
        scenario.user.delete_rollout()
        await world.run(limit_seconds=5)
    moving = world.pod(4)
    with contextlib.suppress(ApiError):
        ask_for_eviction_of(world, moving)
    assert not is_terminating(world.pod(4))
    world.application.heal()
    scenario.operator.start()
    if deleted:
        await scenario.until_free(limit_seconds=60)
        await world.run(limit_seconds=5)
        assert _budgets(scenario) == []
    else:
        await scenario.until_complete()
    assert world.lost_keys == set()
    assert not any(names.IN_MOTION_LABEL in pod["metadata"]["labels"] for pod in world.pods())


async def test_a_pod_that_the_user_has_a_budget_for_is_not_under_two() -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel", budget=a_budget(maxUnavailable=1))
    await scenario.roll_out()
    await scenario.until_complete()
    assert _budgets(scenario) == ["kvstore"]


def _budgets(scenario: Scenario) -> list[str]:
    return [item["metadata"]["name"] for item in scenario.world.server.list("poddisruptionbudgets")]


def _uids(scenario: Scenario) -> set[str]:
    return {pod["metadata"]["uid"] for pod in scenario.world.pods()}
