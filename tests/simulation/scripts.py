"""Scripts that are played in the simulation and on a real cluster, and what of each has to be the same.

A script says what users do and what they wait for; a transcript says what became of each object, in order. How long
anything takes is no part of it, nor is the order of things that have nothing to do with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from statefulrollout.api import names
from tests.simulation.scenario import Scenario
from tests.simulation.world.builders import User, a_world
from tests.simulation.world.objects import is_terminating, is_true
from tests.simulation.world.podtemplate import revision_of
from tests.simulation.world.world import World

Json = dict[str, Any]
Step = tuple[str | int | bool, ...]
"""A verb and its arguments; the verbs are the methods of `Performer`."""
ORDER = "in which order pods come and go"
CONDITIONS = (*names.POD_CONDITIONS, "Ready")


@dataclass(frozen=True)
class Script:
    """What is arranged (pods, whether there is a StatefulRollout and what is in its spec) and what happens."""

    steps: tuple[Step, ...]
    ordered: bool = False
    replicas: int = 3
    rolled: bool = True
    spec: Mapping[str, Any] = field(default_factory=dict)
    strategy: Mapping[str, Any] | None = None


ROLL: Step = ("roll_out",)
COMPLETE: Step = ("until_complete",)
SCRIPTS: Mapping[str, Script] = {
    "a StatefulSet alone rolls one pod at a time": Script((ROLL, COMPLETE), rolled=False, ordered=True),
    "a StatefulSet alone of parallel pods rolls": Script((ROLL, COMPLETE), rolled=False),
    "a StatefulSet alone is scaled down and up": Script(
        (("scale", 1), ("until_pods", 1), ("scale", 3), ("until_pods", 3)), rolled=False, ordered=True
    ),
    "a StatefulSet alone behind a partition": Script(
        (ROLL, ("until_updated", 2), ("delete_pod", 0), ("until_pods", 3), ("delete_pod", 2), ("until_pods", 3)),
        rolled=False,
        strategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
    ),
    "a StatefulSet alone that waits for deletions": Script(
        (ROLL, ("delete_pod", 1), ("until_pods", 3), ("delete_pod", 0), ("until_pods", 3)),
        rolled=False,
        strategy={"type": "OnDelete"},
    ),
    "a rollout, one pod at a time": Script((ROLL, COMPLETE), ordered=True),
    "a rollout of parallel pods": Script((ROLL, COMPLETE)),
    "a scale-down": Script((("scale", 1), ("until_pods", 1), COMPLETE), ordered=True),
    "a pause in the middle": Script(
        (ROLL, ("until_shut", 2), ("pause", True), ("until_updated", 2), ("pause", False), COMPLETE)
    ),
    "an unplanned deletion at rest": Script((("delete_pod", 1), ("until_pods", 3), COMPLETE), ordered=True),
}


@dataclass(frozen=True)
class Version:
    """One write of one object, whoever recorded it: what it is called, and how it was before and after."""

    plural: str
    name: str
    before: Json | None
    after: Json | None


def transcript_of(versions: Iterable[Version]) -> dict[str, list[str]]:
    """What became of each object; revisions are letters, in the order in which they came up."""
    letters: dict[str, str] = {}
    lines: dict[str, list[str]] = {ORDER: []}

    def letter(revision: str) -> str:
        return letters.setdefault(revision, "ABCDEFGH"[len(letters)])

    for version in versions:
        told = lines.setdefault(version.name, [])
        if version.plural == "pods":
            told += (news := _of_pod(version, letter))
            lines[ORDER] += [f"{version.name} {word}" for word in news if word.split()[0] in ("created", "gone")]
        elif version.plural == "statefulsets" and version.before and version.after:
            told += _of_stateful_set(version.before, version.after, letter)
    return {name: told for name, told in lines.items() if told}


def _of_pod(version: Version, letter: Any) -> list[str]:
    before, after = version.before, version.after
    if after is None:
        return ["gone"]
    if before is None:
        gated = any(gate["conditionType"] == names.SERVING for gate in after["spec"].get("readinessGates", []))
        return [f"created at {letter(revision_of(after))} {'with' if gated else 'without'} the gate"]
    told = ["deleted"] if is_terminating(after) and not is_terminating(before) else []
    for kind in CONDITIONS:
        if is_true(before, kind) != is_true(after, kind):
            told.append(f"{kind.rpartition('/')[2]} is {is_true(after, kind)}")
    return told


def _of_stateful_set(before: Json, after: Json, letter: Any) -> list[str]:
    told = []
    for name in ("replicas", "updateStrategy"):
        if before["spec"].get(name) != after["spec"].get(name):
            told.append(f"{name} is {after['spec'][name]}")
    for name in ("updateRevision", "currentRevision"):
        old, new = (item.get("status", {}).get(name) for item in (before, after))
        if old != new and new:
            told.append(f"{name} is {letter(new)}")
    return told


async def perform(script: Script) -> dict[str, list[str]]:
    """Play a script in the simulation."""
    world = await a_world(
        script.replicas,
        "OrderedReady" if script.ordered else "Parallel",
        dict(script.spec),
        targeted=script.rolled,
        keys=12,
        stateful_set=None if script.strategy is None else {"updateStrategy": script.strategy},
    )
    scenario = Scenario(world) if script.rolled else None
    if scenario is not None:
        await scenario.until_complete()
    performer, first = Performer(world, scenario), len(world.server.log)
    for verb, *arguments in script.steps:
        await getattr(performer, str(verb))(*arguments)
    changes = world.server.log[first:]
    return transcript_of(Version(change.plural, change.name, change.before, change.after) for change in changes)


class Performer:
    """Does in the simulation what a script says."""

    def __init__(self, world: World, scenario: Scenario | None) -> None:
        self._world = world
        self._scenario = scenario
        self._user = User(world)

    async def roll_out(self) -> None:
        """Another template, seen by the StatefulSet controller."""
        before = self._world.stateful_set()["status"]["updateRevision"]
        self._user.roll_out()
        await self._until(lambda: self._world.stateful_set()["status"]["updateRevision"] != before)

    async def scale(self, replicas: int) -> None:
        self._user.scale(replicas)

    async def pause(self, paused: bool) -> None:
        self._user.pause(paused)

    async def delete_pod(self, ordinal: int) -> None:
        uid = self._world.pod(ordinal)["metadata"]["uid"]
        self._user.delete_pod(ordinal)
        await self._until(lambda: uid not in {pod["metadata"]["uid"] for pod in self._world.pods()})

    async def until_pods(self, count: int) -> None:
        """So many pods, and all of them ready."""
        await self._until(
            lambda: len(self._world.pods()) == count and all(is_true(pod, "Ready") for pod in self._world.pods())
        )

    async def until_shut(self, ordinal: int) -> None:
        await self._until(lambda: not is_true(self._world.pod(ordinal), names.SERVING))

    async def until_updated(self, ordinal: int) -> None:
        """This pod is of the template's revision, and ready."""

        def is_updated() -> bool:
            wanted = self._world.stateful_set()["status"]["updateRevision"]
            found = [pod for pod in self._world.pods() if pod["metadata"]["name"].endswith(f"-{ordinal}")]
            return any(revision_of(pod) == wanted and is_true(pod, "Ready") for pod in found)

        await self._until(is_updated)

    async def until_complete(self) -> None:
        if self._scenario is not None:
            await self._world.run(limit_seconds=1)
            await self._scenario.until_complete()
            return

        def is_accepted() -> bool:
            status = self._world.stateful_set()["status"]
            return bool(status["currentRevision"] == status["updateRevision"])

        await self._until(is_accepted)

    async def _until(self, probe: Any) -> None:
        await self._world.run(until=probe, limit_seconds=300)
