"""A cluster in memory: every part joined, and the time they share.

A `World` belongs to the simulated loop it is made in. Await `run` or `step` to let things happen; `history` tells
what did. The operator is not in here: `driver.py` runs it against `kube`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

from statefulrollout.api import names
from tests.simulation.world.admission import EvictionWebhook, Lid, PodWebhook
from tests.simulation.world.apiserver import OPERATOR, USER, ApiServer, Change
from tests.simulation.world.application import Application
from tests.simulation.world.commands import Commands
from tests.simulation.world.endpoints import EndpointSliceController, GarbageCollector
from tests.simulation.world.eviction import DisruptionController
from tests.simulation.world.history import History
from tests.simulation.world.kubelet import Kubelet
from tests.simulation.world.loop import SimulatedLoop
from tests.simulation.world.network import Link, Network
from tests.simulation.world.nodes import Nodes
from tests.simulation.world.objects import Json, ordinal_of
from tests.simulation.world.rest import Request
from tests.simulation.world.statefulset import StatefulSetController
from tests.simulation.world.timeline import Timeline

NAMESPACE = "shop"
NAME = "kvstore"


class NotReached(AssertionError):
    """What was waited for did not come about in time."""


class InvariantBroken(AssertionError):
    """Something happened that must never happen."""


class Invariant(Protocol):
    """A rule that is checked while the world turns. Each method returns what is wrong, or None."""

    def on_change(self, change: Change) -> str | None:
        """After each write of anybody."""
        ...

    def on_request(self, request: Request) -> str | None:
        """After each request of the operator."""
        ...


def is_neighbours(plural: str, name: str) -> bool:
    """Whether an object is of another StatefulSet than the one that is watched."""
    ours = name in ("", NAME) or name.startswith(f"{NAME}-")
    return plural in ("pods", "statefulsets", names.PLURAL, names.LEDGER_PLURAL) and not ours


class World:
    """Everything but the operator.

    Attributes:
        server: the API server, with its writes open to tests.
        kube: a client of it that is the operator's.
        user: a client of it that is a human's.
        webhook, evictions, lid: admission; `up` and `installed` switch it.
        history: what happened, in words.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._loop = SimulatedLoop.current()
        random.seed(seed or 0)
        self.timeline = self._loop.timeline = Timeline(seed)
        self.server = ApiServer(self.clock)
        self.history = History()
        self.server.subscribers.append(self.history.hear)
        self.network = Network(self.server, self.timeline)
        self.kube = self.network.connect(Link(OPERATOR))
        self.user = self.network.connect(Link(USER))
        self.webhook = PodWebhook(self.server)
        self.evictions = EvictionWebhook(self.server, self.clock)
        self.lid = Lid(self.server)
        self.kubelet = Kubelet(self.server, self.timeline)
        self.nodes = Nodes(self.server, self.timeline, self.kubelet)
        self.stateful_set_controller = StatefulSetController(self.server, self.timeline)
        self.endpoints = EndpointSliceController(self.server, self.timeline)
        self.disruption = DisruptionController(self.server, self.timeline)
        self.garbage = GarbageCollector(self.server, self.timeline)
        self.application = Application(self.kubelet, self.timeline)
        self.network.commands = Commands(self.kubelet, self.application)
        self.invariants: list[Invariant] = []
        self._broken: Exception | None = None
        self.server.subscribers.append(self._check_change)
        self.network.after.append(self._check_request)

    def clock(self) -> float:
        """Simulated seconds since the epoch."""
        return self.timeline.now

    @property
    def lost_keys(self) -> set[int]:
        """Keys that died with a container."""
        return self.application.lost_keys

    def pods(self) -> list[Json]:
        """The pods of the set in order of their ordinals."""
        pods = [
            pod for pod in self.server.list("pods", NAMESPACE) if not is_neighbours("pods", pod["metadata"]["name"])
        ]
        return sorted(pods, key=lambda pod: ordinal_of(pod["metadata"]["name"]))

    def pod(self, ordinal: int) -> Json:
        """One pod of the set; raises ApiError 404 where there is none."""
        return self.server.get("pods", NAMESPACE, f"{NAME}-{ordinal}")

    def stateful_set(self) -> Json:
        """The StatefulSet."""
        return self.server.get("statefulsets", NAMESPACE, NAME)

    def rollout(self) -> Json:
        """The StatefulRollout."""
        return self.server.get(names.PLURAL, NAMESPACE, NAME)

    def watch(self, *invariants: Invariant) -> None:
        """Check these rules from now on; a broken one ends `run`."""
        self.invariants.extend(invariants)

    def fail(self, error: Exception) -> None:
        """Make the `run` under way, or the next one, raise this."""
        self._broken = self._broken or error

    async def step(self) -> None:
        """Let the next thing happen."""
        before = self.timeline.steps
        await self.run(until=lambda: self.timeline.steps > before)

    async def run(self, until: Callable[[], bool] | None = None, limit_seconds: float = 3600.0) -> None:
        """Let things happen until the condition holds; without one, for that many seconds.

        Raises:
            NotReached: it does not hold within `limit_seconds` of simulated time.
            InvariantBroken: a rule was broken on the way.
        """
        reached: asyncio.Future[None] = self._loop.create_future()

        def look() -> bool:
            if reached.done():
                return True
            try:
                if self._broken is not None:
                    raise self._broken
                if until is not None and until():
                    reached.set_result(None)
            except Exception as error:
                reached.set_exception(error)
            return reached.done()

        self._loop.look = look
        try:
            async with asyncio.timeout(limit_seconds):
                await reached
        except TimeoutError:
            if until is not None:
                raise NotReached(f"not within {limit_seconds:g} s:\n{self.history.tail()}") from None
        finally:
            self._loop.look = lambda: False

    def _check_change(self, change: Change) -> None:
        for invariant in self.invariants if not is_neighbours(change.plural, change.name) else ():
            self._judge(invariant, invariant.on_change(change))

    def _check_request(self, request: Request) -> None:
        for invariant in self.invariants if not is_neighbours(request.plural, request.name) else ():
            self._judge(invariant, invariant.on_request(request))

    def _judge(self, invariant: Invariant, problem: str | None) -> None:
        if problem is not None:
            name = type(invariant).__name__
            self.history.say(self.clock(), f"BROKEN {name}: {problem}")
            self.fail(InvariantBroken(f"{name}: {problem}\n{self.history.tail()}"))
