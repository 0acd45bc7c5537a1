"""Which containers matter: those that hooks address. Their IDs say whether what was told to them is still known.

A container that restarted has another ID, and has forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

from statefulrollout.core.snapshot import PodView, Snapshot


def containers_of(pod: PodView) -> Mapping[str, str]:
    """The IDs of all containers, by name: noted with the facts, so that hooks added later find theirs among them."""
    return {container.name: container.id for container in pod.containers}


def identity_of(snapshot: Snapshot, pod: PodView) -> Mapping[str, str]:
    """The IDs of the containers that hooks address.

    A restart of a log sidecar means nothing; a restart of the database does. Without hooks nothing matters.
    """
    addressed = snapshot.addressed
    if not addressed:
        return {}
    return {container.name: container.id for container in pod.containers if container.name in addressed}


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
