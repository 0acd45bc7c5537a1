"""What users read: the status of a StatefulRollout, as `kubectl get`, `kubectl wait` and `kubectl describe` show it.

Computed last from the same facts as the actions and never read back: whoever deletes it loses nothing. Texts that
do not fit their field are cut, since a status the API server refuses would tell nobody anything.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from statefulrollout.api.model import Count, ListMap, Message, Model, Observation, Timestamp, Word

MAX_PODS = 100
"""How many pods `status.pods` lists at most."""
MAX_PODS_AT_REST = 20
"""It is filled up to so many with pods at rest: to write a hundred that all wait for the same costs more than a pod."""


class Condition(Model):
    """A condition in the form of Kubernetes' `metav1.Condition`."""

    type: Annotated[str, Field(min_length=1, max_length=316)] = Field(
        description="Ready, Reconciling, Stalled, Paused, Degraded or Overridden. Reconciling and Stalled are never "
        "both True."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="One CamelCase word for programs: why the status is what it is."
    )
    message: Message = Field(
        default="", description="One sentence for humans: what is so, and what to do where something is to be done."
    )
    observed_generation: int = Field(description="metadata.generation of the spec that the condition speaks about.")
    last_transition_time: Timestamp = Field(description="When status last changed, RFC 3339 in UTC.")


class WaitingFor(Model):
    """What holds a pod up."""

    name: Word = Field(description="The guard, hook or check that says not now, or what else is awaited.")
    observed: Observation = Field(description="The value that was seen, in words.")
    since: Timestamp | None = Field(default=None, description="Since when, RFC 3339 in UTC.")


class PodStatus(Model):
    """Where one pod stands."""

    name: Word = Field(description="Name of the pod.")
    stage: Word = Field(
        description="Serving, Isolating, Draining, Migrating, Released, Starting, Restoring, Soaking or Updated."
    )
    revision: Word | None = Field(default=None, description="The ControllerRevision that the pod was made from.")
    since: Timestamp | None = Field(default=None, description="Since when it stands there, RFC 3339 in UTC.")
    waiting_for: WaitingFor | None = Field(default=None, description="What it waits for. Unset: nothing holds it up.")


class Status(Model):
    """What the operator saw and does. Written last, never read back."""

    observed_generation: Annotated[int, Field(strict=True)] = Field(
        description="metadata.generation of the spec that this status speaks about; -1: the operator has not seen it."
    )
    phase: Word = Field(default="", description="One word for humans; programs read conditions.")
    message: Message = Field(default="", description="One sentence: what is being done, what is awaited, and why.")
    accepted_revision: Word | None = Field(
        default=None, description="The revision that a pod comes back at while nothing is rolling."
    )
    wanted_revision: Word | None = Field(
        default=None, description="The revision of the StatefulSet's present pod template."
    )
    replicas: Count = Field(default=0, description="Number of pods that the StatefulSet shall have.")
    updated: Count = Field(
        default=0, description="Number of pods at the wanted revision that have served healthily for soakSeconds."
    )
    ready: Count = Field(default=0, description="Number of pods that are ready, gates included.")
    in_motion: Count = Field(default=0, description="Number of pods on their way out or back in.")
    ungated: Count = Field(
        default=0,
        description="Number of pods without the readiness gate; they are drained but cannot be isolated first.",
    )
    fence: Word | None = Field(
        default=None,
        description="At which revision a pod that dies comes back. Hold: the accepted one. Forward: the wanted one. "
        "Accept: the wanted one, which is just becoming the accepted one. Foreign: somebody else wrote updateStrategy.",
    )
    step: Word = Field(
        default="-", description="Steps whose rest is over, of all, like 1/3, for the column STEP; - without steps."
    )
    updated_of: Word = Field(default="", description="Updated pods of all, like 3/5, for the column UPDATED.")
    ready_of: Word = Field(default="", description="Ready pods of all, like 5/5, for the column READY.")
    conditions: Annotated[list[Condition], Field(max_length=16), ListMap("type")] = Field(
        default=[],
        description="Ready, Reconciling, Stalled, Paused, Degraded and Overridden, all present after the first visit.",
    )
    pods: Annotated[list[PodStatus], Field(max_length=MAX_PODS), ListMap("name")] = Field(
        default=[],
        description="Where each pod stands: those in motion, at most 100; then, up to 20 in all, those that "
        "wait for something, and others.",
    )
