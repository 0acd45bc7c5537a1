"""Every call and every expression of a spec, each with its path as users write it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from statefulrollout.api.calls import Call
from statefulrollout.api.hooks import Hook
from statefulrollout.api.v1alpha1 import Spec

Wants = Literal["bool", "number", "text", "names"]


class Expressed(NamedTuple):
    """An expression: its path, its text, what it shall give, and the call whose answer it judges."""

    path: str
    expression: str
    wants: Wants
    call: Call


def calls_of(spec: Spec) -> Iterator[tuple[str, Call]]:
    """Every call, with its path."""
    for path, hook in hooks_of(spec):
        yield f"{path}.apply", hook.apply
        if hook.done is not None:
            yield f"{path}.done.call", hook.done.call
        if hook.undo is not None:
            yield f"{path}.undo", hook.undo
    if spec.membership is not None:
        yield "spec.membership.apply", spec.membership.apply
    for index, check in enumerate(spec.checks):
        yield f"spec.checks[{index}].call", check.call
    role = spec.strategy.order.role
    if role is not None and role.ask is not None:
        yield "spec.strategy.order.role.ask.call", role.ask.call
    if spec.capacity is not None:
        yield "spec.capacity.load.call", spec.capacity.load.call


def expressions_of(spec: Spec) -> Iterator[Expressed]:
    """Every expression."""
    yield from _expressions_of_hooks(spec)
    for index, check in enumerate(spec.checks):
        yield Expressed(f"spec.checks[{index}].expect", check.expect, "bool", check.call)
        if check.allow is not None:
            yield Expressed(f"spec.checks[{index}].allow", check.allow, "names", check.call)
        if check.fail_when is not None:
            yield Expressed(f"spec.checks[{index}].failWhen", check.fail_when, "bool", check.call)
    role = spec.strategy.order.role
    if role is not None and role.ask is not None:
        yield Expressed("spec.strategy.order.role.ask.value", role.ask.value, "text", role.ask.call)
    if spec.capacity is not None:
        load = spec.capacity.load
        yield Expressed("spec.capacity.load.value", load.value, "number", load.call)


def _expressions_of_hooks(spec: Spec) -> Iterator[Expressed]:
    for path, hook in hooks_of(spec):
        last = hook.done.call if hook.done is not None else hook.apply
        if hook.expect is not None:
            yield Expressed(f"{path}.expect", hook.expect, "bool", hook.apply)
        if hook.done is not None:
            yield Expressed(f"{path}.done.expect", hook.done.expect, "bool", hook.done.call)
        if hook.progress is not None:
            yield Expressed(f"{path}.progress", hook.progress, "number", last)
    if spec.membership is not None:
        if spec.membership.expect is not None:
            yield Expressed("spec.membership.expect", spec.membership.expect, "bool", spec.membership.apply)
        if spec.membership.progress is not None:
            yield Expressed("spec.membership.progress", spec.membership.progress, "number", spec.membership.apply)


def hooks_of(spec: Spec) -> Iterator[tuple[str, Hook]]:
    """Every hook with an undo, with its path."""
    for index, preparation in enumerate(spec.before_rollout):
        yield f"spec.beforeRollout[{index}]", preparation
    for path, hook in (("spec.drain", spec.drain), ("spec.migrate", spec.migrate), ("spec.restore", spec.restore)):
        if hook is not None:
            yield path, hook
