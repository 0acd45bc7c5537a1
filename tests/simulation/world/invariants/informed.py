"""What a replica of the operator knows: the ground on which its choices are judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from statefulrollout.api import names
from tests.simulation.world.invariants.base import Rule, rollout_spec
from tests.simulation.world.rest import Request
from tests.simulation.world.world import World


@dataclass(frozen=True)
class Read:
    """What a replica read last."""

    spec: Mapping[str, Any] = field(default_factory=dict)
    wanted: str = ""
    accepted: str = ""
    ordinals: range = range(0)

    @property
    def strategy(self) -> Mapping[str, Any]:
        """How far and how fast the rollout may go."""
        found: Mapping[str, Any] = self.spec.get("strategy", {})
        return found


class Informed(Rule):
    """A rule that judges a replica by what it had read when it acted: it could not know what was changed since."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._read: dict[int, Read] = {}

    def on_request(self, request: Request) -> str | None:
        if request.status != 200:
            return None
        read = self._read.get(id(request.link), Read())
        if request.method == "GET" and request.plural == names.PLURAL:
            read = replace(read, spec=rollout_spec(self.world))
        elif request.method == "GET" and request.plural == "statefulsets" and request.name:
            found = self.world.stateful_set()
            ordinals = range(found["spec"]["replicas"])
            wanted, accepted = (found["status"].get(f"{which}Revision", "") for which in ("update", "current"))
            read = replace(read, wanted=wanted, accepted=accepted, ordinals=ordinals)
        elif request.writes and request.plural == "pods":
            return self.judge(request, read)
        self._read[id(request.link)] = read
        return None

    def judge(self, request: Request, read: Read) -> str | None:
        """Judge a write to a pod by what its sender had read."""
        raise NotImplementedError
