"""Whoever wants pods off their node, as they go about it."""

from __future__ import annotations

import contextlib

from statefulrollout.errors import ApiError
from tests.simulation.scenario import Scenario
from tests.simulation.world.apiserver import USER
from tests.simulation.world.eviction import evict
from tests.simulation.world.objects import Json
from tests.simulation.world.world import NAMESPACE, World

ASK_SECONDS = 5.0
"""`kubectl drain` asks that often."""


class Drain:
    """A node that is cordoned, and whose pods somebody wants off it."""

    def __init__(self, scenario: Scenario, node: str) -> None:
        self._world = scenario.world
        scenario.user.cordon(node)
        self.wanted = {pod["metadata"]["uid"] for pod in self._world.pods() if pod["spec"].get("nodeName") == node}
        self.given_up = False

    @property
    def is_over(self) -> bool:
        """Whether none of the pods is left."""
        return not self._left()

    def ask(self) -> None:
        """Ask once for the eviction of those that are left; a refusal is an answer."""
        for pod in self._left():
            with contextlib.suppress(ApiError):
                ask_for_eviction_of(self._world, pod)

    def _left(self) -> list[Json]:
        return [pod for pod in self._world.pods() if pod["metadata"]["uid"] in self.wanted]


def begin_drain(scenario: Scenario, node: str) -> Drain:
    """`kubectl drain`: asks until all are gone, or it is given up."""
    drain = Drain(scenario, node)

    def go_on() -> None:
        if drain.given_up:
            return
        drain.ask()
        if not drain.is_over:
            scenario.world.timeline.after(ASK_SECONDS, "the drain asks again", go_on)

    go_on()
    return drain


def ask_for_eviction_of(world: World, pod: Json) -> None:
    """One request; raises ApiError."""
    meta, options = pod["metadata"], {"uid": pod["metadata"]["uid"], "version": "", "grace": None}
    evict(world.server, NAMESPACE, meta["name"], USER, options, world.clock())
