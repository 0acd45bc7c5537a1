"""What only the leader does: it waits for the Lease, leads, and hands over once nothing moves any more.

The office holds the views of StatefulSets and pods, kopf, the sweep, the hooks, and the workers that reconcile. What
reaches out of the process beside the API server comes as `Means`.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

import aiohttp
import structlog

from statefulrollout.errors import KubeError
from statefulrollout.handlers import hear_rollouts
from statefulrollout.hooks.http import open_session
from statefulrollout.hooks.reach import Reach
from statefulrollout.hooks.runner import HookRunner
from statefulrollout.kube.client import Kube
from statefulrollout.kube.events import Events
from statefulrollout.kube.exec import execute
from statefulrollout.kube.leader import Leader
from statefulrollout.kube.queue import WorkQueue
from statefulrollout.kube.reflector import Key
from statefulrollout.kube.secrets import Secrets
from statefulrollout.kube.sources import Sources
from statefulrollout.reconcile import Reconciler
from statefulrollout.settings import Settings

log = structlog.stdlib.get_logger(__name__)

_FAILED_SWEEP_SECONDS = 5.0


def tune_garbage_collection() -> None:
    """Keep the collector off what lives for ever: parsing big lists otherwise costs three times as much."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@dataclass(frozen=True)
class Means:
    """What an office takes from its surroundings.

    Attributes:
        open_session: opens the HTTP session of the hooks.
        hear: tells our views of StatefulRollouts until it is cancelled, beside what they see themselves.
        settled: called once the views are complete.
        clock: seconds since the epoch.
    """

    open_session: Callable[[], AbstractAsyncContextManager[aiohttp.ClientSession]] = open_session
    hear: Callable[[Sources], Coroutine[None, None, None]] = hear_rollouts
    settled: Callable[[], None] = tune_garbage_collection
    clock: Callable[[], float] = time.time


@dataclass(frozen=True)
class Office:
    """The leader's office, of one replica."""

    kube: Kube
    leader: Leader
    sources: Sources
    queue: WorkQueue[Key]
    settings: Settings
    means: Means = field(default_factory=Means)

    async def hold(self) -> None:
        """Wait for the Lease and lead until cancelled; then end the work, close the hooks and release the Lease."""
        await self.leader.acquire()
        renewal = asyncio.create_task(self.leader.renew_forever())
        try:
            await self._lead()
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)
            await self.leader.release()

    async def _lead(self) -> None:
        """Do the leader's work; leaves no hook and no worker behind."""
        clock, wake = self.means.clock, self.queue.wake_up
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(self.means.open_session())
            run_commands = partial(execute, self.kube) if self.settings.exec_enabled else None
            reach = Reach(session, Secrets(self.kube, clock), run_commands)
            hooks = HookRunner(reach, wake, lambda: self.leader.is_leader, clock)
            stack.push_async_callback(hooks.aclose)
            events = Events(self.kube, self.settings.pod_name, clock)
            stack.push_async_callback(events.flush)
            reconciler = Reconciler(self.kube, hooks, events, self.leader.check, self.sources, clock)
            async with asyncio.TaskGroup() as group:
                group.create_task(self.sources.stateful_sets.run())
                group.create_task(self.sources.pods.run())
                for view in (self.sources.rollouts, self.sources.stateful_sets, self.sources.pods):
                    await view.synced.wait()
                self.means.settled()
                group.create_task(self.means.hear(self.sources))
                group.create_task(events.run())
                group.create_task(self._sweep(reconciler))
                group.create_task(self.queue.run(reconciler.reconcile, workers=self.settings.workers))

    async def _sweep(self, reconciler: Reconciler) -> None:
        """Look at everything there is, at once and then every so many seconds, whatever was heard or missed."""
        every, within = self.settings.sweep_seconds, 0.0
        while True:
            try:
                self.queue.add_all(await reconciler.sweep(), within=within)
                within, wait = every / 2, every * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret
            except KubeError as error:
                wait = min(every, _FAILED_SWEEP_SECONDS)
                log.warning("the sweep did not succeed", error=str(error), again_seconds=wait)
            await asyncio.sleep(wait)
