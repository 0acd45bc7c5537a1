"""One moment of one rollout: everything a decision may rest on, frozen.

`kube/observe.py` is the only producer. Nothing here was computed from our own earlier status; what is not known
is `None` or absent, and is judged as unhealthy. Times are seconds since the epoch (UTC). A pod is identified by
its UID, never by its name: a StatefulSet re-creates pods under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from statefulrollout.api import names
from statefulrollout.api.v1alpha1 import Spec
from statefulrollout.core.addressing import addressed_containers
from statefulrollout.core.asks import Report
from statefulrollout.core.ledger import Ledger

KUBELET_SECONDS = 10.0
"""By when the kubelet has surely seen a closed gate."""


class FenceKind(StrEnum):
    """What decides at which revision a deleted pod comes back."""

    HOLD = "Hold"
    FORWARD = "Forward"
    ACCEPT = "Accept"
    FOREIGN = "Foreign"


@dataclass(frozen=True)
class ContainerView:
    """A container as the kubelet last reported it; `id` is empty until it has started once."""

    name: str
    id: str = ""
    running: bool = False
    since: float = 0.0
    """When it began to run."""
    ready: bool = False
    restarts: int = 0
    waiting_reason: str = ""
    waiting_message: str = ""
    exit_code: int | None = None


@dataclass(frozen=True)
class PodCondition:
    """One of the conditions in the pod's status, with the time it last changed its status."""

    status: bool
    since: float
    reason: str = ""


@dataclass(frozen=True)
class Restart:
    """The restart of a pod in place: the IDs of the containers that shall be replaced, by name, and when it began."""

    containers: Mapping[str, str]
    at: float


@dataclass(frozen=True)
class Facts:
    """The annotation that says what the pod's conditions were true for.

    `wanted` is the revision the pod leaves for (empty while it serves); `containers` maps the name of each
    container to the ID it had. `stuck` says that the pod was chosen because it could not become
    healthy: it serves nobody, so nothing is asked of it. `returning` says that it goes back to service, and is written
    before anything is taken back: whatever was still to be written for its departure meets another version. `restart`
    is that of a pod which was updated in place, until it serves again. `withdrawn` is the version at which the pod had
    been chosen to leave, and does not leave after all: that this was written changes the version.
    """

    wanted: str = ""
    containers: Mapping[str, str] = field(default_factory=dict)
    stuck: bool = False
    returning: bool = False
    restart: Restart | None = None
    withdrawn: str = ""


