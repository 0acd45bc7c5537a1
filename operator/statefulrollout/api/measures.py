"""What is asked of the application before a choice: a pod's role, and the load that the pods carry."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from statefulrollout.api.calls import Call, without_pod
from statefulrollout.api.model import Expression, Model, Rule


class RoleQuestion(Model):
    """Asks a pod for its role."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.call.target == 'Pod'",
            message="each pod is asked for its own role: remove target, or set it to Pod",
            field_path=".call.target",
        ),
    )

    call: Call = Field(description="The question, to each pod that is to leave; asked again until it leaves.")
    value: Expression = Field(
        description="CEL over the answer that gives the role as a string, for example json.role. "
        "Sees status or exitCode, json, text, pod and members."
    )


class Role(Model):
    """What part a pod plays, and which parts go last."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="has(self.label) != has(self.ask)",
            message="a role is told by a label, or by the pod when it is asked: write exactly one of label and ask",
        ),
    )

    label: Annotated[str, Field(min_length=1, max_length=316)] | None = Field(
        default=None,
        description="Name of the pod label whose value is the role, which the application or its agent keeps; read "
        "anew before every choice.",
    )
    ask: RoleQuestion | None = Field(
        default=None,
        description="How to ask a pod for its role. No pod goes while its own role is not known.",
    )
    last: Annotated[list[Annotated[str, Field(min_length=1, max_length=63)]], Field(min_length=1, max_length=8)] = (
        Field(
            description="Roles that go last, in this order, each only once all pods before it are updated and serve; "
            "for example leader."
        )
    )


class Load(Model):
    """How the load is measured, and how much of it one pod carries."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.call.target != 'Peers'",
            message="set target to Pod, where the pods' loads are added up, or to Service or AnyPeer, which answers "
            "for all",
            field_path=".call.target",
        ),
        without_pod("call", "the load"),
    )

    call: Call = Field(
        description="The question. With target Pod every serving pod is asked, and the values are added up; a Service "
        "or AnyPeer answers once for all."
    )
    value: Expression = Field(
        description="CEL over the answer that gives the load as a number, in a unit of yours, for example json.rps. "
        "Sees status or exitCode, json, text and members."
    )
    per_pod: Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)] = Field(
        description="The load that one pod carries well, in the same unit."
    )
    headroom_percent: Annotated[int, Field(strict=True, ge=0, le=90)] = Field(
        default=20, description="Percent of what the remaining pods carry that must stay free."
    )


class Capacity(Model):
    """What the pods that remain must be able to carry."""

    load: Load = Field(
        description="A pod goes only while those that remain carry the whole load with headroom. A load that is not "
        "known waits."
    )
