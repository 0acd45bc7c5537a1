"""Rollouts that rest: at steps, between pods, and outside maintenance windows, in simulated time."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from statefulrollout.api import names
from tests.simulation.scenario import Scenario, a_scenario

POLICIES = pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
STEPS: list[dict[str, Any]] = [{"pods": 1, "pause": {}}, {"pods": 3, "pause": {"seconds": 60}}]


async def a_paced(**strategy: Any) -> Scenario:
    return await a_scenario(policy="Parallel", spec={"strategy": {"maxUnavailable": 2, **strategy}})


async def at_rest(scenario: Scenario, moved: int, seconds: float = 120.0) -> str:
    """So many pods have moved, none more does for a while, and a pod that dies then comes back as it was."""
    await scenario.until_condition(names.RECONCILING, "AtStep")
    await scenario.world.run(limit_seconds=seconds)
    assert scenario.images().count("kvstore:2") == moved
    assert scenario.world.rollout()["status"]["fence"] == "Hold"
    return str(scenario.world.rollout()["status"]["message"])


@POLICIES
async def test_a_canary_waits_to_be_promoted_and_the_next_step_for_its_time(policy: str) -> None:
    scenario = await a_scenario(policy=policy, spec={"strategy": {"maxUnavailable": 2, "steps": STEPS}})
    await scenario.roll_out()
    message = await at_rest(scenario, 1)
    assert "1 of 5 pods updated; step 1 of 2 is reached (1 pods); to go on, set spec.promote" in message
    assert scenario.world.rollout()["status"]["step"] == "0/2"
    scenario.user.say(promote={"revision": scenario.wanted, "step": 1})
    await scenario.world.run(until=lambda: scenario.world.rollout()["status"]["step"] == "1/2", limit_seconds=5)
    await at_rest(scenario, 3, seconds=55)
    await scenario.until_complete()
    assert scenario.images() == ["kvstore:2"] * 5
    assert scenario.world.rollout()["status"]["step"] == "-"
    assert scenario.world.lost_keys == set()


async def test_the_last_step_may_keep_the_revision_from_being_accepted() -> None:
    scenario = await a_paced(steps=[{"pods": "100%", "pause": {}}])
    accepted = scenario.world.stateful_set()["status"]["currentRevision"]
    await scenario.roll_out()
    await scenario.until_condition(names.RECONCILING, "AtStep")
    await scenario.world.run(limit_seconds=120)
    assert scenario.world.stateful_set()["status"]["currentRevision"] == accepted
    scenario.user.say(promote={"revision": scenario.wanted, "step": 1})
    await scenario.until_complete()


async def test_a_canary_that_dies_comes_back_as_it_was_and_another_takes_its_place() -> None:
    scenario = await a_paced(steps=STEPS)
    await scenario.roll_out()
    await at_rest(scenario, 1)
    scenario.user.delete_pod(4)
    await scenario.world.run(limit_seconds=5)
    assert scenario.images().count("kvstore:2") == 0
    await at_rest(scenario, 1)
    scenario.user.say(promote={"revision": scenario.wanted, "step": 2})
    await scenario.until_complete()
    assert scenario.images() == ["kvstore:2"] * 5


async def test_steps_outlive_the_operator_and_begin_anew_with_another_template() -> None:
    scenario = await a_paced(steps=STEPS)
    await scenario.roll_out()
    await at_rest(scenario, 1)
    scenario.user.say(promote={"revision": scenario.wanted, "step": 1})
    await scenario.world.run(until=lambda: scenario.world.rollout()["status"]["step"] == "1/2", limit_seconds=5)
    scenario.operator.kill()
    scenario.user.say(promote=None)
    scenario.operator.start()
    await at_rest(scenario, 3, seconds=30)
    await scenario.roll_out("kvstore:3")
    await scenario.world.run(limit_seconds=300)
    assert scenario.images().count("kvstore:3") == 1
    assert scenario.world.rollout()["status"]["step"] == "0/2"
    scenario.user.say(promote={"revision": scenario.wanted, "step": 2})
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def test_a_fix_begins_at_the_first_step_too() -> None:
    scenario = await a_paced(steps=[{"pods": 1, "pause": {}}])
    await scenario.roll_out("kvstore:bad", crash=True)
    await scenario.until_condition(names.STALLED)
    await scenario.roll_out("kvstore:2")
    await at_rest(scenario, 1)
    scenario.user.say(promote={"revision": scenario.wanted, "step": 1})
    await scenario.until_complete()


async def test_pods_go_at_the_pace_that_the_user_wants() -> None:
    scenario = await a_paced(minSecondsBetweenPods=60)
    taken: list[float] = []
    events = scenario.world.server.subscribers

    def note(change: Any) -> None:
        is_pods = change.plural == "events" and change.item["regarding"]["kind"] == "Pod"
        if is_pods and change.item["reason"] == "PodIsolated":
            taken.append(change.at)

    events.append(note)
    await scenario.roll_out()
    await scenario.until_complete()
    assert len(taken) == 5
    assert min(later - earlier for earlier, later in itertools.pairwise(taken)) >= 59


async def test_pods_leave_only_while_a_window_is_open() -> None:
    window = {"schedule": "*/30 * * * *", "durationSeconds": 60}
    scenario = await a_paced(windows=[window], maxUnavailable=1, soakSeconds=20)
    world = scenario.world
    await world.run(until=lambda: 60 < world.clock() % 1800 < 120, limit_seconds=3600)
    await scenario.roll_out()
    await world.run(limit_seconds=60)
    status = world.rollout()["status"]
    assert "inside_a_maintenance_window: no window is open before" in status["message"]
    assert (status["phase"], status["fence"]) == ("Waiting", "Hold")
    await world.run(until=lambda: "kvstore:2" in scenario.images(), limit_seconds=1800)
    await scenario.until_complete(limit_seconds=7200)
    assert world.lost_keys == set()
