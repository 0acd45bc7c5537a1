"""The operator's process in the simulated world: its own parts, joined as its `__main__` joins them.

Real are the reconciler, the sweep, the queue, the reflectors, the hook client and the events; left out are the
election, kopf and the servers. `kill` is SIGKILL: every task stops where it is, and a call under way is never answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import aiohttp

from statefulrollout.__main__ import sweep_forever
from statefulrollout.errors import StatefulRolloutError
from statefulrollout.handlers import Sources
from statefulrollout.hooks.runner import HookRunner
from statefulrollout.kube.events import Events
from statefulrollout.kube.queue import WorkQueue
from statefulrollout.kube.reflector import Key
from statefulrollout.reconcile import Reconciler
from tests.simulation.world.rest import Request, SimulatedKube
from tests.simulation.world.session import ApplicationSession
from tests.simulation.world.world import World

SWEEP_SECONDS = 60.0


class Process:
    """One life of the operator."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.kube = SimulatedKube(world.transport)
        self.queue: WorkQueue[Key] = WorkQueue()
        self.sources = Sources(self.kube, self.queue.wake_up)
        self.session = ApplicationSession(world.application)
        session = cast("aiohttp.ClientSession", self.session)
        self.hooks = HookRunner(session, self.queue.wake_up, world.clock)
        events = Events(self.kube, "statefulrollout-0", world.clock)
        self.reconciler = Reconciler(self.kube, self.hooks, events, lambda: None, world.clock)
        self.task = asyncio.create_task(self._live(), name="operator")

    def end(self) -> None:
        """Stop every task at once; nothing it still tries reaches the API server."""
        self.kube.dead = self.session.dead = True
        self.task.cancel()
        self._closing = asyncio.create_task(self.hooks.aclose())

    async def _live(self) -> None:
        views = (self.sources.rollouts, self.sources.stateful_sets, self.sources.pods)
        async with asyncio.TaskGroup() as group:
            for view in views:
                group.create_task(view.run())
            for view in views:
                await view.synced.wait()
            group.create_task(sweep_forever(self.reconciler, self.queue, SWEEP_SECONDS))
            group.create_task(self.queue.run(self._reconcile, workers=4))

    async def _reconcile(self, key: Key) -> float | None:
        """One pass; a mistake of the operator's own ends the test, where the queue would only try again."""
        try:
            return await self.reconciler.reconcile(key)
        except StatefulRolloutError:
            raise
        except Exception as error:
            self._world.fail(error)
            raise


class Operator:
    """Starts, kills and restarts the operator.

    Attributes:
        restart_seconds: from its death at a crash point until it runs again.
        lives: how often it was started.
    """

    def __init__(self, world: World, restart_seconds: float = 2.0) -> None:
        self._world = world
        self._process: Process | None = None
        self.restart_seconds = restart_seconds
        self.lives = 0
        self.start()

    @property
    def process(self) -> Process:
        """The process that runs now."""
        assert self._process is not None, "the operator is down"
        return self._process

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self._process is not None

    def start(self) -> None:
        """Start it with nothing in its memory."""
        assert self._process is None, "the operator is up already"
        self.lives += 1
        self._process = process = Process(self._world)
        process.task.add_done_callback(self._ended)

    def kill(self) -> None:
        """End it where it is."""
        self._world.history.say(self._world.clock(), "operator killed")
        process, self._process = self.process, None
        process.end()

    def restart(self) -> None:
        """End it where it is, and start it anew."""
        self.kill()
        self.start()

    def crash_before_call(self, number: int, *, writes_only: bool = False) -> None:
        """Die just before the number-th API call from now takes effect (the first is 1), and come back later."""
        self._crash_at(self._world.transport.before, number, writes_only)

    def crash_after_call(self, number: int, *, writes_only: bool = False) -> None:
        """Die just after the number-th API call from now took effect, before its answer arrives; come back later."""
        self._crash_at(self._world.transport.after, number, writes_only)

    def _crash_at(self, scripts: list[Callable[[Request], None]], number: int, writes_only: bool) -> None:
        left = number

        def count(request: Request) -> None:
            nonlocal left
            left -= request.writes or not writes_only
            if left == 0:
                scripts.remove(count)
                self._world.history.say(self._world.clock(), f"crash point at {request}")
                self.kill()
                self._world.timeline.after(self.restart_seconds, "operator starts", self.start)

        scripts.append(count)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._world.fail(error)
