"""How far, how fast and when a rollout may go, and what becomes of a revision that fails, as users write it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StrictInt

from statefulrollout.api.measures import Role
from statefulrollout.api.model import (
    DnsName,
    Flag,
    IntOrString,
    ListSet,
    Model,
    Percent,
    PositiveSeconds,
    Rule,
    Seconds,
)


def _pods_or_percent(field: str) -> Rule:
    return Rule(
        rule="type(self) == int ? self >= 1 : self.matches('^([1-9][0-9]?|100)%$')",
        message=f"{field} is a number of pods, 1 or more, or a percentage from 1% to 100%",
    )


class PodUpdate(StrEnum):
    """How a drained pod becomes one of another revision."""

    RECREATE = "Recreate"
    IN_PLACE_IF_POSSIBLE = "InPlaceIfPossible"


class UnhealthyOutdated(StrEnum):
    """May a broken pod of an older revision go first, outside the budget?"""

    REPLACE_IF_STUCK = "ReplaceIfStuck"
    REPLACE = "Replace"
    WAIT = "Wait"


class OnFailure(StrEnum):
    """What becomes of the pods of a revision that failed."""

    PAUSE = "Pause"
    ROLLBACK = "Rollback"


class OrderBy(StrEnum):
    """Which pods go first."""

    REVERSE_ORDINAL = "ReverseOrdinal"
    ZONE = "Zone"
    ROLE = "Role"


class Order(Model):
    """In which order pods go, but for broken ones, which go first."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="has(self.role) == (has(self.by) && self.by == 'Role')",
            message="role says how pods are told apart where by is Role, and there alone: add it, or set by to Role",
            field_path=".role",
        ),
        Rule(
            rule="!has(self.topologyKey) || (has(self.by) && self.by == 'Zone')",
            message="topologyKey is for an order by Zone: set by to Zone, or remove it",
            field_path=".topologyKey",
        ),
    )

    by: OrderBy = Field(
        default=OrderBy.REVERSE_ORDINAL,
        description="ReverseOrdinal: from the highest ordinal down. Zone: zone by zone, in the order of their names. "
        "Role: those with a role named in role.last go last. Among equals, from the highest ordinal down.",
    )
    topology_key: Annotated[str, Field(min_length=1, max_length=316)] | None = Field(
        default=None,
        description="Node label whose value is the zone. Unset: topology.kubernetes.io/zone.",
    )
    role: Role | None = Field(default=None, description="How roles are told, and which go last. Only where by is Role.")


class Pause(Model):
    """How long a rollout rests at a step."""

    seconds: PositiveSeconds | None = Field(
        default=None, description="Seconds to rest, from when the step was reached. Unset: until spec.promote says so."
    )


class Step(Model):
    """A total over the rollout: so many pods, then a rest."""

    pods: Annotated[StrictInt | Percent, IntOrString(max_length=4), _pods_or_percent("pods")] = Field(
        description="How many pods shall be at the wanted revision and have soaked: a number, or a percentage of "
        "spec.replicas (rounded down, at least one pod). No further pod goes before the rest is over."
    )
    pause: Pause = Field(description="How long to rest there; {} rests until spec.promote says so.")


class Window(Model):
    """A time at which pods may go."""

    schedule: Annotated[str, Field(min_length=9, max_length=128)] = Field(
        description="When it opens: a cron expression of five fields (minute, hour, day of month, month, day of week), "
        "for example 0 2 * * 1-5."
    )
    time_zone: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        default="UTC",
        description="The IANA name of the schedule's time zone, for example Europe/Berlin; its daylight saving counts.",
    )
    duration_seconds: PositiveSeconds = Field(description="Seconds that it stays open.")


