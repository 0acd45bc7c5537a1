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
    """`kubectl drain` of one node: cordons it, and asks for the eviction of its pods until they are gone."""

    def __init__(self, scenario: Scenario, node: str) -> None:
        self._world = scenario.world
        scenario.user.cordon(node)
        self.wanted = {pod["metadata"]["uid"] for pod in self._world.pods() if pod["spec"].get("nodeName") == node}
        self._given_up = False
        self._ask()

    @property
    def is_over(self) -> bool:
        """Whether none of the pods is left."""
        return not self._left()

    def give_up(self) -> None:
        """Ask no more."""
        self._given_up = True

    def _left(self) -> list[Json]:
        return [pod for pod in self._world.pods() if pod["metadata"]["uid"] in self.wanted]

    def _ask(self) -> None:
        if self._given_up:
            return
        for pod in self._left():
            with contextlib.suppress(ApiError):
                ask_for_eviction_of(self._world, pod)
        if self._left():
            self._world.timeline.after(ASK_SECONDS, "the drain asks again", self._ask)


def ask_for_eviction_of(world: World, pod: Json) -> None:
    """One request; raises ApiError."""
    meta, options = pod["metadata"], {"uid": pod["metadata"]["uid"], "version": "", "grace": None}
    evict(world.server, NAMESPACE, meta["name"], USER, options, world.clock())
