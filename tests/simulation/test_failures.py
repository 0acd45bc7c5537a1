"""What breaks in the midst of a rollout, in simulated time: revisions, containers, pods."""

from __future__ import annotations

import pytest

from statefulrollout.api import names
from tests.simulation.scenario import a_scenario, gates
from tests.simulation.world.builders import LOCAL_VOLUMES
from tests.simulation.world.objects import is_true
from tests.simulation.world.sandbox import Behaviour
from tests.simulation.world.world import NAMESPACE

POLICIES = pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])


@POLICIES
@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("fault", ["crash", "bad_image", "never_ready"])
async def test_a_bad_revision_stops_and_its_fix_gets_through(policy: str, limit: int, fault: str) -> None:
    strategy = {"maxUnavailable": limit, "progressDeadlineSeconds": 60}
    scenario = await a_scenario(policy=policy, spec={"strategy": strategy})
    await scenario.roll_out("kvstore:bad", **{fault: True})
    message = await scenario.until_condition(names.STALLED)
    assert "no further pod goes" in message
    await scenario.world.run(limit_seconds=120)
    assert scenario.images().count("kvstore:bad") <= (1 if policy == "OrderedReady" else limit)
    await scenario.roll_out("kvstore:fixed")
    await scenario.until_complete()
    assert scenario.images() == ["kvstore:fixed"] * 5
    assert scenario.world.lost_keys == set()


async def test_a_container_that_restarts_while_drained_is_drained_again() -> None:
    scenario = await a_scenario(replicas=3)
    scenario.world.application.script("members", 202, forever=True)
    await scenario.roll_out()
    await scenario.until_stage("Migrating", "kvstore-2")
    scenario.user.kill_container(2)
    await scenario.until_stage("Draining", "kvstore-2")
    scenario.world.application.heal()
    await scenario.until_complete()
    drains = [
        request for request in scenario.world.application.requests if request[1:3] == ("kvstore-2", "POST /drain")
    ]
    assert len(drains) > 2


@POLICIES
async def test_a_container_that_restarts_while_serving_is_restored_before_it_serves(policy: str) -> None:
    scenario = await a_scenario(
        policy=policy, spec={"restore": {"apply": {"http": {"port": "admin", "path": "/restore"}}}}
    )
    scenario.world.application.restore_seconds = 3.0
    scenario.user.kill_container(2)
    await scenario.world.run(limit_seconds=2)
    await scenario.until_complete()
    assert any(request[1:3] == ("kvstore-2", "POST /restore") for request in scenario.world.application.requests)


@POLICIES
@pytest.mark.parametrize("fence", ["Hold", "Forward"])
async def test_a_pod_that_somebody_deletes_comes_back_as_the_fence_says(policy: str, fence: str) -> None:
    scenario = await a_scenario(policy=policy)
    await scenario.roll_out()
    await scenario.until_stage("Draining", "kvstore-3")
    if fence == "Hold":
        scenario.user.pause()
        await scenario.world.run(until=lambda: scenario.world.rollout()["status"]["fence"] == "Hold", limit_seconds=60)
    scenario.user.delete_pod(0)
    await scenario.world.run(limit_seconds=5)
    await scenario.world.run(until=lambda: all(gates(scenario.world)) or fence == "Forward", limit_seconds=60)
    if fence == "Hold":
        assert scenario.images()[0] == "kvstore:1"
        scenario.user.pause(False)
    await scenario.until_complete()


async def test_the_last_pod_failing_its_soak_does_not_advance_the_accepted_revision() -> None:
    scenario = await a_scenario(replicas=3, spec={"strategy": {"soakSeconds": 30}})
    accepted = scenario.world.stateful_set()["status"]["currentRevision"]
    await scenario.roll_out()
    await scenario.until_stage("Soaking", "kvstore-0")
    scenario.user.kill_container(0)
    await scenario.world.run(limit_seconds=25)
    assert scenario.world.stateful_set()["status"]["currentRevision"] == accepted
    await scenario.until_complete()


async def test_with_nobody_left_to_take_over_no_pod_is_released() -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={"strategy": {"maxUnavailable": 2}})
    held = [scenario.world.application.keys_of(scenario.world.pod(ordinal)["metadata"]["uid"]) for ordinal in range(3)]
    await scenario.roll_out()
    await scenario.until_stage("Draining", "kvstore-1")
    scenario.user.delete_pod(0)
    await scenario.until_complete()
    assert len(scenario.world.lost_keys) <= held[0]