@dataclass(frozen=True)
class PodView:
    """A pod of the StatefulSet."""

    name: str
    uid: str
    ordinal: int
    revision: str
    created: float
    version: str = ""
    """The resourceVersion it was read at: what is decided on this view is written only onto this version."""
    ip: str = ""
    node: str = ""
    phase: str = "Pending"
    deleting_since: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    fenced: bool = False
    gated: bool = False
    conditions: Mapping[str, PodCondition] = field(default_factory=dict)
    facts: Facts | None = None
    containers: tuple[ContainerView, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    unschedulable: str = ""
    claims: tuple[str, ...] = ()
    """Names of the PersistentVolumeClaims that it mounts."""
    volumes_owned_by_pod: tuple[str, ...] = ()
    eviction_asked: float | None = None
    """When its eviction was last asked for."""

    def is_true(self, condition: str) -> bool:
        """Whether the pod has this condition, and it is True."""
        found = self.conditions.get(condition)
        return found is not None and found.status

    def since(self, condition: str) -> float | None:
        """When the condition last changed its status, or None where the pod does not have it."""
        found = self.conditions.get(condition)
        return None if found is None else found.since

    @property
    def awaits_restart(self) -> tuple[str, ...]:
        """Names of the containers that the kubelet still has to replace after an update in place."""
        restart = self.facts.restart if self.facts else None
        if restart is None:
            return ()
        return tuple(each.name for each in self.containers if restart.containers.get(each.name) == each.id)

    @property
    def ready(self) -> bool:
        """Ready as Services see it: containers ready and every readiness gate True."""
        return self.is_true("Ready")

    @property
    def containers_ready(self) -> bool:
        """Containers ready, whatever the gates say."""
        return self.is_true("ContainersReady")

    @property
    def unready_since(self) -> float:
        """Since when its containers are not ready, if they are not: as long as it exists, or since they were last."""
        return max(self.created, self.since("ContainersReady") or 0.0)

    @property
    def serving(self) -> bool:
        """Whether our gate is open."""
        return self.is_true(names.SERVING)

    def is_written_off(self, now: float) -> bool:
        """Whether the kubelet knows that our gate is closed, so that the pod cannot become ready.

        That it is not ready is not enough: where the gate was open a moment ago, the kubelet may be about to write that
        it is, from what it saw then. It knows once it wrote the pod off after the gate closed, and surely after
        `KUBELET_SECONDS`.
        """
        closed, dark = self.since(names.SERVING), self.since("Ready")
        if self.serving or self.ready:
            return False
        return closed is None or now >= closed + KUBELET_SECONDS or (dark is not None and dark >= closed)

    @property
    def released(self) -> bool:
        """Whether the lid lets the StatefulSet controller delete the pod."""
        return self.is_true(names.RELEASED)

    @property
    def terminating(self) -> bool:
        """Whether somebody has deleted the pod and its grace period runs."""
        return self.deleting_since is not None

    @property
    def finished(self) -> bool:
        """Whether its containers have ended for good (Failed or Succeeded)."""
        return self.phase in ("Failed", "Succeeded")


@dataclass(frozen=True)
class StatefulSetView:
    """The workload: what the user declared and what its controller reports."""

    name: str
    uid: str
    generation: int
    observed_generation: int
    replicas: int
    start_ordinal: int
    current_revision: str
    update_revision: str
    ordered: bool
    update_strategy: Mapping[str, object]
    updated: int = 0
    """Pods of the wanted revision, as the controller last counted them."""
    ready: int = 0
    """Ready pods, as the controller last counted them."""
    version: str = ""
    """The resourceVersion it was read at."""
    containers: frozenset[str] = frozenset()
    """Names of the template's containers."""
    ports: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Names of the declared ports, and of the containers that declare each."""
    port_numbers: Mapping[str, int] = field(default_factory=dict)
    """Names of the declared ports, and their numbers."""
    numbered_ports: Mapping[int, frozenset[str]] = field(default_factory=dict)
    selector: Mapping[str, Any] = field(default_factory=dict)
    """The LabelSelector of its pods."""
    controller: str = ""
    """`Kind/name` of the object that controls the StatefulSet, where there is one."""
    strategy_writers: tuple[str, ...] = ()
    """Field managers other than ours that wrote the partition in `updateStrategy`."""

    @property
    def ordinals(self) -> range:
        """The ordinals that shall exist."""
        return range(self.start_ordinal, self.start_ordinal + self.replicas)

    @property
    def observed(self) -> bool:
        """Whether the controller has seen the latest spec; until then its revisions may be the old ones."""
        return self.observed_generation >= self.generation


@dataclass(frozen=True)
class BudgetView:
    """A PodDisruptionBudget that selects pods of the set."""

    name: str
    disruptions_allowed: int
    pods: frozenset[str]
    """UIDs of the pods of this set that it selects."""
    observed: bool = True


@dataclass(frozen=True)
class OwnBudget:
    """A PodDisruptionBudget of ours, its `minAvailable`, and whether its pods have been counted."""

    uid: str
    keeps: object
    observed: bool


@dataclass(frozen=True)
class Floor:
    """Our PodDisruptionBudgets over the pods in motion and over the others; None where one does not exist."""

    in_motion: OwnBudget | None = None
    at_rest: OwnBudget | None = None


@dataclass(frozen=True)
class ServiceView:
    """A Service named by a call."""

    name: str
    host: str
    ports: Mapping[str, int]
    selects_pods: bool


@dataclass(frozen=True)
class Rollout:
    """The StatefulRollout itself."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: Spec
    created: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """Everything known about one rollout at one moment.

    `reports` are the latest answers of the application by ask id. `isolated` says of a pod, by UID, since
    when we have seen no EndpointSlice that shows it serving; a pod that some slice still shows is absent. `zones`
    are those of the pods' nodes, by node, where the order is by zone; a node without the label is absent. `may_exec`
    says whether this operator runs commands in pods. `dependencies` are those of every StatefulRollout of the
    namespace, by its name; `unfinished` says of those that ours depends on what they still have before them.
    `motion` says which pod of another set in our group is on its way out or not yet back, empty where none is.
    `templates` are the pod templates of the set's revisions, where pods may be updated in place. `anchors` names, by
    the pod's UID, a claim of it that no other node than the pod's own can mount, while a pod is to leave; `cordoned`
    are those of their nodes that take no new pods. `floor` and `budgets` are our PodDisruptionBudgets and those of
    others that select pods of the set; `floor` is None where nobody looked at either.

    The surroundings are `budgets`, `floor`, `unfinished`, `motion`, `anchors` and `cordoned`: only the choice of a pod
    looks at them. `surveyed` says whether they are known.
    """

    rollout: Rollout
    target: StatefulSetView | None
    pods: tuple[PodView, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    reports: Mapping[str, Report] = field(default_factory=dict)
    isolated: Mapping[str, float] = field(default_factory=dict)
    budgets: tuple[BudgetView, ...] = ()
    services: Mapping[str, ServiceView] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)
    may_exec: bool = False
    dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unfinished: Mapping[str, str] = field(default_factory=dict)
    motion: str = ""
    templates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    anchors: Mapping[str, str] = field(default_factory=dict)
    cordoned: frozenset[str] = frozenset()
    floor: Floor | None = None
    surveyed: bool = True

    @cached_property
    def addressed(self) -> frozenset[str]:
        """Names of the containers that hooks address."""
        return addressed_containers(self.rollout.spec, self.target)
