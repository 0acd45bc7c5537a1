"""What of an object is worth a look when it changes; what is not in its hint passes unnoticed until the sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from statefulrollout.api import names
from statefulrollout.kube.client import Json
from statefulrollout.kube.views import controller_of


@dataclass(frozen=True)
class RolloutHint:
    """What a StatefulRollout says of itself, and itself as it was shown; `leaving` once somebody has deleted it."""

    target: str
    generation: int
    leaving: bool
    depends_on: frozenset[str] = frozenset()
    raw: Json = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class StatefulSetHint:
    """What of a StatefulSet is worth a look, and itself where a StatefulRollout names it.

    Of its counts that is only whether all are there, for whoever waits for it.
    """

    uid: str
    generation: int
    observed_generation: int
    revisions: tuple[str, str]
    leaving: bool
    whole: bool
    raw: Json | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class PodHint:
    """What of a pod is worth a look, and the StatefulSet that controls it; a new version alone is not."""

    owner: str
    version: str = field(compare=False)
    uid: str
    leaving: bool
    eviction: str
    phase: str
    ip: str
    conditions: frozenset[tuple[str, str, str]]
    containers: frozenset[tuple[str, str, bool, str]]


def rollout_hint_of(rollout: Mapping[str, Any]) -> RolloutHint:
    """Project a StatefulRollout."""
    metadata = rollout["metadata"]
    return RolloutHint(
        target=rollout["spec"]["targetRef"]["name"],
        generation=metadata["generation"],
        leaving="deletionTimestamp" in metadata,
        depends_on=frozenset(entry["name"] for entry in rollout["spec"].get("dependsOn") or ()),
    )


def stateful_set_hint_of(stateful_set: Json) -> StatefulSetHint:
    """Project a StatefulSet."""
    metadata, status = stateful_set["metadata"], stateful_set.get("status") or {}
    counts = {status.get("readyReplicas", 0), status.get("updatedReplicas", 0)}
    return StatefulSetHint(
        uid=metadata["uid"],
        generation=metadata["generation"],
        observed_generation=status.get("observedGeneration", 0),
        revisions=(status.get("currentRevision", ""), status.get("updateRevision", "")),
        leaving="deletionTimestamp" in metadata,
        whole=counts == {stateful_set["spec"].get("replicas", 1)},
    )


def pod_hint_of(pod: Json) -> PodHint:
    """Project a pod."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    return PodHint(
        owner=owner_of(pod),
        version=metadata["resourceVersion"],
        uid=metadata["uid"],
        leaving="deletionTimestamp" in metadata,
        eviction=(metadata.get("annotations") or {}).get(names.EVICTION_ANNOTATION, ""),
        phase=status.get("phase", ""),
        ip=status.get("podIP", ""),
        conditions=frozenset(
            (one["type"], one["status"], one.get("reason") or "")
            for one in status.get("conditions") or ()
            if (one["type"], one["status"]) not in _ON_THE_WAY
        ),
        containers=frozenset(
            (one["name"], one.get("containerID") or "", bool(one.get("ready")), _waiting_reason_of(one))
            for one in status.get("containerStatuses") or ()
        ),
    )


def owner_of(pod: Json) -> str:
    """Name of the object that controls the pod; empty where none does."""
    return str((controller_of(pod["metadata"]) or {}).get("name", ""))


_ON_THE_WAY = {("PodScheduled", "True"), ("PodReadyToStartContainers", "True"), ("Initialized", "True")}
"""Conditions of a pod that starts as it should: nothing is decided by them."""


def _waiting_reason_of(container: Json) -> str:
    return str(((container.get("state") or {}).get("waiting") or {}).get("reason") or "")
