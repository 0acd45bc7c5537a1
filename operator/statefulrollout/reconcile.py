"""One pass over one StatefulSet: observe, decide, act, ask, report.

Any event means only "look again"; what it showed need not be read (`kube/known.py`). The key is the StatefulSet,
because that is what can be rolled by one hand only: its oldest StatefulRollout governs, any other is told so, and where
there is none any more, what we left on its pods is taken away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import structlog

from statefulrollout.api import names
from statefulrollout.api.v1alpha1 import Status
from statefulrollout.core.actions import awaits_others
from statefulrollout.core.farewell import decide_farewell, open_unattended_gates
from statefulrollout.core.plan import Plan, decide
from statefulrollout.core.snapshot import Floor, Snapshot, StatefulSetView
from statefulrollout.core.status import build_status, refusal
from statefulrollout.errors import Conflict, NotFound
from statefulrollout.hooks.runner import Hooks, Key
from statefulrollout.kube import paths
from statefulrollout.kube.act import Actor
from statefulrollout.kube.budgets import FloorMemory, budgets_of, list_budgets
from statefulrollout.kube.client import Kube, newest
from statefulrollout.kube.events import Events
from statefulrollout.kube.isolation import Isolation
from statefulrollout.kube.known import Heard, Known
from statefulrollout.kube.memory import Memory
from statefulrollout.kube.observe import observe
from statefulrollout.kube.report import report
from statefulrollout.kube.survey import survey
from statefulrollout.kube.views import controller_of
from statefulrollout.kube.workload import Rollouts, Workload, fetch_rollouts, fetch_workload
from statefulrollout.kube.zones import Zones

log = structlog.stdlib.get_logger(__name__)

Json = dict[str, Any]

AGAIN = 0.02
"""Seconds until the next look after a pass that changed something or met a conflict."""
LATER = 0.25
"""And where it is for others to answer first, which a watch tells of."""


class Hearsay(Protocol):
    """What watches have shown so far."""

    @property
    def namespaces(self) -> Sequence[str]:
        """The only ones that are looked at; all where there is none."""

    def of(self, namespace: str, stateful_set: str, keep: bool) -> Heard:
        """What was shown of a StatefulSet, with the pods since last time where that asked to `keep` them."""

    def take_in(self, pod: Json) -> None:
        """Take note of a pod as it was just written: that a watch shows the same is no reason to look."""


class Reconciler:
    """Reconciles StatefulSets, one pass at a time each."""

    def __init__(
        self,
        kube: Kube,
        hooks: Hooks,
        events: Events,
        leader_check: Callable[[], None],
        hearsay: Hearsay,
        clock: Callable[[], float] = time.time,
    ):
        """Use `leader_check` before every write (it raises where another replica leads) and `clock` for the time."""
        self._kube = kube
        self._hooks = hooks
        self._events = events
        self._leader_check = leader_check
        self._hearsay = hearsay
        self._clock = clock
        self._memory: dict[Key, Memory] = {}
        self._zones = Zones(kube, clock)
        self._groups: dict[Key, asyncio.Lock] = {}
        """By namespace and group: two sets of one must not both see the other at rest, and begin."""

    async def reconcile(self, key: Key) -> float | None:
        """Bring the StatefulSet `(namespace, name)` one step on.

        Returns:
            Seconds until time alone changes something; None where only an event can.
        """
        memory = self._memory.setdefault(key, Memory(Isolation(self._clock), self._zones, FloorMemory(self._clock)))
        known, heard = memory.known, self._heard(key, memory.known)
        rollouts, workload = await asyncio.gather(
            fetch_rollouts(self._kube, *key, heard.rollouts, known), fetch_workload(self._kube, *key, known, heard)
        )
        if not rollouts.ours:
            return await self._let_go(key, workload)
        group = rollouts.ours[0]["spec"].get("group")
        if group is None:
            return await self._pass(key, rollouts, workload, memory)
        async with self._groups.setdefault((key[0], group), asyncio.Lock()):
            # Whoever held the lock before may have begun since the set was read.
            workload = await fetch_workload(self._kube, *key, memory.known, self._heard(key, memory.known))
            return await self._pass(key, rollouts, workload, memory)

    def _heard(self, key: Key, known: Known) -> Heard:
        return self._hearsay.of(*key, keep=bool(known.pods))

    async def _pass(self, key: Key, rollouts: Rollouts, workload: Workload, memory: Memory) -> float | None:
        ours, known = rollouts.ours[0], memory.known
        for raw in rollouts.ours[1:]:
            governs = ours["metadata"]["name"]
            await self._refuse(
                raw,
                f"spec.targetRef.name: StatefulRollout {governs} is older and rolls this StatefulSet already: "
                "delete one of the two",
            )
        snapshot = await observe(self._kube, rollouts, workload, self._hooks.reports(key), memory)
        if snapshot is None:
            return AGAIN
        if not isinstance(snapshot, Snapshot):
            await self._refuse(ours, "; ".join(map(str, snapshot)))
            if workload.target is not None:
                actor = self._actor(key, workload.target, ours, known)
                await actor.act(open_unattended_gates(workload.pods))
            return None
        snapshot, now = replace(snapshot, may_exec=self._hooks.may_exec), self._clock()
        plan = decide(snapshot, now)
        if plan.wants_survey:
            snapshot, now = await survey(self._kube, snapshot, rollouts, memory), self._clock()
            if snapshot is None:
                return AGAIN
            plan = decide(snapshot, now)
        acted = True
        if snapshot.target is not None:
            actor = self._actor(key, snapshot.target, ours, known)
            version, known.version = known.version, ""
            if acted := await actor.act(plan.actions):
                known.version = newest(version, actor.wrote)
            actor.announce(plan.announcements)
        if acted:
            # A hook may be called only once the ledger remembers that it was begun.
            self._hooks.sync(key, plan.asks)
        if plan.actions:
            # What was seen is no longer so; the status follows from the next look, unless there is no end of them.
            if acted and memory.unsaid.is_overdue(now):
                await self._report(ours, snapshot, plan, memory, now)
            return LATER if acted and awaits_others(plan.actions) else AGAIN
        due_in = await self._report(ours, snapshot, plan, memory, now)
        recheck_in = None if plan.recheck_at is None else plan.recheck_at - self._clock()
        return min((max(AGAIN, wait) for wait in (due_in, recheck_in) if wait is not None), default=None)

    async def _let_go(self, key: Key, workload: Workload) -> float | None:
        self._memory.pop(key, None)
        if workload.target is None:
            self._hooks.sync(key, ())
            return None
        floor = Floor()
        if workload.ledger.rollout_uid:
            _, floor = budgets_of(await list_budgets(self._kube, key[0]), workload.target, workload.pods)
        reports = self._hooks.reports(key)
        farewell = decide_farewell(workload.target, workload.pods, workload.ledger, floor, reports)
        owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", **workload.raw}
        acted = await self._actor(key, workload.target, owner, Known()).act(farewell.actions)
        if acted:
            self._hooks.sync(key, farewell.asks)
        return AGAIN if farewell.actions else farewell.recheck_seconds

    async def _refuse(self, raw: Json, problems: str) -> None:
        status = refusal(raw["metadata"]["generation"], problems, raw.get("status") or {}, self._clock())
        await self._write_status(raw, status)

    async def _report(self, ours: Json, snapshot: Snapshot, plan: Plan, memory: Memory, now: float) -> float | None:
        """Write the status once it is due; seconds until the next look at it, None where it says everything."""
        status = build_status(snapshot, plan, ours.get("status") or {}, now)
        due_in, known = memory.unsaid.due_in(ours, status, now), memory.known
        known.rollout = ours
        if due_in != 0:
            return due_in
        known.rollout, memory.unsaid.since = await self._write_status(ours, status), None
        if known.rollout is not None:
            return None
        known.version = ""
        return AGAIN

    async def _write_status(self, raw: Json, status: Status) -> Json | None:
        self._leader_check()
        try:
            return await report(self._kube, raw, status)
        except (Conflict, NotFound) as error:
            log.debug("the StatefulRollout changed under the pass", error=str(error))
            return None

    def _actor(self, key: Key, target: StatefulSetView, regarding: Json, known: Known) -> Actor:
        metadata = regarding["metadata"]
        return Actor(
            kube=self._kube,
            events=self._events,
            namespace=key[0],
            target=target,
            regarding={
                "apiVersion": regarding.get("apiVersion") or names.API_VERSION,
                "kind": regarding.get("kind") or names.KIND,
                "namespace": key[0],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            leader_check=self._leader_check,
            clock=self._clock,
            take_in=self._hearsay.take_in,
            known=known,
        )

    async def sweep(self) -> list[Key]:
        """Every StatefulSet that bears a trace of us, whatever was heard or missed.

        Those are the targets of StatefulRollouts, those with a ledger, and the owners of pods under the lid.
        """
        keys: set[Key] = set()
        under_the_lid = {"labelSelector": f"{names.FENCED_LABEL}=true"}
        for namespace in self._hearsay.namespaces or (None,):
            for raw in await self._kube.list_all(paths.statefulrollouts(namespace)):
                keys.add((raw["metadata"]["namespace"], raw["spec"]["targetRef"]["name"]))
            for raw in await self._kube.list_all(paths.statefulrolloutledgers(namespace)):
                keys.add((raw["metadata"]["namespace"], raw["metadata"]["name"]))
            # All of a cluster's pods are more than would fit: page by page.
            async for page in self._kube.pages(paths.pods(namespace), params=under_the_lid):
                for metadata in (raw["metadata"] for raw in page.get("items") or ()):
                    owner = controller_of(metadata)
                    if owner is not None and owner["kind"] == "StatefulSet":
                        keys.add((metadata["namespace"], owner["name"]))
        return sorted(keys)
