"""What the scenarios of this folder share: a watched world with an operator, and what "complete" means."""

from __future__ import annotations

import itertools
from typing import Any

from statefulrollout.api import names
from statefulrollout.kube.leader import LeaseTimes
from tests.simulation.world.builders import User, a_world
from tests.simulation.world.driver import SWEEP_SECONDS, USUAL_TIMES, Operator
from tests.simulation.world.invariants import every_invariant
from tests.simulation.world.invariants.base import gate_is_open
from tests.simulation.world.objects import Json, is_true, ordinal_of
from tests.simulation.world.timeline import Event
from tests.simulation.world.world import NAME, NAMESPACE, World


class Scenario:
    """A world that is watched for every invariant, the operator in it, and the user in front of it.

    `later` is what was planned and need not happen any more once all is mended.
    """

    def __init__(self, world: World, *, replicas: int = 1, bold: bool = False, times: LeaseTimes = USUAL_TIMES) -> None:
        """`replicas` and `times` are the operator's; with `bold` each believes that it leads."""
        self.world = world
        self.operator = Operator(world, replicas=replicas, bold=bold, times=times)
        world.watch(*every_invariant(world, None if bold else self.operator.count_leaders))
        self.user = User(world)
        self.later: list[Event] = []

    async def until_complete(self, limit_seconds: float = 600.0) -> None:
        """Let things happen until the wanted revision is accepted and every pod serves."""
        await self.world.run(until=lambda: is_complete(self.world), limit_seconds=limit_seconds)

    async def until_back(self, image: str = "kvstore:1", limit_seconds: float = 900.0) -> str:
        """Let things happen until every pod has gone back to the accepted image; returns the status message."""
        world = self.world

        def is_back() -> bool:
            serve = all(is_true(pod, "Ready") and gate_is_open(pod) for pod in world.pods())
            return serve and set(self.images()) == {image} and world.rollout()["status"]["phase"] == "RolledBack"

        await world.run(until=is_back, limit_seconds=limit_seconds)
        target, status = world.stateful_set(), world.rollout()["status"]
        assert target["spec"]["template"]["spec"]["containers"][0]["image"] != image
        assert status["acceptedRevision"] == target["status"]["currentRevision"] != target["status"]["updateRevision"]
        return str(status["message"])

    @property
    def wanted(self) -> str:
        """The revision of the template."""
        return str(self.world.stateful_set()["status"]["updateRevision"])

    async def until_stage(self, stage: str, pod: str = "") -> None:
        """Let things happen until the status shows a pod at this stage."""
        await self.world.run(until=lambda: is_at(self.world, stage, pod), limit_seconds=300)

    async def until_free(self, limit_seconds: float) -> None:
        """Let things happen until no pod bears a mark of the operator."""
        await self.world.run(
            until=lambda: not any(_bears_marks(pod) for pod in self.world.pods()), limit_seconds=limit_seconds
        )

    async def until_condition(self, kind: str, reason: str = "") -> str:
        """Let things happen until the condition is True; returns its message."""
        await self.world.run(until=lambda: bool(condition(self.world, kind, reason)), limit_seconds=1200)
        found = condition(self.world, kind, reason)
        assert found is not None
        return str(found["message"])

    async def roll_out(self, image: str = "kvstore:2", **behaviour: Any) -> None:
        """Change the template, and let the operator see it."""
        before = self.wanted
        self.user.roll_out(image, **behaviour)
        await self.world.run(until=lambda: self.wanted != before, limit_seconds=30)

    def assert_settled(self) -> None:
        """Nothing is left open (I8), and the last declaration is the pods that exist (I9)."""
        page = self.world.server.get(names.LEDGER_PLURAL, NAMESPACE, NAME)["spec"]
        assert page["openHooks"] == page["preparations"] == [], self.world.history.tail()
        assert not self.world.application.prepared or self.world.application.has_lied("prepare"), "still prepared"
        pods = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in self.world.pods()}
        if "membership" in self.world.rollout()["spec"]:
            members = {member["uid"] for member in page["declaration"]["members"]}
            assert members == set(pods), self.world.history.tail()
        draining = [name for uid, name in pods.items() if self.world.application.has_begun(uid, "drain")]
        undoable = self.world.rollout()["spec"].get("drain", {}).get("undo")
        assert not (draining and undoable), f"{draining} still drain:\n{self.world.history.tail()}"

    async def assert_nobody_is_stranded(self) -> None:
        """Without a StatefulRollout, and then without an operator, all can be scaled, deleted and ready (I14)."""
        world = self.world
        self.user.delete_rollout()
        # Watches may lag, and what they lost only the sweep finds.
        await self.until_free(limit_seconds=2 * SWEEP_SECONDS)
        self.operator.kill()
        count = len(world.pods())
        for wanted in (count + 1, max(count - 1, 0)):
            self.user.scale(wanted)
            await world.run(until=lambda: _all_are_ready(world), limit_seconds=600)
        for pod in world.pods():
            self.user.delete_pod(ordinal_of(pod["metadata"]["name"]))
        await world.run(limit_seconds=1)
        await world.run(until=lambda: _all_are_ready(world), limit_seconds=600)

    def count_rollouts(self) -> int:
        """How many new templates were rolled out."""
        changes = [change for change in self.world.server.log if change.plural == "statefulsets" and change.after]
        revisions = [change.item["status"].get("updateRevision") for change in changes]
        return sum(before not in (None, after) for before, after in itertools.pairwise(revisions))

    def images(self) -> list[str]:
        """The image of each pod."""
        return [pod["spec"]["containers"][0]["image"] for pod in self.world.pods()]


async def a_scenario(
    *, operators: int = 1, bold: bool = False, times: LeaseTimes = USUAL_TIMES, **kwargs: Any
) -> Scenario:
    """A healthy set under a StatefulRollout, taken over by the operator; other arguments are those of `a_world`."""
    scenario = Scenario(await a_world(**kwargs), replicas=operators, bold=bold, times=times)
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


def _bears_marks(pod: Json) -> bool:
    return names.FENCED_LABEL in pod["metadata"]["labels"] or not gate_is_open(pod)


def _all_are_ready(world: World) -> bool:
    pods = world.pods()
    return len(pods) == world.stateful_set()["spec"]["replicas"] and all(is_true(pod, "Ready") for pod in pods)


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
    return [gate_is_open(pod) for pod in world.pods()]
