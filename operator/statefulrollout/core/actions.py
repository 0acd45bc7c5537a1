"""What a plan may do to the cluster, as data; `kube/act.py` carries each out with its preconditions.

Actions are listed in the order in which they must happen: what is remembered before what is done on the strength of
it, the fence before the pods, marks before removals. The first that meets a conflict ends the pass.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from statefulrollout.api import names
from statefulrollout.core.ledger import Ledger
from statefulrollout.core.snapshot import Facts, PodView


@dataclass(frozen=True)
class WriteLedger:
    """Replace the ledger; its `resource_version` is the one it was decided on."""

    ledger: Ledger


@dataclass(frozen=True)
class SetFence:
    """Replace `spec.updateStrategy` as a whole, if the StatefulSet still is as it was read."""

    strategy: Mapping[str, object]
    reason: str
    message: str


@dataclass(frozen=True)
class MakeBudget:
    """Make one of our PodDisruptionBudgets, which goes with the ledger of this UID.

    Not with the StatefulRollout: whom that one leaves in motion is still to be protected, and brought back.
    """

    name: str
    ledger_uid: str
    spec: Mapping[str, object]


@dataclass(frozen=True)
class LimitBudget:
    """Keep another number of pods by one of our PodDisruptionBudgets, by UID."""

    name: str
    uid: str
    keeps: int


@dataclass(frozen=True)
class RemoveBudget:
    """Remove one of our PodDisruptionBudgets, by UID."""

    name: str
    uid: str


class Motion(StrEnum):
    """Which of our budgets a pod is under, by its label: the one at rest, the one in motion, or neither any more."""

    AT_REST = "AtRest"
    IN_MOTION = "InMotion"
    RELEASED = "Released"


@dataclass(frozen=True)
class MarkPod:
    """Write conditions, facts and labels on a pod, in one patch, if it still is as it was read.

    `conditions` maps the condition type to the new status; `reason` (CamelCase) and `message` go with all of them.
    """

    pod: PodView
    reason: str
    message: str
    conditions: Mapping[str, bool] = field(default_factory=dict)
    facts: Facts | None = None
    fenced: bool | None = None
    motion: Motion | None = None


@dataclass(frozen=True)
class RemovePod:
    """Delete a released pod, by UID, if nobody has written to it since it was read or released."""

    pod: PodView
    reason: str
    message: str


@dataclass(frozen=True)
class Change:
    """What turns a pod of one template into one of another; a label or annotation that goes is None."""

    images: Mapping[str, str]
    labels: Mapping[str, str | None] = field(default_factory=dict)
    annotations: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The new images, for humans."""
        return ", ".join(f"{name}: {image}" for name, image in self.images.items())


@dataclass(frozen=True)
class UpdateInPlace:
    """Make the pod one of another revision by one write, and remember the containers that are replaced thereby.

    `otherwise` is done where the API server does not let it be so.
    """

    pod: PodView
    revision: str
    change: Change
    facts: Facts
    reason: str
    message: str
    otherwise: tuple[MarkPod | RemovePod, ...] = ()


Action = WriteLedger | SetFence | MakeBudget | LimitBudget | RemoveBudget | MarkPod | RemovePod | UpdateInPlace


def awaits_others(actions: Collection[Action]) -> bool:
    """Whether it is for others to go on with every pod that was acted on: no look is due before a watch tells of them.

    The kubelet has to see a gate closed or opened, and whoever deletes or re-creates a pod to do so.
    """
    last = {action.pod.uid: action for action in actions if isinstance(action, MarkPod | RemovePod | UpdateInPlace)}
    whole = all(isinstance(action, WriteLedger | MarkPod | RemovePod | UpdateInPlace) for action in actions)
    return whole and bool(last) and all(map(_is_answered, last.values()))


def _is_answered(action: MarkPod | RemovePod | UpdateInPlace) -> bool:
    if not isinstance(action, MarkPod):
        return True
    opens, pod = action.conditions.get(names.SERVING), action.pod
    return (opens is True and pod.containers_ready) or (opens is False and pod.ready)


@dataclass(frozen=True)
class Announcement:
    """An event for humans: on the StatefulRollout, and on the pod where there is one."""

    reason: str
    note: str
    pod: PodView | None = None
    warning: bool = False
