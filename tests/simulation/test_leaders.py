"""Replicas that take over from each other, and what a deposed leader still has on its way: nobody acts twice."""

from __future__ import annotations

from collections import Counter

import pytest

from statefulrollout.api import names
from statefulrollout.kube.leader import LeaseTimes
from tests.simulation.plays import HOOKS, until_gate_is_shut
from tests.simulation.scenario import Scenario, a_scenario, gates
from tests.simulation.world.apiserver import USER
from tests.simulation.world.network import Link, Silent
from tests.simulation.world.objects import Json
from tests.simulation.world.podtemplate import POD_NAME_LABEL
from tests.simulation.world.rest import Request
from tests.simulation.world.world import NAME, NAMESPACE

POLICIES = pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])


@POLICIES
async def test_a_killed_leader_is_followed_by_the_standby(policy: str) -> None:
    scenario = await a_scenario(policy=policy, operators=2)
    await scenario.roll_out()
    await until_gate_is_shut(scenario, 3)
    first, began = scenario.operator.leader, scenario.world.clock()
    scenario.operator.crash()
    await scenario.world.run(until=lambda: scenario.operator.leader not in (None, first), limit_seconds=60)
    assert 10 < scenario.world.clock() - began < 20, "the standby waits until the Lease has run out"
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def test_a_replaced_operator_hands_over_at_once_and_interrupts_nothing() -> None:
    scenario = await a_scenario(replicas=3, operators=2, policy="Parallel")
    await scenario.roll_out()
    await until_gate_is_shut(scenario, 2)
    old, began = set(scenario.operator.processes.values()), scenario.world.clock()
    scenario.operator.replace()
    await scenario.world.run(until=lambda: scenario.operator.leader not in {None, *old}, limit_seconds=60)
    assert scenario.world.clock() - began < 5, "nobody waits for a Lease that was released"
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def test_a_new_operator_moves_nothing_in_a_set_that_is_at_rest() -> None:
    scenario = await a_scenario(replicas=3, operators=2)
    before = {pod["metadata"]["uid"]: pod["metadata"]["resourceVersion"] for pod in scenario.world.pods()}
    generation = scenario.world.stateful_set()["metadata"]["generation"]
    for disturb in (scenario.operator.replace, scenario.operator.crash):
        disturb()
        await scenario.world.run(limit_seconds=120)
    assert {pod["metadata"]["uid"]: pod["metadata"]["resourceVersion"] for pod in scenario.world.pods()} == before
    assert scenario.world.stateful_set()["metadata"]["generation"] == generation


@pytest.mark.parametrize("seconds", [5.0, 12.0, 40.0])
async def test_a_leader_that_is_frozen_and_thawed_does_not_act_twice(seconds: float) -> None:
    scenario = await a_scenario(replicas=4, operators=2, policy="Parallel")
    await scenario.roll_out()
    await until_gate_is_shut(scenario, 3)
    first = scenario.operator.leader
    assert first is not None
    first.link.freeze()
    await scenario.world.run(limit_seconds=seconds)
    first.link.thaw()
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()
    assert (first in scenario.operator.processes.values()) is (seconds < 10)


@POLICIES
@pytest.mark.parametrize("order", range(6))
async def test_two_that_both_believe_they_lead_break_nothing(policy: str, order: int) -> None:
    spec = {**HOOKS, "strategy": {"maxUnavailable": 2}}
    scenario = await a_scenario(operators=2, bold=True, policy=policy, seed=order, spec=spec)
    await scenario.roll_out()
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()
    scenario.user.scale(3)
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


READ_BEFORE_A_CHOICE = Counter(
    statefulrollouts=2, statefulrolloutledgers=2, statefulsets=2, pods=2, poddisruptionbudgets=1
)


async def test_a_leader_frozen_between_reading_and_writing_writes_nothing_when_it_is_thawed() -> None:
    """The election is quicker than usual, so that no request times out on the way."""
    quick = LeaseTimes(duration=3.0, renew_deadline=2.0, retry=0.5)
    scenario = await a_scenario(replicas=4, operators=2, policy="Parallel", times=quick)
    network = scenario.world.network
    read: Counter[str] = Counter()

    def freeze(request: Request) -> None:
        read[request.plural] += request.method == "GET" and "watch" not in request.params
        if read >= READ_BEFORE_A_CHOICE:
            network.after.remove(freeze)
            assert isinstance(request.link, Link)
            request.link.freeze()
            scenario.world.timeline.after(4.0, "the leader is thawed", request.link.thaw)

    scenario.user.roll_out()
    await scenario.world.run(until=lambda: "updateRevision" in scenario.world.history.transcript(), limit_seconds=5)
    network.after.append(freeze)
    await scenario.until_complete()
    assert scenario.operator.lives > 2, "the frozen one has ended"
    assert scenario.world.lost_keys == set()


