"""Which containers matter: those that hooks address. Their IDs say whether what was told to them is still known.

A container that restarted has another ID, and has forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

from statefulrollout.api.v1alpha1 import Call, Exec, Http, Spec, Target
from statefulrollout.core.snapshot import PodView, Snapshot, StatefulSetView


def containers_of(pod: PodView) -> Mapping[str, str]:
    """The IDs of all containers, by name: noted with the facts, so that hooks added later find theirs among them."""
    return {container.name: container.id for container in pod.containers}


def identity_of(snapshot: Snapshot, pod: PodView) -> Mapping[str, str]:
    """The IDs of the containers that hooks address.

    A restart of a log sidecar means nothing; a restart of the database does. Without hooks nothing matters.
    """
    addressed = addressed_containers(snapshot.rollout.spec, snapshot.target)
    return {container.name: container.id for container in pod.containers if container.name in addressed}


def addressed_containers(spec: Spec, target: StatefulSetView | None) -> frozenset[str]:
    """Names of the containers that a hook's command runs in, or that declare a port which a hook calls."""
    if target is None:
        return frozenset()
    return frozenset[str]().union(*(_addressed_by(call.what, target) for call in calls_to_pods(spec)))


def _addressed_by(what: Http | Exec, target: StatefulSetView) -> frozenset[str]:
    match what:
        case Exec(container=name):
            return frozenset({name})
        case Http(port=port):
            return target.ports.get(port, frozenset()) if isinstance(port, str) else _by_number(target, port)


def _by_number(target: StatefulSetView, port: int) -> frozenset[str]:
    every = frozenset[str]().union(*target.ports.values(), *target.numbered_ports.values())
    return target.numbered_ports.get(port, every)


def calls_to_pods(spec: Spec) -> list[Call]:
    """The calls that carry facts: those of drain, migrate, membership and restore that go to pods."""
    hooks = [hook for hook in (spec.drain, spec.migrate, spec.membership, spec.restore) if hook is not None]
    return [hook.apply for hook in hooks if hook.apply.target is not Target.SERVICE]


def are_running(snapshot: Snapshot, pod: PodView) -> bool:
    """Whether the containers that hooks address run; where none is addressed, whether all are ready.

    A pod that runs but fails its readiness probe for a moment is no traffic's target, yet it has lost nothing: it
    stays what it was.
    """
    if not identity_of(snapshot, pod):
        return pod.containers_ready
    return not pod.finished and not has_ended(snapshot, pod)


def has_ended(snapshot: Snapshot, pod: PodView) -> bool:
    """Whether a container that hooks address does not run: it has just ended, or has not started again."""
    running = {container.name for container in pod.containers if container.running}
    return bool(identity_of(snapshot, pod).keys() - running)


def facts_match_containers(snapshot: Snapshot, pod: PodView) -> bool:
    """Whether the containers that hooks address are the very ones the facts were written for."""
    if pod.facts is None:
        return False
    noted = pod.facts.containers
    return all(noted.get(name) == identity for name, identity in identity_of(snapshot, pod).items())
