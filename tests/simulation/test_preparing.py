"""What is done before a rollout and taken back after it, in simulated time."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.api import names
from tests.simulation.scenario import Scenario, a_scenario, gates
from tests.simulation.stories.enemies import delay_controller, delete_rollout
from tests.simulation.world.application import Silence
from tests.simulation.world.objects import is_true
from tests.simulation.world.world import NAME, NAMESPACE


def step(path: str, **fields: Any) -> dict[str, Any]:
    """A step of `beforeRollout` that has an undo."""
    http = {"port": "admin", "path": path}
    call = {"http": http, "target": "AnyPeer", "timeoutSeconds": 1}
    undo = {**call, "http": {**http, "method": "DELETE"}}
    return {"name": path.strip("/"), "apply": call, "undo": undo, **fields}


PREPARED: dict[str, Any] = {"beforeRollout": [step("/prepare")]}


async def a_prepared_scenario(**strategy: Any) -> Scenario:
    return await a_scenario(replicas=3, policy="Parallel", spec={**PREPARED, "strategy": strategy})


def asked(scenario: Scenario, path: str = "/prepare") -> list[str]:
    """The requests to the step, in order, each once."""
    sent = [request[2] for request in scenario.world.application.requests if request[2].endswith(path)]
    return [request for index, request in enumerate(sent) if index == 0 or sent[index - 1] != request]


async def test_a_rollout_begins_once_it_is_prepared_and_is_followed_by_the_undo() -> None:
    scenario = await a_prepared_scenario()
    application = scenario.world.application
    application.script("prepare", 202, 202, 202)
    await scenario.roll_out()
    await scenario.world.run(until=lambda: not all(gates(scenario.world)), limit_seconds=60)
    assert application.prepared
    await scenario.until_complete()
    assert asked(scenario) == ["POST /prepare", "DELETE /prepare"]
    assert not application.prepared
    scenario.assert_settled()


async def test_nothing_is_prepared_while_another_guard_holds() -> None:
    call = {"http": {"port": "admin", "path": "/health", "method": "GET"}, "target": "Peers"}
    check = {"name": "green", "call": call, "expect": "json.state == 'green'"}
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={**PREPARED, "checks": [check]})
    scenario.world.application.health = "red"
    await scenario.roll_out()
    await scenario.world.run(limit_seconds=60)
    assert asked(scenario) == []
    scenario.world.application.heal()
    await scenario.until_complete()
    assert asked(scenario) == ["POST /prepare", "DELETE /prepare"]


async def test_what_cannot_be_prepared_holds_the_rollout_and_is_named() -> None:
    scenario = await a_scenario(
        replicas=3, policy="Parallel", spec={"beforeRollout": [step("/prepare", deadlineSeconds=20)]}
    )
    scenario.world.application.script("prepare", Silence.HANG, forever=True)
    await scenario.roll_out()
    await scenario.world.run(limit_seconds=10)
    message = scenario.world.rollout()["status"]["message"]
    assert (
        "rollout_is_prepared: prepare: POST /prepare on port admin of kvstore-0 failed: timed out after 1 s" in message
    )
    message = await scenario.until_condition(names.STALLED)
    assert message.startswith("beforeRollout: prepare is not done after")
    assert all(gates(scenario.world))
    scenario.world.application.heal()
    await scenario.until_complete()


async def test_it_stays_prepared_through_a_failure_and_a_fix() -> None:
    scenario = await a_prepared_scenario(progressDeadlineSeconds=30)
    await scenario.roll_out("kvstore:bad", crash=True)
    await scenario.until_condition(names.STALLED)
    await scenario.world.run(limit_seconds=60)
    await scenario.roll_out("kvstore:3")
    await scenario.until_complete()
    assert asked(scenario) == ["POST /prepare", "DELETE /prepare"]


async def test_a_way_back_ends_with_the_undo() -> None:
    scenario = await a_prepared_scenario(progressDeadlineSeconds=30, onFailure="Rollback")
    await scenario.roll_out("kvstore:bad", crash=True)
    await scenario.until_back()
    await scenario.world.run(until=lambda: not scenario.world.application.prepared, limit_seconds=30)
    assert asked(scenario) == ["POST /prepare", "DELETE /prepare"]


@pytest.mark.parametrize("running", [True, False])
async def test_deleting_the_rollout_takes_it_back_by_whoever_is_there_then(running: bool) -> None:
    scenario = await a_prepared_scenario()
    await scenario.roll_out()
    await scenario.world.run(until=lambda: "kvstore:2" in scenario.images(), limit_seconds=120)
    if not running:
        scenario.operator.kill()
    scenario.user.delete_rollout()
    if not running:
        scenario.operator.start()
    await scenario.until_free(600)
    await scenario.world.run(until=lambda: not scenario.world.application.prepared, limit_seconds=60)


async def test_an_operator_that_starts_anew_asks_nothing_twice() -> None:
    scenario = await a_prepared_scenario()
    await scenario.roll_out()
    await scenario.world.run(until=lambda: not all(gates(scenario.world)), limit_seconds=60)
    sent = len(scenario.world.application.requests)
    scenario.operator.kill()
    scenario.operator.start()
    await scenario.until_complete()
    later = [request[2] for request in scenario.world.application.requests[sent:]]
    assert "POST /prepare" not in later


async def test_steps_follow_one_another_and_are_undone_in_reverse() -> None:
    second = step("/prepare/second")
    spec = {"beforeRollout": [step("/prepare/first", name="first"), {**second, "name": "second"}]}
    scenario = await a_scenario(replicas=3, policy="Parallel", spec=spec)
    await scenario.roll_out()
    await scenario.until_complete()
    sent = [request[2] for request in scenario.world.application.requests if "/prepare" in request[2]]
    assert sent == ["POST /prepare/first", "POST /prepare/second", "DELETE /prepare/second", "DELETE /prepare/first"]


async def test_a_step_that_the_user_takes_away_is_undone_before_the_rest_goes_on() -> None:
    first = step("/prepare/first", name="first")
    scenario = await a_scenario(
        replicas=3, policy="Parallel", spec={"beforeRollout": [first, step("/prepare/second", name="second")]}
    )
    application = scenario.world.application
    await scenario.roll_out()
    await scenario.world.run(until=lambda: "POST /prepare/first" in asked(scenario, "first"), limit_seconds=30)
    application.script("prepare", 503, 503, 503, 503)
    scenario.user.say(beforeRollout=[step("/prepare/second", name="second")])
    await scenario.until_complete()
    sent = [request[2] for request in application.requests if "/prepare" in request[2] and request[3] == "200"]
    assert sent.index("DELETE /prepare/first") < len(sent)
    assert sent[-1] == "DELETE /prepare/second"
    scenario.assert_settled()


@pytest.mark.parametrize("drained", [False, True])
async def test_another_rollout_begins_anew_what_the_farewell_takes_back(drained: bool) -> None:
    scenario = await a_prepared_scenario()
    world = scenario.world
    world.application.drain_seconds = 5.0
    await scenario.roll_out()
    shut = [True, True, False]
    await world.run(until=lambda: gates(world) == shut and (not drained or is_true(world.pod(2), names.DRAINED)))
    delay_controller(scenario, 20.0)
    delete_rollout(scenario, 3.0)
    await world.run(until=lambda: not world.application.prepared, limit_seconds=60)
    await world.run(until=lambda: world.server.find(names.PLURAL, NAMESPACE, NAME) is not None, limit_seconds=60)
    await scenario.until_complete()
    assert asked(scenario) == ["POST /prepare", "DELETE /prepare", "POST /prepare", "DELETE /prepare"]
    assert world.lost_keys == set()
