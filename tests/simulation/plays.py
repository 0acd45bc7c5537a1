"""Named scenarios, each a play with a good end: told once for its golden transcript, and once for every crash point.

A play waits for facts of the cluster, never for a stage that a crash may let pass unseen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from statefulrollout.api import names
from tests.simulation.drains import begin_drain
from tests.simulation.scenario import Scenario, a_scenario
from tests.simulation.stories.enemies import lose_node
from tests.simulation.world.builders import SPEC, by_command
from tests.simulation.world.objects import is_true, merge_patched
from tests.simulation.world.podtemplate import revision_of

Act = Callable[[Scenario], Awaitable[None]]

UNDO = {"http": {"port": "admin", "path": "/drain", "method": "DELETE"}}
HOOKS: Mapping[str, Any] = {
    "drain": {
        "undo": UNDO,
        "done": {"call": {"http": {**UNDO["http"], "method": "GET"}}, "expect": "json.inFlight == 0"},
    },
    "migrate": {"apply": {"http": {"port": "admin", "path": "/migrate"}}},
    "restore": {"apply": {"http": {"port": "admin", "path": "/restore"}}},
    "checks": [
        {
            "name": "green",
            "call": {"http": {"port": "admin", "path": "/health", "method": "GET"}, "target": "Peers"},
            "expect": "json.state == 'green'",
        }
    ],
}


IN_PLACE = {"podUpdate": "InPlaceIfPossible"}


@dataclass(frozen=True)
class Play:
    """A scenario: how it is arranged (the arguments of `a_scenario`), and what happens in it."""

    name: str
    act: Act
    arrangement: Mapping[str, Any] = field(default_factory=dict)

    async def arrange(self) -> Scenario:
        """Everything as it is before the curtain rises."""
        return await a_scenario(**{"replicas": 3, "policy": "Parallel", "keys": 20, **self.arrangement})


async def roll_out(scenario: Scenario) -> None:
    await scenario.roll_out()
    await scenario.until_complete()
    assert set(scenario.images()) == {"kvstore:2"}
    assert scenario.world.lost_keys == set()


async def scale_down(scenario: Scenario) -> None:
    scenario.user.scale(1)
    await scenario.until_complete()
    assert len(scenario.world.pods()) == 1
    assert scenario.world.lost_keys == set()


async def scale_up_in_the_middle(scenario: Scenario) -> None:
    await scenario.roll_out()
    await until_gate_is_shut(scenario, 2)
    scenario.user.scale(4)
    await scenario.until_complete()
    assert scenario.images() == ["kvstore:2"] * 4
    assert scenario.world.lost_keys == set()


async def change_back(scenario: Scenario) -> None:
    await scenario.roll_out()
    await until_gate_is_shut(scenario, 2)
    await scenario.world.run(limit_seconds=2)
    await scenario.roll_out("kvstore:1")
    await scenario.world.run(limit_seconds=2)
    await scenario.until_complete()
    assert set(scenario.images()) == {"kvstore:1"}
    assert scenario.world.lost_keys == set()


async def change_again(scenario: Scenario) -> None:
    await scenario.roll_out()
    await until_image(scenario, "kvstore:2")
    await scenario.roll_out("kvstore:3")
    await scenario.until_complete()
    assert set(scenario.images()) == {"kvstore:3"}
    assert scenario.world.lost_keys == set()


async def fail_and_fix(scenario: Scenario) -> None:
    await scenario.roll_out("kvstore:bad", crash=True)
    await scenario.until_condition(names.STALLED)
    await scenario.roll_out("kvstore:fixed")
    await scenario.until_complete()
    assert set(scenario.images()) == {"kvstore:fixed"}
    assert scenario.world.lost_keys == set()


async def pause_and_resume(scenario: Scenario) -> None:
    await scenario.roll_out()
    await until_gate_is_shut(scenario, 2)
    scenario.user.pause()
    await until_image(scenario, "kvstore:2")
    await scenario.world.run(limit_seconds=30)
    scenario.user.pause(False)
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def kill_what_was_drained(scenario: Scenario) -> None:
    await scenario.roll_out()
    await scenario.world.run(until=lambda: is_true(scenario.world.pod(2), names.DRAINED), limit_seconds=120)
    if scenario.world.kubelet.is_running(scenario.world.pod(2)):
        scenario.user.kill_container(2)
    await scenario.until_complete()
    assert set(scenario.images()) == {"kvstore:2"}


async def delete_a_pod(scenario: Scenario) -> None:
    await scenario.roll_out()
    await until_gate_is_shut(scenario, 2)
    scenario.user.delete_pod(0)
    await scenario.until_complete()
    assert set(scenario.images()) == {"kvstore:2"}


async def lose_a_node(scenario: Scenario) -> None:
    await scenario.roll_out()
    await until_gate_is_shut(scenario, 2)
    lose_node(scenario, 0, 90.0)
    await scenario.world.run(limit_seconds=91)
    await scenario.until_complete()
    assert set(scenario.images()) == {"kvstore:2"}


async def write_partition_zero(scenario: Scenario) -> None:
    await scenario.roll_out()
    await until_gate_is_shut(scenario, 2)
    scenario.user.set_strategy({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def delete_the_rollout(scenario: Scenario) -> None:
    await scenario.roll_out()
    await until_gate_is_shut(scenario, 2)
    await scenario.assert_nobody_is_stranded()


async def promote_a_canary(scenario: Scenario) -> None:
    await scenario.roll_out()
    await until_image(scenario, "kvstore:2")
    await scenario.world.run(limit_seconds=10)
    assert scenario.images().count("kvstore:2") == 1
    scenario.user.say(promote={"revision": scenario.wanted, "step": 1})
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def fail_and_go_back(scenario: Scenario) -> None:
    await scenario.roll_out("kvstore:bad", crash=True)
    await scenario.until_back()
    assert scenario.world.lost_keys == set()


async def give_up_at_the_end(scenario: Scenario) -> None:
    await scenario.roll_out()
    await scenario.world.run(until=lambda: set(scenario.images()) == {"kvstore:2"}, limit_seconds=300)
    scenario.user.say(abort={"revision": scenario.wanted})
    await scenario.until_back()
    assert scenario.world.lost_keys == set()
    scenario.user.say(abort=None)
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def until_gate_is_shut(scenario: Scenario, ordinal: int) -> None:
    """Until the pod has been taken out of service, or is another one already."""
    first = scenario.world.pod(ordinal)["metadata"]["uid"]

    def is_shut() -> bool:
        found = [pod for pod in scenario.world.pods() if pod["metadata"]["uid"] == first]
        return not found or not is_true(found[0], names.SERVING)

    await scenario.world.run(until=is_shut, limit_seconds=120)


async def until_image(scenario: Scenario, image: str) -> None:
    """Until some pod runs this image and serves."""

    def serves() -> bool:
        pods = scenario.world.pods()
        return any(pod["spec"]["containers"][0]["image"] == image and is_true(pod, "Ready") for pod in pods)

    await scenario.world.run(until=serves, limit_seconds=300)


async def drain_a_node(scenario: Scenario) -> None:
    drain = begin_drain(scenario, "node-b")
    await scenario.world.run(until=lambda: drain.is_over, limit_seconds=300)
    await scenario.until_complete()


ORDERED = {"policy": "OrderedReady"}
TWO = {"replicas": 4, "spec": {"strategy": {"maxUnavailable": 2}}}
BACK = {"replicas": 4, "spec": {"strategy": {"maxUnavailable": 2, "onFailure": "Rollback"}}}
PLAYS = (
    Play("a rollout, one pod at a time", roll_out, ORDERED),
    Play("a rollout, two pods at a time", roll_out, TWO),
    Play("a rollout with every hook", roll_out, {"spec": HOOKS}),
    Play("a rollout by commands", roll_out, {"spec": by_command(merge_patched(SPEC, HOOKS))}),
    Play("a rollout in place", roll_out, {"spec": {**HOOKS, "strategy": IN_PLACE}}),
    Play("a scale-down", scale_down, ORDERED),
    Play("a scale-up in the middle", scale_up_in_the_middle),
    Play("a template changed back in the middle", change_back, {"spec": HOOKS}),
    Play("a template changed again in the middle", change_again, ORDERED),
    Play("a bad revision and its fix", fail_and_fix, TWO),
    Play("a bad revision and its fix, one pod at a time", fail_and_fix, ORDERED),
    Play("a canary that is promoted", promote_a_canary, {"spec": {"strategy": {"steps": [{"pods": 1, "pause": {}}]}}}),
    Play("a bad revision that goes back", fail_and_go_back, BACK),
    Play("a revision given up at its last pod", give_up_at_the_end, ORDERED),
    Play("a pause in the middle", pause_and_resume),
    Play("a container killed after its drain", kill_what_was_drained, {"spec": HOOKS}),
    Play("a pod deleted in the middle", delete_a_pod, ORDERED),
    Play("a node lost in the middle", lose_a_node),
    Play("a node drained", drain_a_node, {"spec": HOOKS}),
    Play("a partition written in the middle", write_partition_zero),
    Play("a StatefulRollout deleted in the middle", delete_the_rollout, {"spec": HOOKS}),
)


def shown_revisions(scenario: Scenario, transcript: str) -> str:
    """The transcript with the names of revisions replaced by letters, in the order in which they came up."""
    found = {revision_of(pod) for pod in scenario.world.pods()}
    found |= {item["metadata"]["name"] for item in scenario.world.server.list("controllerrevisions")}
    for letter, name in zip("ABCDEFG", sorted(found, key=transcript.find), strict=False):
        transcript = transcript.replace(name, f"kvstore-{letter}")
    return transcript
