"""The hooks and checks by which the application takes part in a rollout, as users write them.

Hooks are made of calls (`calls.py`) and of the words on when a call counts as done, stalled or late. When each is
called is no matter of this file.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from statefulrollout.api.calls import Call, without_pod
from statefulrollout.api.model import Expression, ListSet, Model, PositiveSeconds, Rule, Seconds

_STALL = Rule(
    rule="!has(self.stallSeconds) || self.stallSeconds < self.deadlineSeconds",
    message="stallSeconds must be shorter than deadlineSeconds, or it never applies",
    field_path=".stallSeconds",
)


HookName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Rule(
        rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        message="name is lower-case letters, digits and -, and begins and ends with a letter or digit",
    ),
]


class OnTimeout(StrEnum):
    """What a hook's deadline or stall means for the rollout."""

    PAUSE = "Pause"
    PROCEED = "Proceed"
    ROLLBACK = "Rollback"


class CheckAt(StrEnum):
    """When a check must pass."""

    BEFORE_POD = "BeforePod"
    AFTER_POD = "AfterPod"


class Done(Model):
    """Asks whether what `apply` began has finished."""

    call: Call = Field(description="The question, usually a GET; asked again until expect is true.")
    expect: Expression = Field(
        description="CEL over the answer; only the boolean true counts, for example json.inFlight == 0. "
        "Sees status or exitCode, json, text, pod, members and, with target Peers, answers."
    )
    stable_for_seconds: Seconds = Field(
        default=0, description="Seconds that expect must stay true without a break. 0: one good answer is enough."
    )


class Hook(Model):
    """A step that the application takes in the life of one pod. Begun, it is completed or undone."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.settleSeconds + (has(self.done) ? self.done.stableForSeconds : 0) < self.deadlineSeconds",
            message="settleSeconds and done.stableForSeconds together must be shorter than deadlineSeconds, "
            "or the hook can never finish in time",
            field_path=".deadlineSeconds",
        ),
        _STALL,
    )

    apply: Call = Field(
        description="The request that begins the step. It must be idempotent: it is repeated until the answer is final "
        "(by http 200 or 204 done, 202 in progress, 409, 423 or 503 not now, 404, 405 or 501 misconfigured; by exec "
        "exit code 0 done, 75 in progress)."
    )
    expect: Expression | None = Field(
        default=None,
        description="CEL that a good answer to apply (2xx, exit code 0) must also satisfy, for applications that "
        "answer so and mean an error. Sees status or exitCode, json, text, pod, members and, with target Peers, "
        "answers. Unset: the code decides.",
    )
    settle_seconds: Seconds = Field(
        default=0,
        description="Seconds to wait after apply was accepted: longer than clients cache addresses. 0: no wait.",
    )
    done: Done | None = Field(
        default=None,
        description="How to find out that the step has finished. Unset: the answer to apply says so.",
    )
    progress: Expression | None = Field(
        default=None,
        description="CEL giving a number that falls while the step moves on, for example json.inFlight; read from the "
        "answers to done.call, or to apply where done is unset. Unset: progress in what a 202 or exit code 75 says.",
    )
    undo: Call | None = Field(
        default=None,
        description="The request that takes a begun step back when the pod is to stay; repeated until confirmed. "
        "Unset: nothing needs to be undone.",
    )
    deadline_seconds: PositiveSeconds = Field(
        default=300, description="Seconds from the first request until the step counts as failed; then see onTimeout."
    )
    stall_seconds: PositiveSeconds | None = Field(
        default=None,
        description="Seconds without progress after which the step counts as stalled; then see onTimeout. "
        "Unset: only deadlineSeconds counts.",
    )
    on_timeout: OnTimeout = Field(
        default=OnTimeout.PAUSE,
        description="What a deadline or a stall means. Pause: no pod goes further until a human decides. "
        "Rollback: the revision has failed, and its pods go back to the accepted one. "
        "Proceed: go on without the step, announced in an event. It never counts as success.",
    )


class Drain(Hook):
    """Finishes what the leaving pod has in hand, once no new work reaches it."""

    propagation_seconds: Seconds = Field(
        default=5,
        description="Seconds to wait, after EndpointSlices show the pod as not ready, for every node to stop sending "
        "to it; only then is apply called.",
    )


class Migrate(Hook):
    """Hands the state of the leaving pod over to the others, after its drain."""


class Restore(Hook):
    """Prepares a pod that came back, before it serves: rejoin, warm up, register."""


class Preparation(Hook):
    """A step of the whole set before the first pod of a rollout leaves; its undo follows when the rollout is over."""

    rules: ClassVar[tuple[Rule, ...]] = (
        *Hook.rules,
        Rule(
            rule="self.apply.target != 'Pod' && (!has(self.done) || self.done.call.target != 'Pod') && "
            "(!has(self.undo) || self.undo.target != 'Pod')",
            message="beforeRollout speaks to the set, not to one pod: set target to AnyPeer, Peers or Service (apply, "
            "done.call and undo)",
        ),
        without_pod("apply", "beforeRollout"),
    )

    name: HookName = Field(description="Name of the step, unique in the list; shown wherever the rollout waits for it.")


class Membership(Model):
    """Tells the application which members it shall consist of, whenever that changes."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.apply.target != 'Pod'",
            message="membership is declared to the set, not to one pod: set target to AnyPeer, Peers or Service",
            field_path=".apply.target",
        ),
        without_pod("apply", "membership"),
        _STALL,
    )

    apply: Call = Field(
        description="The request that declares the members; target must be AnyPeer, Peers or Service. Its document "
        "carries a generation that only grows. By http 200: done, 202: moving, 409: a higher generation was seen; by "
        "exec 0: done, 75: moving, or a higher generation was seen."
    )
    expect: Expression | None = Field(
        default=None,
        description="CEL that a good answer (2xx, exit code 0) must also satisfy. Sees status or exitCode, json, text, "
        "members and, with target Peers, answers. Unset: the code decides.",
    )
    progress: Expression | None = Field(
        default=None,
        description="CEL giving a number that falls while state moves, for example json.keysLeft. "
        "Unset: progress in what a 202 or exit code 75 says.",
    )
    deadline_seconds: PositiveSeconds = Field(
        default=300, description="Seconds from the declaration until it counts as failed; then see onTimeout."
    )
    stall_seconds: PositiveSeconds | None = Field(
        default=None,
        description="Seconds without progress after which the declaration counts as stalled; then see onTimeout. "
        "Unset: only deadlineSeconds counts.",
    )
    on_timeout: OnTimeout = Field(
        default=OnTimeout.PAUSE,
        description="What a deadline or a stall means. Pause: no pod goes further until a human decides. "
        "Rollback: the revision has failed, and its pods go back to the accepted one. "
        "Proceed: go on although the declaration is not done, announced in an event. It never counts as success.",
    )
    away_seconds: Seconds = Field(
        default=300,
        description="Seconds that a missing pod stays a member, because its state may come back with its volume. "
        "0: a missing pod is no member.",
    )
    unknown_after_seconds: PositiveSeconds = Field(
        default=60,
        description="Seconds of being unreachable and not ready, or on a lost node, after which a pod is declared "
        "unknown: the application treats it as gone.",
    )


