"""Which containers of a pod hooks address: those that a command runs in, or that declare a port which is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statefulrollout.api.v1alpha1 import Call, Exec, Http, Spec, Target

if TYPE_CHECKING:
    from statefulrollout.core.snapshot import StatefulSetView


def addressed_containers(spec: Spec, target: StatefulSetView | None) -> frozenset[str]:
    """Names of the containers that a hook's command runs in, or that declare a port which a hook calls."""
    if target is None:
        return frozenset()
    return frozenset[str]().union(*(_addressed_by(call.what, target) for call in _calls_to_pods(spec)))


def _addressed_by(what: Http | Exec, target: StatefulSetView) -> frozenset[str]:
    match what:
        case Exec(container=name):
            return frozenset({name})
        case Http(port=port):
            return target.ports.get(port, frozenset()) if isinstance(port, str) else _by_number(target, port)


def _by_number(target: StatefulSetView, port: int) -> frozenset[str]:
    every = frozenset[str]().union(*target.ports.values(), *target.numbered_ports.values())
    return target.numbered_ports.get(port, every)


def _calls_to_pods(spec: Spec) -> list[Call]:
    """The calls that carry facts: those of drain, migrate, membership and restore that go to pods."""
    hooks = [hook for hook in (spec.drain, spec.migrate, spec.membership, spec.restore) if hook is not None]
    return [hook.apply for hook in hooks if hook.apply.target is not Target.SERVICE]