async def test_a_pod_that_dies_by_itself_is_counted_at_once() -> None:
    scenario = await a_scenario(policy="Parallel", spec={"paused": True})
    await scenario.roll_out()
    await scenario.world.run(limit_seconds=10)
    scenario.user.kill_container(0)
    await scenario.world.run(limit_seconds=1)
    scenario.user.pause(False)
    await scenario.until_complete()


async def test_a_failed_revision_takes_no_further_pod_when_there_is_room_again() -> None:
    scenario = await a_scenario(policy="Parallel", spec={"strategy": {"maxUnavailable": 2}})
    slow = scenario.world.kubelet.of(scenario.world.pod(0))
    assert slow is not None
    slow.behaviour = Behaviour(start_seconds=60)
    scenario.user.kill_container(0)
    await scenario.world.run(limit_seconds=1)
    await scenario.roll_out("kvstore:bad", crash=True)
    await scenario.until_condition(names.STALLED)
    scenario.world.history.lines.clear()
    await scenario.world.run(until=lambda: is_true(scenario.world.pod(0), "Ready"), limit_seconds=120)
    await scenario.world.run(limit_seconds=60)
    assert scenario.images().count("kvstore:bad") == 1
    assert "PodIsolated" not in scenario.world.history.transcript()


async def test_a_fix_gets_through_although_another_pod_is_away() -> None:
    scenario = await a_scenario(policy="Parallel")
    await scenario.roll_out("kvstore:bad", crash=True)
    await scenario.until_condition(names.STALLED)
    slow = scenario.world.kubelet.of(scenario.world.pod(0))
    assert slow is not None
    slow.behaviour = Behaviour(start_seconds=300)
    scenario.user.kill_container(0)
    await scenario.world.run(limit_seconds=1)
    await scenario.roll_out("kvstore:fixed")
    await scenario.world.run(until=lambda: "kvstore:fixed" in scenario.images(), limit_seconds=60)
    assert not is_true(scenario.world.pod(0), "Ready")
    await scenario.until_complete()


async def test_a_pod_that_drains_for_ever_does_not_keep_another_from_coming_back() -> None:
    scenario = await a_scenario(policy="OrderedReady")
    await scenario.roll_out()
    await scenario.world.run(until=lambda: "kvstore:2" in scenario.images(), limit_seconds=120)
    scenario.world.application.script("drain", 202, pod="kvstore-3", forever=True)
    await scenario.until_stage("Draining", "kvstore-3")
    lost = scenario.world.pod(4)["metadata"]["uid"]
    scenario.user.delete_pod(4)

    def is_back() -> bool:
        found = scenario.world.server.find("pods", NAMESPACE, "kvstore-4")
        return found is not None and found["metadata"]["uid"] != lost and is_true(found, "Ready")

    await scenario.world.run(until=is_back, limit_seconds=60)
    scenario.world.application.heal()
    await scenario.until_complete()


async def test_a_broken_pod_that_is_replaced_is_never_made_a_member() -> None:
    scenario = await a_scenario(replicas=4, policy="Parallel", spec={"strategy": {"maxUnavailable": 2}})
    await scenario.roll_out("kvstore:bad", crash=True)
    await scenario.until_condition(names.STALLED)
    scenario.world.application.declared.clear()
    await scenario.roll_out("kvstore:fixed")
    await scenario.until_stage("Released")
    assert not any(
        {"kvstore-2", "kvstore-3"} & set(declared.members) for declared in scenario.world.application.declared
    )
    await scenario.until_complete()


async def test_no_pod_goes_whose_volume_is_on_a_cordoned_node_and_the_others_do() -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel", stateful_set=LOCAL_VOLUMES)
    scenario.user.cordon("node-b")
    await scenario.roll_out()
    words = (
        "2 of 3 pods updated; kvstore-1 is Serving and waits for node_can_take_the_replacement: "
        "node node-b is cordoned, and claim data-kvstore-1 can be mounted on no other"
    )
    world = scenario.world
    await world.run(until=lambda: world.rollout()["status"]["message"] == words, limit_seconds=120)
    assert scenario.images() == ["kvstore:2", "kvstore:1", "kvstore:2"]
    scenario.user.cordon("node-b", False)
    await scenario.until_complete()
    assert scenario.images() == ["kvstore:2"] * 3