class Check(Model):
    """A named question about the health of the application."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.stableForSeconds < self.deadlineSeconds",
            message="stableForSeconds must be shorter than deadlineSeconds, or the check can never pass in time",
            field_path=".stableForSeconds",
        ),
        without_pod("call", "a check"),
        Rule(
            rule="!has(self.allow) || (self.call.target in ['AnyPeer', 'Service'] && "
            "(!has(self.at) || 'BeforePod' in self.at))",
            message="allow needs one answer, and a check before pods go: set call.target to AnyPeer or Service, and "
            "have BeforePod in at",
            field_path=".allow",
        ),
    )

    name: HookName = Field(
        description="Name of the check, unique in the list; shown wherever the rollout waits for it."
    )
    at: Annotated[list[CheckAt], Field(min_length=1, max_length=2), ListSet()] = Field(
        default=[CheckAt.BEFORE_POD, CheckAt.AFTER_POD],
        description="When it must pass. BeforePod: before a pod is taken out. AfterPod: before an updated pod counts.",
    )
    call: Call = Field(description="The question; asked again and again while the rollout needs the answer.")
    expect: Expression = Field(
        description="CEL over the answer; only the boolean true passes, anything else waits. "
        "Sees status or exitCode, json, text, members and, with target Peers, answers."
    )
    allow: Expression | None = Field(
        default=None,
        description="CEL over the answer that gives a list of names: only these pods may leave now. It is asked anew "
        "after each that does. For applications that know which pods hold the last copy of something. Unset: any may.",
    )
    fail_when: Expression | None = Field(
        default=None,
        description="CEL over the answer; true fails the wanted revision at once. Unset: the check only ever waits.",
    )
    stable_for_seconds: Seconds = Field(
        default=0, description="Seconds that expect must stay true without a break. 0: one good answer is enough."
    )
    deadline_seconds: PositiveSeconds = Field(
        default=600, description="Seconds to wait for the check to pass before the rollout stops and says so."
    )
