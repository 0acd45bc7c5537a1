"""Who may act: one replica at a time, by a Lease, on the rules of Kubernetes' own components.

A candidate takes the Lease when it has *seen* the record unchanged for the Lease's duration on its own monotonic clock;
no wall clocks are compared. The holder counts its time from before the request that renewed it, and stops `duration -
renew_deadline` seconds before anybody else may start. Leadership is never handed back to running code: a watchdog
thread, which a blocked event loop cannot stop, ends the process. A request already on its way when the time ends is
what the Lease cannot stop; therefore every write of the operator carries a precondition.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from statefulrollout.errors import Conflict, KubeError, NotFound, NotLeader
from statefulrollout.kube import paths
from statefulrollout.kube.client import Json, Kube
from statefulrollout.kube.telemetry import LEADER

log = structlog.stdlib.get_logger(__name__)

LOST_EXIT_CODE = 3


class Watchdog:
    """Looks after the Lease from outside the event loop, and ends the process where it is lost."""

    def watch(self, look: Callable[[], float | None]) -> None:
        """Call `look` from now on, each time after as many seconds as it returned, until it returns None."""

        def run() -> None:
            while (pause := look()) is not None:
                time.sleep(pause)

        threading.Thread(target=run, name="lease-watchdog", daemon=True).start()

    def end_process(self) -> None:
        """End the process at once, without clean-up: nothing may run on after the Lease is lost."""
        os._exit(LOST_EXIT_CODE)


@dataclass(frozen=True)
class LeaseTimes:
    """The three durations of an election, in seconds: `retry` < `renew_deadline` < `duration`."""

    duration: float = 15.0
    """How long the others wait after the last renewal that they saw."""
    renew_deadline: float = 10.0
    """How long the holder goes on without a renewal."""
    retry: float = 2.0


class Leader:
    """One candidate for one Lease."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        name: str,
        identity: str,
        *,
        times: LeaseTimes = LeaseTimes(),
        watchdog: Watchdog | None = None,
    ):
        """Needs the running event loop, whose clock counts.

        `identity` must be new with every start: a restarted container does not hold what its past life held.
        """
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._path = paths.leases(namespace, name)
        self._identity = identity
        self._times = times
        self._request_timeout = times.renew_deadline / 3
        self._watchdog = watchdog or Watchdog()
        self._clock = asyncio.get_running_loop().time
        self._valid_until = 0.0
        self._held: Json | None = None
        self._seen: Json = {}
        self._seen_until = 0.0
        self._stopped = False
        self._stirred = 0.0
        """When this process last began or ended a try: a thread asks why there was none since."""
        self._problem = ""

    @property
    def is_leader(self) -> bool:
        """Whether this replica may act at this moment."""
        return self._clock() < self._valid_until

    def check(self) -> None:
        """Raise `NotLeader` unless this replica may act; called before every side effect."""
        if not self.is_leader:
            raise NotLeader(f"the Lease {self._namespace}/{self._name} is not held by {self._identity}")

    def lease_is_fresh(self) -> bool:
        """Whether somebody leads, as far as this replica, leader or standby, has seen."""
        return self.is_leader or self._clock() < self._seen_until

    async def acquire(self) -> None:
        """Return once this replica leads; from then on `renew_forever` must run."""
        while not await self._attempt():  # noqa: ASYNC110 - what changes is in the API server
            await asyncio.sleep(self._times.retry * random.uniform(1.0, 1.2))  # noqa: S311 - jitter, not a secret
        LEADER.set(1)
        log.info("leading", lease=self._name, identity=self._identity)
        self._watchdog.watch(self._look_after)

    async def renew_forever(self) -> None:
        """Renew until cancelled; returns only where somebody else holds the Lease (and the watchdog acts)."""
        while True:
            await asyncio.sleep(self._times.retry * random.uniform(0.8, 1.0))  # noqa: S311 - jitter, not a secret
            if not await self._attempt() and self._held is None:
                self._valid_until = 0.0
                return

    async def release(self) -> None:
        """Let the next replica start at once; only after all work has stopped. A Lease not held is left alone."""
        self._stopped = True
        held, leading = self._held, self.is_leader
        self._valid_until = 0.0
        self._held = None
        LEADER.set(0)
        if not leading or held is None:
            return
        held["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _micro_time()}
        try:
            await self._put(held)
        except KubeError as error:
            log.warning("the Lease was not released; it runs out by itself", error=str(error))

    async def _attempt(self) -> bool:
        """Try once to take or renew the Lease; whatever keeps the API server from doing it is a failed try.

        Afterwards `_held` is None where somebody else holds the Lease.
        """
        started = self._stirred = self._clock()
        try:
            self._held = await self._renew(self._held) if self._held else await self._take()
        except KubeError as error:
            self._problem = str(error)
            left = max(0.0, self._valid_until - self._clock())
            log.warning("the Lease was neither taken nor renewed", error=str(error), seconds_left=round(left, 1))
            return False
        finally:
            self._stirred = self._clock()
        if self._held is None:
            self._problem = f"it is held by {self._seen.get('holderIdentity')}"
            return False
        self._valid_until = started + self._times.renew_deadline
        return True

    async def _renew(self, held: Json) -> Json | None:
        held["spec"]["renewTime"] = _micro_time()
        try:
            return await self._put(held)
        except (Conflict, NotFound):
            # Written by somebody since, or by ourselves in a call whose answer was lost: only reading tells.
            return await self._take()

    async def _take(self) -> Json | None:
        """Read the Lease and take it where it is free, ours, or run out; None where another holds it."""
        now = _micro_time()
        mine = {"holderIdentity": self._identity, "leaseDurationSeconds": round(self._times.duration), "renewTime": now}
        try:
            lease = await self._kube.call("GET", self._path, timeout=self._request_timeout)
        except NotFound:
            if not self.is_leader and self._clock() < self._seen_until:
                return None
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name, "namespace": self._namespace},
                "spec": {**mine, "acquireTime": now, "leaseTransitions": 0},
            }
            path = paths.leases(self._namespace)
            return await self._kube.call("POST", path, body=lease, timeout=self._request_timeout)
        spec = lease.get("spec") or {}
        self._observe(spec)
        holder = spec.get("holderIdentity")
        if holder == self._identity:
            lease["spec"] = spec | mine
        elif holder and self._clock() < self._seen_until:
            return None
        else:
            transitions = int(spec.get("leaseTransitions") or 0) + 1
            lease["spec"] = spec | mine | {"acquireTime": now, "leaseTransitions": transitions}
        return await self._put(lease)

    def _observe(self, spec: Json) -> None:
        """Remember until when the record, as long as it does not change, keeps everybody else waiting."""
        if spec == self._seen:
            return
        self._seen = spec
        duration = float(spec.get("leaseDurationSeconds") or self._times.duration)
        self._seen_until = self._clock() + duration if spec.get("holderIdentity") else 0.0

    async def _put(self, lease: Json) -> Json:
        # The resourceVersion inside makes it a compare-and-swap.
        return await self._kube.call("PUT", self._path, body=lease, timeout=self._request_timeout)

    def _look_after(self) -> float | None:
        """End the process where the Lease is lost; returns in how many seconds to look again, None for never."""
        if self._stopped:
            return None
        if self.is_leader:
            return min(0.5, max(0.05, self._valid_until - self._clock()))
        idle = self._clock() - self._stirred
        # A try takes two requests at most, each of a third of the deadline.
        stood_still = f"this process stood still for {idle:.1f} s: it got no CPU, or worked on one thing all the time"
        problem = stood_still if idle > 0.8 * self._times.renew_deadline else self._problem
        log.error("the Lease is lost; ending the process", problem=problem, lease=self._name, identity=self._identity)
        self._watchdog.end_process()
        return None


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
