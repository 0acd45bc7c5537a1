"""The operator's processes in the simulated world: their own parts, joined as `__main__` joins them.

Real are the API client, the election, the office with its reconciler, sweep, queue and views, the hook client, the
events, and what the webhook decides; left out are kopf and the servers. `kill` is SIGKILL: every task stops where it
is, and a call under way is never answered. A frozen link is SIGSTOP: what was about to be sent is sent on its thaw.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from statefulrollout.core.evicting import Answer, answer_of
from statefulrollout.errors import NotLeader, StatefulRolloutError
from statefulrollout.kube.leader import Leader, LeaseTimes, Watchdog
from statefulrollout.kube.queue import WorkQueue
from statefulrollout.kube.reflector import Key
from statefulrollout.kube.sources import Sources
from statefulrollout.kube.views import pod_of
from statefulrollout.kube.webhook import decide_patch
from statefulrollout.office import Means, Office
from statefulrollout.settings import Settings
from tests.simulation.world.apiserver import OPERATOR
from tests.simulation.world.network import Late, Link
from tests.simulation.world.objects import Json, controller_of
from tests.simulation.world.rest import Request
from tests.simulation.world.session import ApplicationSession
from tests.simulation.world.world import World

SWEEP_SECONDS = 300.0
HOME = "operators"
USUAL_TIMES = LeaseTimes()


class Process:
    """One life of one replica; `bold` is one that believes that it leads whatever the Lease says."""

    def __init__(self, world: World, name: str, *, bold: bool, times: LeaseTimes) -> None:
        self._world = world
        self.name = name
        self.link = Link(OPERATOR)
        kube = world.network.connect(self.link)
        self.queue = _Queue(world)
        self.sources = Sources(kube, self.queue.wake_up)
        lease = name if bold else "statefulrollout"
        self.leader = Leader(kube, HOME, lease, name, times=times, watchdog=_Watchdog(world, self))
        self.link.leads = lambda: self.leader.is_leader
        session = ApplicationSession(world.application, self.link)
        means = Means(lambda: session, _hear_nothing, lambda: None, world.clock)  # type: ignore[arg-type, return-value]
        settings = Settings(
            namespace=HOME, pod_name=name, lease_name=lease, webhook_secret="-", webhook_configuration="-",
            webhook_service="-", workers=4, sweep_seconds=SWEEP_SECONDS, exec_enabled=True,
        )  # fmt: skip
        self.office = Office(kube, self.leader, self.sources, self.queue, settings, means)
        self.task = asyncio.create_task(self._live(), name=name)

    def end(self) -> None:
        """Stop every task at once; nothing it still tries reaches anybody."""
        self.link.dead = True
        self.link.held.clear()
        self.link.thaw()
        self.task.cancel()

    def answer_review(self, request: Json) -> list[Json] | None:
        """What the webhook makes of a pod; None where this replica does not answer."""
        if self.link.frozen:
            return None
        return decide_patch(request, self.sources.is_targeted)[1] if self.leader.lease_is_fresh() else []

    def answer_eviction(self, pod: Json, uid: str, now: float) -> Answer | None:
        """What the webhook of evictions makes of a request; None where this replica does not answer."""
        owner = controller_of(pod)
        ours = owner is not None and self.sources.is_targeted(pod["metadata"]["namespace"], owner["name"])
        return None if self.link.frozen or not ours else answer_of(pod_of(pod), uid, now)

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.sources.rollouts.run())
            group.create_task(self.office.hold())


class _Queue(WorkQueue[Key]):
    """The work queue; a mistake of the operator's own ends the test, where the queue would only try again."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def run(self, reconcile: Callable[[Key], Awaitable[float | None]], *, workers: int) -> None:
        async def watched(key: Key) -> float | None:
            try:
                return await reconcile(key)
            except StatefulRolloutError:
                raise
            except Exception as error:
                self._world.fail(error)
                raise

        await super().run(watched, workers=workers)


