"""Rows that read as prose: pods, StatefulSets, specs, ledgers and snapshots, each healthy and at rest by default.

A pod is gated, fenced, soaked, and its facts are true of its one container, `store`, which declares the ports `http`
and `admin`. Whatever is named `ago` or `since` counts seconds back from `NOW`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from statefulrollout.api import names
from statefulrollout.api.v1alpha1 import Spec
from statefulrollout.core.asks import Answer, Report
from statefulrollout.core.fence import STRATEGIES
from statefulrollout.core.floor import ALL, kept_at_rest
from statefulrollout.core.ledger import Declaration, FailedRevision, Ledger, Member
from statefulrollout.core.snapshot import (
    BudgetView,
    ContainerView,
    Facts,
    FenceKind,
    Floor,
    OwnBudget,
    PodCondition,
    PodView,
    Rollout,
    ServiceView,
    Snapshot,
    StatefulSetView,
)
from statefulrollout.core.stages import places_of
from statefulrollout.core.validation import parse_spec

NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""
HOUR = 3600.0
STORE = "store"
PORTS = {"http": 8080, "admin": 8081}
FOREIGN = {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}
Json = dict[str, Any]


@dataclass(frozen=True)
class APod(PodView):
    """A pod that is told, one word after the other, what is different about it."""

    def at(self, revision: str) -> Self:
        """Of another revision."""
        return replace(self, revision=revision)

    def condition(self, kind: str, status: bool, since: float = 0) -> Self:
        """With this condition, changed so long ago."""
        return replace(self, conditions={**self.conditions, kind: PodCondition(status, NOW - since)})

    def serving_since(self, since: float) -> Self:
        """In service for so long only."""
        return self.condition(names.SERVING, True, since).condition("Ready", True, since)

    def isolated(self, leaves_for: str, *, stuck: bool = False) -> Self:
        """Out of service, because it leaves."""
        ids = {container.name: container.id for container in self.containers}
        shut = self.condition("Ready", False).condition(names.SERVING, False)
        return replace(shut, facts=Facts(leaves_for, ids, stuck))

    def turned(self, leaves_for: str = "v0") -> Self:
        """On its way back: what it was to leave for is not wanted any more."""
        pod = self.isolated(leaves_for)
        return replace(pod, facts=replace(pod.facts or Facts(), returning=True))

    def drained(self, leaves_for: str) -> Self:
        """On its way out, its drain done."""
        return self.isolated(leaves_for).condition(names.DRAINED, True)

    def migrated(self, leaves_for: str) -> Self:
        """On its way out, its migration done as well."""
        return self.drained(leaves_for).condition(names.MIGRATED, True)

    def let_go(self, leaves_for: str) -> Self:
        """Let go of, and not deleted yet."""
        return self.migrated(leaves_for).condition(names.RELEASED, True)

    def deleted(self) -> Self:
        """Deleted by somebody."""
        return replace(self, deleting_since=NOW - 1)

    def starting(self, since: float = 5) -> Self:
        """Just created: nothing runs yet, and its gate has never been written."""
        waiting = ContainerView(STORE, waiting_reason="ContainerCreating")
        conditions = {kind: PodCondition(False, NOW - since) for kind in ("Ready", "ContainersReady")}
        return replace(self, created=NOW - since, facts=None, containers=(waiting,), conditions=conditions)

    def came_back(self, since: float = 5) -> Self:
        """Created and up again, and not let into service yet."""
        up = replace(self.starting(since), containers=self.containers)
        return up.condition("ContainersReady", True, since)

    def restarted(self, *, ready: bool = True) -> Self:
        """Its container is another one than before, which is ready or still starting."""
        other = ContainerView(STORE, f"{self.uid}/2", running=True, ready=ready, restarts=1)
        return replace(self, containers=(other,)).condition("ContainersReady", ready).condition("Ready", ready)

    def failing_probe(self, since: float = 1) -> Self:
        """Its container runs and is not ready."""
        running = tuple(replace(container, ready=False) for container in self.containers)
        down = self.condition("ContainersReady", False, since).condition("Ready", False, since)
        return replace(down, containers=running)

    def waiting_in(self, reason: str, exit_code: int | None = None) -> Self:
        """Its container does not run, for this reason."""
        broken = ContainerView(STORE, f"{self.uid}/1", waiting_reason=reason, exit_code=exit_code)
        return replace(self.failing_probe(), containers=(broken,))

    def ungated(self) -> Self:
        """Created while nobody added the gate."""
        conditions = {kind: value for kind, value in self.conditions.items() if kind != names.SERVING}
        return replace(self, gated=False, conditions=conditions)

    def untouched(self) -> Self:
        """Never taken over: neither facts nor the label of the lid."""
        return replace(self, facts=None, fenced=False)

    def but(self, **fields: Any) -> Self:
        """With other values of fields that no other word is for."""
        return replace(self, **fields)


def a_pod(name: str, uid: str = "") -> APod:
    """A healthy pod of revision v1 that has served for an hour."""
    uid, ordinal = uid or f"uid-{name}", int(name.rpartition("-")[2])
    container = ContainerView(STORE, f"{uid}/1", running=True, ready=True)
    since = PodCondition(True, NOW - HOUR)
    return APod(
        name=name,
        uid=uid,
        ordinal=ordinal,
        revision="v1",
        created=NOW - HOUR,
        version=f"7{ordinal}",
        ip=f"10.0.0.{ordinal + 1}",
        node=f"node-{ordinal}",
        phase="Running",
        labels={"app": "db"},
        fenced=True,
        gated=True,
        conditions={"Ready": since, "ContainersReady": since, names.SERVING: since},
        facts=Facts(containers={STORE: container.id}),
        containers=(container,),
        ports=PORTS,
    )


def pods(count: int, revision: str = "v1") -> tuple[APod, ...]:
    """That many healthy pods, from db-0 on."""
    return tuple(a_pod(f"db-{ordinal}").at(revision) for ordinal in range(count))


def a_set(
    replicas: int = 3, *, wanted: str = "v1", accepted: str = "v1", fence: FenceKind = FenceKind.HOLD, **fields: Any
) -> StatefulSetView:
    """A StatefulSet `db` that creates its pods in parallel and has been seen by its controller."""
    declared = {name: frozenset({STORE}) for name in PORTS}
    view = StatefulSetView(
        name="db",
        uid="uid-db",
        generation=7,
        observed_generation=7,
        replicas=replicas,
        start_ordinal=0,
        current_revision=accepted,
        update_revision=wanted,
        ordered=False,
        update_strategy=FOREIGN if fence is FenceKind.FOREIGN else STRATEGIES[fence],
        version="700",
        ports=declared,
        numbered_ports={number: declared[name] for name, number in PORTS.items()},
    )
    return replace(view, **fields)


def a_rolling_set(replicas: int = 3, **fields: Any) -> StatefulSetView:
    """A StatefulSet on its way from v1 to v2, behind the fence that goes with it."""
    return a_set(replicas, **{"wanted": "v2", "fence": FenceKind.FORWARD, **fields})


def a_call(path: str, target: str = "Pod", **http: Any) -> Json:
    """A call on port admin."""
    return {"http": {"port": "admin", "path": path, **http}, "target": target}


def a_hook(path: str, target: str = "Pod", **fields: Any) -> Json:
    """A hook of that one call, and what else it has."""
    return {"apply": a_call(path, target), **fields}


DRAIN = a_hook("/drain", undo=a_call("/drain", method="DELETE"))
MEMBERSHIP = a_hook("/members", "AnyPeer")


def a_check(name: str = "calm", **fields: Any) -> Json:
    """A check that all serving pods must answer well."""
    call = a_call("/health", "Peers", method="GET")
    return {"name": name, "call": call, "expect": "status == 200", **fields}


def a_spec(**fields: Any) -> Spec:
    """A spec with a drain; `fields` are as on the wire, and None takes the drain away."""
    written = {"targetRef": {"name": "db"}, "drain": DRAIN, **fields}
    spec = parse_spec({name: value for name, value in written.items() if value is not None})
    assert isinstance(spec, Spec), spec
    return spec


def a_ledger(*members: PodView, failed: str = "", **fields: Any) -> Ledger:
    """The ledger of a rollout under way: `members` are declared and that is done, revision `failed` has failed."""
    told = tuple(Member(name=pod.name, uid=pod.uid, containers=(f"{pod.uid}/1",)) for pod in members)
    first = members[0].uid if members else ""
    declaration = Declaration(generation=17, members=told, coordinator=first, done=True, at=NOW - HOUR)
    failure = FailedRevision(revision=failed, reason="PodNotStarting", message="db-2: it crashed", at=NOW - 60)
    ledger = Ledger(
        uid="uid-ledger",
        resource_version="41",
        rollout_uid="uid-rollout",
        stateful_set_uid="uid-db",
        original_strategy={"type": "RollingUpdate"},
        declaration=declaration if members else Declaration(),
        failed=(failure,) if failed else (),
    )
    return ledger.model_copy(update=fields)


def a_report(answer: Answer, *, since: float = 0, **fields: Any) -> Report:
    """An answer of this moment that has been the same for so long; progress was last made then, too."""
    report = Report(answer, at=NOW, since=NOW - since, text=f"it said {answer.value}", progressed=NOW - since)
    return replace(report, **fields)


def a_floor(kept: int = 2) -> Floor:
    """Our budgets, counted; the one over pods at rest keeps so many."""
    return Floor(OwnBudget("uid-in-motion", ALL, observed=True), OwnBudget("uid-at-rest", kept, observed=True))


def a_snapshot(
    target: StatefulSetView | None,
    *present: PodView,
    spec: Spec | None = None,
    ledger: Ledger | None = None,
    reports: Mapping[str, Report] | None = None,
    isolated: Mapping[str, float] | None = None,
    budgets: tuple[BudgetView, ...] = (),
    services: Mapping[str, ServiceView] | None = None,
) -> Snapshot:
    """What one pass sees; of the pods in `isolated` no EndpointSlice has told for so many seconds.

    Our own budgets are as they shall be.
    """
    snapshot = Snapshot(
        rollout=Rollout("shop", "db", "uid-rollout", 3, spec or a_spec(), created=NOW - 2 * HOUR),
        target=target,
        pods=present,
        ledger=ledger or a_ledger(),
        reports=reports or {},
        isolated={uid: NOW - ago for uid, ago in (isolated or {}).items()},
        budgets=budgets,
        services=services or {},
    )
    kept = kept_at_rest(target, places_of(snapshot, NOW)) if target else ALL
    return replace(snapshot, floor=a_floor(kept))
