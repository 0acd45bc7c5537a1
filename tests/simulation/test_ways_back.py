"""Revisions that are given up, in simulated time: their pods go back to the accepted one, and nothing is lost by it."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.api import names
from tests.simulation.scenario import a_scenario, gates
from tests.simulation.stories.enemies import delay_controller
from tests.simulation.world.objects import is_true

POLICIES = pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
RED = {
    "name": "green",
    "call": {"http": {"port": "admin", "path": "/health", "method": "GET"}, "target": "Peers"},
    "expect": "status == 200 && json.state == 'green'",
    "failWhen": "json.state == 'red'",
}
RESTORE = {"apply": {"http": {"port": "admin", "path": "/restore"}}, "deadlineSeconds": 20}


@POLICIES
@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("fault", ["crash", "bad_image", "never_ready"])
async def test_a_revision_that_does_not_start_goes_back_and_its_fix_gets_through(
    policy: str, limit: int, fault: str
) -> None:
    strategy = {"maxUnavailable": limit, "progressDeadlineSeconds": 60, "onFailure": "Rollback"}
    scenario = await a_scenario(policy=policy, spec={"strategy": strategy})
    await scenario.roll_out("kvstore:bad", **{fault: True})
    message = await scenario.until_back()
    assert "failed (PodNotStarting)" in message
    assert "5 of 5 pods are at revision" in message
    await scenario.world.run(limit_seconds=300)
    assert set(scenario.images()) == {"kvstore:1"}, "it is not tried again by itself"
    await scenario.roll_out("kvstore:fixed")
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


@POLICIES
async def test_a_revision_that_a_check_fails_when_its_last_pod_soaks_goes_back(policy: str) -> None:
    spec = {"strategy": {"onFailure": "Rollback", "soakSeconds": 10}, "checks": [RED]}
    scenario = await a_scenario(replicas=3, policy=policy, spec=spec)
    await scenario.roll_out()
    await scenario.until_stage("Soaking", "kvstore-0")
    assert set(scenario.images()) == {"kvstore:2"}
    scenario.world.application.health = "red"
    message = await scenario.until_back()
    assert "failed (CheckFailed): check green failed" in message
    assert scenario.world.lost_keys == set()


@POLICIES
@pytest.mark.parametrize("lag", [0.3, 2.0])
async def test_a_check_that_fails_while_the_kubelet_is_about_to_call_the_last_pod_ready(
    policy: str, lag: float
) -> None:
    spec = {"strategy": {"onFailure": "Rollback", "soakSeconds": 10}, "checks": [RED]}
    scenario = await a_scenario(replicas=3, policy=policy, spec=spec)
    scenario.world.kubelet.lag = lag
    await scenario.roll_out()
    await scenario.until_stage("Restoring", "kvstore-0")
    await scenario.world.run(until=lambda: is_true(scenario.world.pod(0), names.SERVING), limit_seconds=60)
    scenario.world.application.health = "red"
    await scenario.until_back()
    assert scenario.world.lost_keys == set()


@POLICIES
async def test_a_revision_whose_pods_never_restore_goes_back(policy: str) -> None:
    spec = {"strategy": {"onFailure": "Rollback"}, "restore": RESTORE}
    scenario = await a_scenario(replicas=3, policy=policy, spec=spec)
    scenario.world.application.script("restore", *[202] * 60)
    await scenario.roll_out()
    await scenario.until_condition(names.DEGRADED, "RollingBack")
    scenario.world.application.heal()
    assert "failed (RestoreFailed)" in await scenario.until_back()
    assert scenario.world.lost_keys == set()


@POLICIES
@pytest.mark.parametrize(
    ("stage", "pod"),
    [("Draining", "kvstore-2"), ("Soaking", "kvstore-1"), ("Restoring", "kvstore-0"), ("Soaking", "kvstore-0")],
)
@pytest.mark.parametrize("delay", [0.0, 20.0])
async def test_the_user_gives_a_revision_up_and_goes_on_with_it(
    policy: str, stage: str, pod: str, delay: float
) -> None:
    scenario = await a_scenario(replicas=3, policy=policy, spec={"strategy": {"soakSeconds": 10}})
    await scenario.roll_out()
    await scenario.until_stage(stage, pod)
    delay_controller(scenario, delay)
    given_up_at = scenario.world.clock()
    scenario.user.say(abort={"revision": scenario.wanted})
    assert "was given up (spec.abort)" in await scenario.until_back()
    created = [change.item for change in scenario.world.server.log if change.plural == "pods" and change.type == "ADDED"
               and change.at > given_up_at]  # fmt: skip
    assert {pod["spec"]["containers"][0]["image"] for pod in created} <= {"kvstore:1"}, "nobody left in vain"
    assert scenario.world.lost_keys == set()
    scenario.user.say(abort=None)
    await scenario.until_complete()
    assert set(scenario.images()) == {"kvstore:2"}
    assert scenario.world.lost_keys == set()


async def test_a_revision_that_went_back_is_tried_again_when_the_user_says_so() -> None:
    scenario = await a_scenario(replicas=3, spec={"strategy": {"onFailure": "Rollback"}, "checks": [RED]})
    await scenario.roll_out()
    await scenario.until_stage("Soaking", "kvstore-2")
    scenario.world.application.health = "red"
    message = await scenario.until_back()
    scenario.world.application.heal()
    assert f"set spec.retry to {{revision: {scenario.wanted}, nonce: 1}} to try it again" in message
    scenario.user.say(retry={"revision": scenario.wanted, "nonce": 1})
    await scenario.until_complete()
    assert set(scenario.images()) == {"kvstore:2"}
    assert scenario.world.lost_keys == set()


async def test_a_revision_that_left_and_comes_back_is_tried_again() -> None:
    scenario = await a_scenario(replicas=3, spec={"strategy": {"onFailure": "Rollback"}, "checks": [RED]})
    await scenario.roll_out("kvstore:2")
    await scenario.until_stage("Soaking", "kvstore-2")
    scenario.world.application.health = "red"
    await scenario.until_condition(names.DEGRADED, "RollingBack")
    scenario.world.application.heal()
    await scenario.roll_out("kvstore:3")
    await scenario.until_stage("Draining")
    await scenario.roll_out("kvstore:2")
    await scenario.until_complete()
    assert set(scenario.images()) == {"kvstore:2"}
    assert scenario.world.lost_keys == set()


@POLICIES
async def test_a_pause_on_the_way_back_does_not_let_the_last_pod_into_service(policy: str) -> None:
    scenario = await a_scenario(replicas=3, policy=policy)
    accepted = scenario.world.stateful_set()["status"]["currentRevision"]
    await scenario.roll_out()
    await scenario.until_stage("Restoring", "kvstore-0")
    scenario.user.say(abort={"revision": scenario.wanted}, paused=True)
    await scenario.world.run(limit_seconds=60)
    assert set(scenario.images()) == {"kvstore:2"}
    assert scenario.world.stateful_set()["status"]["currentRevision"] == accepted
    assert gates(scenario.world) == [False, True, True]
    scenario.user.say(paused=False)
    await scenario.until_back()
    assert scenario.world.lost_keys == set()


async def test_on_the_way_back_the_user_may_still_pause() -> None:
    scenario = await a_scenario(replicas=3, spec={"strategy": {"soakSeconds": 10}})
    await scenario.roll_out()
    await scenario.until_stage("Soaking", "kvstore-0")
    scenario.user.say(abort={"revision": scenario.wanted}, paused=True)
    await scenario.world.run(limit_seconds=60)
    assert set(scenario.images()) == {"kvstore:2"}
    assert "paused by spec.paused on the way back" in scenario.world.rollout()["status"]["message"]
    scenario.user.say(paused=False)
    await scenario.until_back()


async def test_somebody_who_keeps_writing_the_update_strategy_does_not_turn_it() -> None:
    scenario = await a_scenario(replicas=3, spec={"strategy": {"soakSeconds": 10}})
    await scenario.roll_out()
    await scenario.until_stage("Soaking", "kvstore-1")
    scenario.user.say(abort={"revision": scenario.wanted})
    for _ in range(20):
        scenario.user.set_strategy({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
        await scenario.world.run(limit_seconds=1)
    await scenario.until_back()
    assert scenario.world.lost_keys == set()


async def test_what_is_not_reversible_stays_and_a_pod_that_dies_comes_back_at_it() -> None:
    strategy = {"reversible": False, "soakSeconds": 10}
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={"strategy": strategy, "checks": [RED]})
    await scenario.roll_out()
    await scenario.until_stage("Soaking", "kvstore-2")
    scenario.world.application.health = "red"
    await scenario.until_condition(names.STALLED, "CheckFailed")
    scenario.user.delete_pod(2)
    await scenario.world.run(limit_seconds=60)
    assert scenario.images() == ["kvstore:1", "kvstore:1", "kvstore:2"]
    scenario.world.application.heal()
    await scenario.until_complete()


@pytest.mark.parametrize(
    ("hook", "spec"),
    [
        ("drain", {"drain": {"deadlineSeconds": 10, "onTimeout": "Rollback"}}),
        ("members", {"membership": {"stallSeconds": 10, "onTimeout": "Rollback"}}),
        ("restore", {"restore": {**RESTORE, "deadlineSeconds": 10, "onTimeout": "Rollback"}}),
    ],
)
async def test_a_hook_that_takes_longer_than_a_rollout_may_wait_for_gives_the_revision_up(
    hook: str, spec: dict[str, Any]
) -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel", spec=spec)
    application = scenario.world.application
    application.script(hook, 202, forever=True)
    await scenario.roll_out()
    await scenario.until_condition(names.DEGRADED, "RollingBack")
    application.heal()
    message = await scenario.until_back()
    assert "failed (HookTimedOut)" in message
    assert all(gates(scenario.world))
    assert scenario.world.lost_keys == set()
    await scenario.roll_out("kvstore:3")
    await scenario.until_complete()
