"""Pods that are updated in place, in simulated time: drained like any other, restarted instead of re-created."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.api import names
from tests.simulation.scenario import Scenario, a_scenario
from tests.simulation.world.objects import Json
from tests.simulation.world.refusals import refused
from tests.simulation.world.rest import Request

IN_PLACE: dict[str, Any] = {"podUpdate": "InPlaceIfPossible"}
POLICIES = pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])


def refuse_updates_in_place(request: Request) -> None:
    """What a policy of the cluster may do."""
    if request.restarts:
        raise refused(403, "Forbidden", "images are signed when pods are created")


def uids(scenario: Scenario) -> list[str]:
    return [pod["metadata"]["uid"] for pod in scenario.world.pods()]


def notes(scenario: Scenario, reason: str) -> list[str]:
    """What events of this reason say."""
    events = [change.item for change in scenario.world.server.log if change.plural == "events"]
    return [event["note"] for event in events if event["reason"] == reason and event["regarding"]["kind"] == "Pod"]


def change_template(scenario: Scenario, change: Json, image: str = "kvstore:2") -> None:
    """Another image, and fields of the container beside it."""
    spec = scenario.world.stateful_set()["spec"]["template"]["spec"]
    containers = [{**spec["containers"][0], "image": image, **change}, *spec["containers"][1:]]
    scenario.user.patch("statefulsets", {"spec": {"template": {"spec": {"containers": containers}}}})


@POLICIES
async def test_another_image_restarts_the_containers_and_keeps_the_pods(policy: str) -> None:
    scenario = await a_scenario(policy=policy, spec={"strategy": IN_PLACE})
    before = uids(scenario)
    await scenario.roll_out()
    await scenario.until_complete()
    assert uids(scenario) == before
    assert scenario.images() == ["kvstore:2"] * 5
    assert scenario.world.lost_keys == set()
    assert notes(scenario, "PodUpdatedInPlace")[0] == (
        f"kvstore-4: becomes {scenario.wanted} in place (kvstore: kvstore:2)"
    )


async def test_what_cannot_be_done_in_place_is_done_by_re_creation_and_says_why() -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={"strategy": IN_PLACE})
    before = uids(scenario)
    change_template(scenario, {"env": [{"name": "A", "value": "b"}]})
    await scenario.world.run(limit_seconds=1)
    await scenario.until_complete()
    assert set(uids(scenario)).isdisjoint(before)
    assert notes(scenario, "PodReleased")[0].endswith("(not in place: spec.containers[kvstore].env differs)")
    assert scenario.world.lost_keys == set()


@pytest.mark.parametrize("fault", ["crash", "bad_image"])
async def test_a_bad_image_fails_its_revision_and_the_fix_gets_through(fault: str) -> None:
    strategy = {**IN_PLACE, "progressDeadlineSeconds": 60}
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={"strategy": strategy})
    await scenario.roll_out("kvstore:bad", **{fault: True})
    await scenario.until_condition(names.STALLED)
    await scenario.world.run(limit_seconds=60)
    assert scenario.images().count("kvstore:bad") == 1
    await scenario.roll_out("kvstore:3")
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


@POLICIES
async def test_a_way_back_is_in_place_too(policy: str) -> None:
    scenario = await a_scenario(replicas=3, policy=policy, spec={"strategy": {**IN_PLACE, "soakSeconds": 30}})
    before = uids(scenario)
    await scenario.roll_out()
    await scenario.world.run(until=lambda: scenario.images() == ["kvstore:2"] * 3, limit_seconds=300)
    scenario.user.say(abort={"revision": scenario.wanted})
    await scenario.until_back()
    assert uids(scenario) == before
    assert scenario.world.lost_keys == set()


async def test_a_restart_that_the_kubelet_never_makes_fails_the_revision() -> None:
    strategy = {**IN_PLACE, "progressDeadlineSeconds": 30}
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={"strategy": strategy})
    await scenario.roll_out()
    await scenario.until_stage("Draining", "kvstore-2")
    scenario.world.kubelet.deaf = True
    message = await scenario.until_condition(names.STALLED)
    assert "kvstore-2: container kvstore not restarted for" in message


async def test_a_refusal_by_the_api_server_is_said_and_the_pod_is_re_created() -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={"strategy": IN_PLACE})
    scenario.world.network.before.append(refuse_updates_in_place)
    before = uids(scenario)
    await scenario.roll_out()
    await scenario.until_complete()
    assert set(uids(scenario)).isdisjoint(before)
    assert "it is re-created instead" in notes(scenario, "InPlaceRefused")[0]