async def _a_late_choice() -> tuple[Scenario, Request]:
    """A pod was chosen, its chooser died, the departure is on its way; and a budget does not spare the pod any more."""
    scenario = await a_scenario(replicas=4, operators=2, policy="Parallel")
    hold = _die_while_writing(scenario, names.SERVING, "False")
    await scenario.roll_out()
    await scenario.world.run(until=lambda: bool(hold), limit_seconds=10)
    selector = {"matchLabels": {POD_NAME_LABEL: hold[0].name}}
    budget = {"metadata": {"name": "held"}, "spec": {"selector": selector, "maxUnavailable": 0}}
    scenario.world.server.create("poddisruptionbudgets", NAMESPACE, budget, USER)
    return scenario, hold[0]


async def test_a_choice_that_arrives_late_is_counted_by_the_next_leader() -> None:
    """The next leader may not take the pod that was chosen; did it not count it, it would take another."""
    scenario, late = await _a_late_choice()
    network = scenario.world.network

    def overtake(request: Request) -> None:
        if (request.method, request.plural) == ("PATCH", "pods"):
            network.before.remove(overtake)
            network.land(late)

    network.before.append(overtake)
    await scenario.world.run(until=lambda: not all(gates(scenario.world)), limit_seconds=60)
    await scenario.world.run(limit_seconds=1)
    assert sum(gates(scenario.world)) == 3
    scenario.world.server.delete("poddisruptionbudgets", NAMESPACE, "held", USER)
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def test_a_choice_that_arrives_late_finds_that_it_was_withdrawn() -> None:
    """The next leader may not take the pod that was chosen, and lets the others go instead."""
    scenario, late = await _a_late_choice()
    await scenario.world.run(until=lambda: scenario.images().count("kvstore:2") == 3, limit_seconds=300)
    scenario.world.network.land_later(late, 0.0)
    await scenario.world.run(limit_seconds=10)
    assert late.status == 409
    assert scenario.images() == [*["kvstore:2"] * 3, "kvstore:1"]
    scenario.world.server.delete("poddisruptionbudgets", NAMESPACE, "held", USER)
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def test_a_release_that_arrives_late_does_not_take_a_pod_that_was_called_back() -> None:
    """It arrives when the pod has got its state back, and does not serve yet."""
    scenario = await a_scenario(replicas=3, operators=2, policy="Parallel", spec=HOOKS)
    hold = _die_while_writing(scenario, names.RELEASED, "True")
    await scenario.roll_out()
    await scenario.world.run(until=lambda: bool(hold), limit_seconds=60)
    leaving = scenario.world.server.get("pods", NAMESPACE, hold[0].name)["metadata"]
    await scenario.roll_out("kvstore:1")

    def is_a_member_again() -> bool:
        declaration = scenario.world.server.get(names.LEDGER_PLURAL, NAMESPACE, NAME)["spec"]["declaration"]
        members = {member["uid"] for member in declaration["members"]}
        return leaving["uid"] in members and declaration["done"]

    await scenario.world.run(until=is_a_member_again, limit_seconds=60)
    assert not all(gates(scenario.world))
    scenario.world.network.land_later(hold[0], 0.0)
    await scenario.world.run(limit_seconds=1)
    await scenario.until_complete()
    assert leaving["uid"] in {pod["metadata"]["uid"] for pod in scenario.world.pods()}
    assert scenario.world.lost_keys == set()


def _die_while_writing(scenario: Scenario, condition: str, status: str) -> list[Request]:
    """The leader dies while it writes this condition to a pod; returns the list that will hold the write."""
    network, held = scenario.world.network, list[Request]()

    def die(request: Request) -> None:
        body: Json = request.body if isinstance(request.body, dict) else {}
        written = body.get("status", {}).get("conditions", [])
        if (condition, status) in {(each["type"], each["status"]) for each in written}:
            network.before.remove(die)
            held.append(request)
            scenario.operator.crash(request.link)
            raise Silent

    network.before.append(die)
    return held