class Strategy(Model):
    """How far and how fast a rollout may go."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!(has(self.reversible) && !self.reversible && has(self.onFailure) && self.onFailure == 'Rollback')",
            message="a revision that is not reversible cannot be rolled back: set onFailure to Pause, "
            "or reversible to true",
            field_path=".onFailure",
        ),
    )

    max_unavailable: Annotated[StrictInt | Percent, IntOrString(max_length=4), _pods_or_percent("maxUnavailable")] = (
        Field(
            default=1,
            description="How many pods may be unavailable at one time because of the rollout: a number, or a "
            "percentage of spec.replicas (rounded down, at least one pod). Pods that are unavailable anyway count "
            "against it.",
        )
    )
    allow_full_outage: Flag = Field(
        default=False,
        description="Set to true to let a rollout begin where maxUnavailable covers every pod, a single replica "
        "included: no pod serves then until the new ones do.",
    )
    order: Order = Field(default=Order(), description="In which order pods go.")
    steps: Annotated[list[Step], Field(max_length=20)] = Field(
        default=[],
        description="Totals at which the rollout of a revision rests, in rising order, at most 20. A step is reached "
        "when so many pods are at the wanted revision and have soaked.",
    )
    soak_seconds: Seconds = Field(
        default=10,
        description="Seconds that a new pod must serve healthily before it counts and its revision is accepted.",
    )
    min_seconds_between_pods: Seconds = Field(
        default=0, description="Seconds between taking out one pod for a new revision and the next. 0: no wait."
    )
    windows: Annotated[list[Window], Field(max_length=16)] = Field(
        default=[],
        description="When pods may leave for a new revision, at most 16. Pods in motion finish when a window closes; "
        "broken pods and a rollback wait for none. Empty: at any time.",
    )
    progress_deadline_seconds: PositiveSeconds = Field(
        default=600,
        description="Seconds for what has no deadline of its own, for example a pod to start, before its revision "
        "counts as failed.",
    )
    on_failure: OnFailure = Field(
        default=OnFailure.PAUSE,
        description="What becomes of a revision that failed. Pause: its pods stay, and no further pod goes. Rollback: "
        "its pods go back to the accepted revision, broken ones first; the pod template stays as it is.",
    )
    reversible: Flag = Field(
        default=True,
        description="Whether pods of the accepted revision can take over what the wanted one has written. If false, a "
        "pod that dies never comes back at the accepted revision once one has moved, and nothing is rolled back.",
    )
    pod_update: PodUpdate = Field(
        default=PodUpdate.RECREATE,
        description="How a drained pod becomes one of another revision. Recreate: it is removed, and comes back new. "
        "InPlaceIfPossible: where the two pod templates differ in images of containers, and in labels or annotations "
        "beside them, only its containers are restarted; address, node and volumes stay.",
    )
    unhealthy_outdated: UnhealthyOutdated = Field(
        default=UnhealthyOutdated.REPLACE_IF_STUCK,
        description="May a broken pod of an older revision go first, outside maxUnavailable? ReplaceIfStuck: if it "
        "cannot recover by itself. Replace: whenever it is not ready. Wait: never.",
    )


class Promote(Model):
    """The user's word to go on from a step. It speaks of one revision, so it means nothing for the next."""

    revision: DnsName = Field(description="The revision that is promoted, as status.wantedRevision shows it.")
    step: Annotated[int, Field(strict=True, ge=1, le=20)] = Field(
        description="The step whose rest is over, counted from 1; those before it are over as well."
    )


class Abort(Model):
    """The user's word to give a revision up: its pods go back to the accepted revision."""

    revision: DnsName = Field(
        description="The revision that is given up, as status.wantedRevision shows it. Remove abort to go on with it."
    )


class Retry(Model):
    """The user's word to try a revision again that has failed."""

    revision: DnsName = Field(description="The revision to try again, as status.wantedRevision shows it.")
    nonce: Annotated[int, Field(strict=True, ge=1)] = Field(
        description="Any number; each change of it is one more try."
    )


class Override(Model):
    """The user's word to let pods go although certain guards say not now, for the rollout of one revision."""

    revision: DnsName = Field(description="The revision that it is about, as status.wantedRevision shows it.")
    guards: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=63)]], Field(min_length=1, max_length=16), ListSet()
    ] = Field(description="Names of the guards that are passed over; docs/guards.md says what each prevents.")
