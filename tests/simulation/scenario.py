"""What the scenarios of this folder share: a watched world with an operator, and what "complete" means."""

from __future__ import annotations

from typing import Any

from statefulrollout.api import names
from tests.simulation.world.builders import User, a_world
from tests.simulation.world.driver import Operator
from tests.simulation.world.invariants import every_invariant
from tests.simulation.world.objects import Json, is_true
from tests.simulation.world.world import World


class Scenario:
    """A world that is watched for every invariant, the operator in it, and the user in front of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.watch(*every_invariant(world))
        self.operator = Operator(world)
        self.user = User(world)

    async def until_complete(self, limit_seconds: float = 600.0) -> None:
        """Let things happen until the wanted revision is accepted and every pod serves."""
        await self.world.run(until=lambda: is_complete(self.world), limit_seconds=limit_seconds)

    async def until_stage(self, stage: str, pod: str = "") -> None:
        """Let things happen until the status shows a pod at this stage."""
        await self.world.run(until=lambda: is_at(self.world, stage, pod), limit_seconds=300)

    async def until_condition(self, kind: str, reason: str = "") -> str:
        """Let things happen until the condition is True; returns its message."""
        await self.world.run(until=lambda: bool(condition(self.world, kind, reason)), limit_seconds=1200)
        found = condition(self.world, kind, reason)
        assert found is not None
        return str(found["message"])

    async def roll_out(self, image: str = "kvstore:2", **behaviour: Any) -> None:
        """Change the template, and let the operator see it."""
        generation = self.world.stateful_set()["status"]["updateRevision"]
        self.user.roll_out(image, **behaviour)
        await self.world.run(
            until=lambda: self.world.stateful_set()["status"]["updateRevision"] != generation, limit_seconds=30
        )

    def images(self) -> list[str]:
        """The image of each pod."""
        return [pod["spec"]["containers"][0]["image"] for pod in self.world.pods()]


async def a_scenario(**kwargs: Any) -> Scenario:
    """A healthy set under a StatefulRollout, taken over by the operator; arguments are those of `a_world`."""
    scenario = Scenario(await a_world(**kwargs))
    await scenario.until_complete()
    scenario.world.history.lines.clear()
    return scenario


def is_complete(world: World) -> bool:
    """Whether the status says so, of this generation and this revision, and the cluster agrees."""
    rollout, target = world.rollout(), world.stateful_set()
    status, seen = rollout.get("status") or {}, target["status"]
    return (
        status.get("phase") == "Healthy"
        and status["observedGeneration"] == rollout["metadata"]["generation"]
        and seen["observedGeneration"] == target["metadata"]["generation"]
        and status["wantedRevision"] == seen["updateRevision"] == seen["currentRevision"]
        and len(world.pods()) == target["spec"]["replicas"]
        and all(is_true(pod, "Ready") for pod in world.pods())
    )


def is_at(world: World, stage: str, pod: str = "") -> bool:
    """Whether the status shows a pod (this one, or any) at the stage."""
    listed = (world.rollout().get("status") or {}).get("pods", [])
    return any(entry["stage"] == stage and pod in ("", entry["name"]) for entry in listed)


def condition(world: World, kind: str, reason: str = "") -> Json | None:
    """The condition of the StatefulRollout where it is True (and has this reason)."""
    listed = (world.rollout().get("status") or {}).get("conditions", [])
    found = (entry for entry in listed if entry["type"] == kind and entry["status"] == "True")
    return next((entry for entry in found if reason in ("", entry["reason"])), None)


def gates(world: World) -> list[bool]:
    """Whether each pod's gate is open, or it has none."""
    return [not pod["spec"].get("readinessGates") or is_true(pod, names.SERVING) for pod in world.pods()]