class _Watchdog(Watchdog):
    """Looks after the Lease in simulated time; stopped with its process while that is frozen."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    def watch(self, look: Callable[[], float | None]) -> None:
        def go_on() -> None:
            link = self._process.link
            if link.dead:
                return
            pause = 0.05 if link.frozen else look()
            if pause is not None:
                self._world.timeline.after(pause, f"watchdog of {self._process.name}", go_on)

        go_on()

    def end_process(self) -> None:
        self._world.history.say(self._world.clock(), f"{self._process.name} lost its Lease")
        self._process.end()


async def _hear_nothing(sources: Sources) -> None:
    del sources
    await asyncio.get_running_loop().create_future()


class Operator:
    """Starts, kills, freezes and restarts the operator's replicas.

    Attributes:
        restart_seconds: from the death of a process until the next one of its replica runs.
        processes: those that run, by replica.
        lives: how many processes were started.
    """

    def __init__(
        self,
        world: World,
        *,
        replicas: int = 1,
        bold: bool = False,
        times: LeaseTimes = USUAL_TIMES,
        restart_seconds: float = 2.0,
    ) -> None:
        self._world = world
        self._times = times
        self._bold = bold
        self.lives = 0
        self._stopped: set[int] = set()
        self.restart_seconds = restart_seconds
        self.processes: dict[int, Process] = {}
        world.webhook.answer = self._answer_review
        world.evictions.answer = self._answer_eviction
        for replica in range(replicas):
            self._begin(replica)

    @property
    def leader(self) -> Process | None:
        """Who holds the Lease by its own account."""
        return next((process for process in self.processes.values() if process.leader.is_leader), None)

    def count_leaders(self) -> int:
        """How many replicas believe that they lead."""
        return sum(process.leader.is_leader for process in self.processes.values())

    def start(self) -> None:
        """Start the replicas that were killed, with nothing in their memory."""
        for replica in sorted(self._stopped):
            self._begin(replica)
        self._stopped.clear()

    def kill(self) -> None:
        """End every replica where it is, until `start`."""
        self._world.history.say(self._world.clock(), "operator killed")
        for replica, process in self.processes.items():
            process.end()
            self._stopped.add(replica)
        self.processes.clear()

    def replace(self) -> None:
        """SIGTERM to every replica; the next one of each starts when it has ended."""
        for process in self.processes.values():
            self._world.history.say(self._world.clock(), f"{process.name} told to stop")
            process.task.cancel()

    def crash(self, link: object = None) -> None:
        """End the replica with this link (the leader's, if none is given) where it is; it comes back by itself."""
        for process in list(self.processes.values()):
            if process.link is link or (link is None and process is self.leader):
                self._world.history.say(self._world.clock(), f"{process.name} killed")
                process.end()

    def crash_before_call(self, number: int, *, writes_only: bool = False) -> None:
        """Die just before the number-th API call from now takes effect (the first is 1), and come back later."""
        self._crash_at(self._world.network.before, number, writes_only, lambda request: None)

    def crash_after_call(self, number: int, *, writes_only: bool = False) -> None:
        """Die just after the number-th API call from now took effect, before its answer arrives; come back later."""
        self._crash_at(self._world.network.after, number, writes_only, lambda request: None)

    def crash_during_call(self, number: int, seconds: float, *, writes_only: bool = False) -> None:
        """Die while the number-th API call from now is on its way: it takes effect so many seconds later."""

        def arrive_late(request: Request) -> None:
            raise Late(seconds)

        self._crash_at(self._world.network.before, number, writes_only, arrive_late)

    def _crash_at(
        self, scripts: list[Callable[[Request], None]], number: int, writes_only: bool, then: Callable[[Request], None]
    ) -> None:
        left = number

        def count(request: Request) -> None:
            nonlocal left
            left -= request.writes or not writes_only
            if left == 0:
                scripts.remove(count)
                self._world.history.say(self._world.clock(), f"crash point at {request}")
                self.crash(request.link)
                then(request)

        scripts.append(count)

    def _begin(self, replica: int) -> None:
        assert replica not in self.processes, f"replica {replica} is up already"
        self.lives += 1
        process = Process(self._world, f"statefulrollout-{replica}_{self.lives}", bold=self._bold, times=self._times)
        self.processes[replica] = process
        process.task.add_done_callback(lambda task: self._ended(replica, process, task))

    def _ended(self, replica: int, process: Process, task: asyncio.Task[None]) -> None:
        """A process has ended, by whatever it was: the kubelet starts the next, unless it was to stay down."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, BaseExceptionGroup):
            _, error = error.split(NotLeader)
        if isinstance(error, Exception):
            self._world.fail(error)
        process.end()
        if self.processes.get(replica) is process:
            del self.processes[replica]
            self._world.timeline.after(self.restart_seconds, f"replica {replica} starts", lambda: self._revive(replica))

    def _revive(self, replica: int) -> None:
        if replica not in self.processes and replica not in self._stopped:
            self._begin(replica)

    def _answer_eviction(self, pod: Json, uid: str, now: float) -> Answer | None:
        answers = (process.answer_eviction(pod, uid, now) for process in self.processes.values())
        return next((answer for answer in answers if answer is not None), None)

    def _answer_review(self, request: Json) -> list[Json]:
        for process in self.processes.values():
            patch = process.answer_review(request)
            if patch is not None:
                return patch
        return []
