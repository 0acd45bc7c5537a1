"""The StatefulRollout resource as users write it, version v1alpha1, and the one place to import its models from.

The models are the single source of the CRD (`crd.py`), of defaults, and of the wording in `kubectl explain`
(field descriptions). What one field cannot express on its own (exactly one of, immutability) is a CEL rule
beside the model. What needs the cluster to judge (does the port exist?) is not here: see `core/validation.py`.

Units are in the names: every duration is whole seconds. Unknown fields are refused.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt

from statefulrollout.api.calls import Call, Http, ServiceRef, Target
from statefulrollout.api.hooks import Check, CheckAt, Done, Drain, Hook, Membership, Migrate, OnTimeout, Restore
from statefulrollout.api.model import (
    DnsName,
    Flag,
    IntOrString,
    ListMap,
    Model,
    Percent,
    PositiveSeconds,
    Rule,
    Seconds,
)
from statefulrollout.api.status import Condition, PodStatus, Status, WaitingFor

__all__ = [
    "Call",
    "Check",
    "CheckAt",
    "Condition",
    "DeletionPolicy",
    "Done",
    "Drain",
    "Hook",
    "Http",
    "Json",
    "Membership",
    "Migrate",
    "Model",
    "OnTimeout",
    "PodStatus",
    "Removal",
    "Restore",
    "ServiceRef",
    "Spec",
    "Status",
    "Strategy",
    "Target",
    "TargetRef",
    "UnhealthyOutdated",
    "WaitingFor",
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


class DeletionPolicy(StrEnum):
    """What deleting the StatefulRollout does to the fence."""

    FREEZE = "Freeze"
    RELEASE = "Release"


class Removal(StrEnum):
    """How a released pod is removed."""

    EVICT = "Evict"
    DELETE = "Delete"


class UnhealthyOutdated(StrEnum):
    """May a broken pod of an older revision go first, outside the budget?"""

    REPLACE_IF_STUCK = "ReplaceIfStuck"
    REPLACE = "Replace"
    WAIT = "Wait"


class Strategy(Model):
    """How far and how fast a rollout may go."""

    max_unavailable: Annotated[
        StrictInt | Percent,
        IntOrString(max_length=4),
        Rule(
            rule="type(self) == int ? self >= 1 : self.matches('^([1-9][0-9]?|100)%$')",
            message="maxUnavailable is a number of pods, 1 or more, or a percentage from 1% to 100%",
        ),
    ] = Field(
        default=1,
        description="How many pods may be unavailable at one time because of the rollout: a number, or a percentage of "
        "spec.replicas (rounded down, at least one pod). Pods that are unavailable anyway count against it.",
    )
    allow_full_outage: Flag = Field(
        default=False,
        description="Set to true to let a rollout begin where maxUnavailable covers every pod, a single replica "
        "included: no pod serves then until the new ones do.",
    )
    soak_seconds: Seconds = Field(
        default=10,
        description="Seconds that a new pod must serve healthily before it counts and its revision is accepted.",
    )
    progress_deadline_seconds: PositiveSeconds = Field(
        default=600,
        description="Seconds for what has no deadline of its own, for example a pod to start, before its revision "
        "counts as failed.",
    )
    removal: Removal = Field(
        default=Removal.EVICT,
        description="How a drained pod is removed. Evict: by eviction, so that PodDisruptionBudgets see it. "
        "Delete: by a plain delete.",
    )
    unhealthy_outdated: UnhealthyOutdated = Field(
        default=UnhealthyOutdated.REPLACE_IF_STUCK,
        description="May a broken pod of an older revision go first, outside maxUnavailable? ReplaceIfStuck: if it "
        "cannot recover by itself. Replace: whenever it is not ready. Wait: never.",
    )


class Spec(Model):
    """What the user wants."""

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
    checks: Annotated[list[Check], Field(max_length=16), ListMap("name")] = Field(
        default=[], description="Questions about the application's health that must be answered well, at most 16."
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
