"""The StatefulRollout resource as users write it, version v1alpha1, and the one place to import its models from.

The models are the single source of the CRD (`crd.py`), of defaults, and of the wording in `kubectl explain`
(field descriptions). What one field cannot express on its own (exactly one of, immutability) is a CEL rule
beside the model. What needs the cluster to judge (does the port exist?) is not here: see `core/validation.py`.

Units are in the names: every duration is whole seconds. Unknown fields are refused.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from statefulrollout.api.calls import Call, Exec, Http, ServiceRef, Target
from statefulrollout.api.credentials import AuthFrom, AuthType, CaFrom, Scheme, Tls
from statefulrollout.api.hooks import (
    Check,
    CheckAt,
    Done,
    Drain,
    Hook,
    Membership,
    Migrate,
    OnTimeout,
    Preparation,
    Restore,
)
from statefulrollout.api.measures import Capacity, Load, Role, RoleQuestion
from statefulrollout.api.model import DnsName, Flag, ListMap, Model, Rule
from statefulrollout.api.status import Condition, PodStatus, Status, WaitingFor
from statefulrollout.api.strategy import (
    Abort,
    OnFailure,
    Order,
    OrderBy,
    Override,
    Pause,
    PodUpdate,
    Promote,
    Retry,
    Step,
    Strategy,
    UnhealthyOutdated,
    Window,
)

__all__ = [
    "Abort",
    "AuthFrom",
    "AuthType",
    "CaFrom",
    "Call",
    "Capacity",
    "Check",
    "CheckAt",
    "Condition",
    "DeletionPolicy",
    "Dependency",
    "Done",
    "Drain",
    "Exec",
    "Hook",
    "Http",
    "Json",
    "Load",
    "Membership",
    "Migrate",
    "Model",
    "OnFailure",
    "OnTimeout",
    "Order",
    "OrderBy",
    "Override",
    "Pause",
    "PodStatus",
    "PodUpdate",
    "Preparation",
    "Promote",
    "Restore",
    "Retry",
    "Role",
    "RoleQuestion",
    "Scheme",
    "ServiceRef",
    "Spec",
    "Status",
    "Step",
    "Strategy",
    "Target",
    "TargetRef",
    "Tls",
    "UnhealthyOutdated",
    "WaitingFor",
    "Window",
]

Json = dict[str, Any]


class TargetRef(Model):
    """The workload whose pods are rolled."""

    api_version: Literal["apps/v1"] = Field(default="apps/v1", description="API version of the target: apps/v1.")
    kind: Literal["StatefulSet"] = Field(default="StatefulSet", description="Kind of the target: StatefulSet.")
    name: Annotated[
        DnsName,
        Rule(
            rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
            message="a StatefulSet's name has lower-case letters, digits, dots and dashes only",
        ),
    ] = Field(description="Name of the StatefulSet, in the namespace of the StatefulRollout.")


class Dependency(Model):
    """Another StatefulRollout that comes first."""

    name: DnsName = Field(description="Name of a StatefulRollout in the same namespace.")


class DeletionPolicy(StrEnum):
    """What deleting the StatefulRollout does to the fence."""

    FREEZE = "Freeze"
    RELEASE = "Release"


class Spec(Model):
    """What the user wants."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.abort) || self.strategy.reversible",
            message="strategy.reversible is false, so nothing can go back: set paused to true to stop the rollout, "
            "or apply another pod template",
            field_path=".abort",
        ),
        Rule(
            rule="self.strategy.reversible || !("
            + " || ".join(
                f"(has(self.{hook}) && self.{hook}.onTimeout == 'Rollback')"
                for hook in ("drain", "migrate", "membership", "restore")
            )
            + " || (has(self.beforeRollout) && self.beforeRollout.exists(step, step.onTimeout == 'Rollback')))",
            message="strategy.reversible is false, so nothing can go back: set onTimeout to Pause in every hook",
        ),
        Rule(
            rule="!has(self.abort) || !has(self.retry) || self.abort.revision != self.retry.revision",
            message="abort gives up the revision that retry tries again: remove one of the two",
            field_path=".retry",
        ),
    )

    target_ref: Annotated[
        TargetRef,
        Rule(
            rule="self == oldSelf",
            message="targetRef cannot change: delete this StatefulRollout and create one for the other StatefulSet",
        ),
    ] = Field(description="The StatefulSet whose pods are rolled; one StatefulRollout each. Cannot be changed.")
    paused: Flag = Field(
        default=False,
        description="While true no further pod is taken out; pods that are already in motion finish.",
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.FREEZE,
        description="What deleting this object does. Freeze: a new pod template moves nothing until somebody changes "
        "the StatefulSet's updateStrategy. Release: the updateStrategy from before is put back.",
    )
    strategy: Strategy = Field(default=Strategy(), description="How far and how fast a rollout may go.")
    depends_on: Annotated[list[Dependency], Field(max_length=16), ListMap("name")] = Field(
        default=[],
        description="StatefulRollouts that come first, at most 16: no pod leaves for a new revision before the wanted "
        "revision of each is accepted and all its pods are ready. They must not depend on each other in a circle.",
    )
    group: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        default=None,
        description="Name of a group in this namespace. No pod leaves for a new revision while another "
        "StatefulRollout of the group has a pod on its way out or not yet back.",
    )
    capacity: Capacity | None = Field(
        default=None,
        description="What the pods that remain must carry. Unset: only maxUnavailable limits how many may be away.",
    )
    checks: Annotated[list[Check], Field(max_length=16), ListMap("name")] = Field(
        default=[], description="Questions about the application's health that must be answered well, at most 16."
    )
    before_rollout: Annotated[list[Preparation], Field(max_length=4), ListMap("name")] = Field(
        default=[],
        description="What is done, one after the other, before the first pod of a rollout leaves, at most 4; for "
        "example a snapshot, or stopping a balancer. The undo of each follows, in reverse, once the rollout is over.",
    )
    drain: Drain | None = Field(
        default=None,
        description="How the leaving pod finishes what it has in hand. Unset: it is only taken out of its Services.",
    )
    migrate: Migrate | None = Field(
        default=None,
        description="How the leaving pod hands its state over to the others, after its drain. Unset: it has none.",
    )
    membership: Membership | None = Field(
        default=None,
        description="How the application is told which pods it shall consist of. Unset: it finds out by itself.",
    )
    restore: Restore | None = Field(
        default=None,
        description="How a pod that came back is prepared before it serves. Unset: it serves once it is ready.",
    )
    promote: Promote | None = Field(
        default=None, description="Set by you to go on from a step of strategy.steps. Never written by the operator."
    )
    abort: Abort | None = Field(
        default=None,
        description="Set by you to give a revision up: its pods go back to the accepted revision, and the pod "
        "template stays as it is. Never written by the operator.",
    )
    retry: Retry | None = Field(
        default=None,
        description="Set by you to try a revision again that has failed. Never written by the operator.",
    )
    override: Override | None = Field(
        default=None,
        description="Set by you to pass over guards in the rollout of one revision; said aloud in an event for each "
        "pod, and in the condition Overridden. Never written by the operator.",
    )
