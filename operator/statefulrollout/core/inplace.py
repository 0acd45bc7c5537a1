"""Whether a pod can become one of another revision without being re-created, and what is to be written for that.

Kubernetes lets the images of a pod's containers be changed, and its labels and annotations. Where two pod templates
differ in nothing else, one write of the pod makes it one of the other revision: the kubelet stops the containers with
their preStop hooks and grace, and starts them with the new images. Name, UID, address, node and volumes stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from statefulrollout.api.v1alpha1 import PodUpdate
from statefulrollout.core.actions import Change
from statefulrollout.core.goal import goal_of
from statefulrollout.core.snapshot import Snapshot
from statefulrollout.core.stages import Place

Template = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """The change, where the pod stays; else why it is re-created, empty where nobody wished otherwise."""

    change: Change | None = None
    why_not: str = ""


def verdict_of(snapshot: Snapshot, place: Place) -> Verdict:
    """Whether the pod goes on in place, once nothing is left to hand over."""
    if snapshot.rollout.spec.strategy.pod_update is PodUpdate.RECREATE or not place.rolled:
        return Verdict()
    if not place.pod.gated:
        return Verdict(why_not="the pod has no readiness gate")
    if place.pod.facts is not None and place.pod.facts.stuck:
        return Verdict(why_not="the pod is broken")
    before, after = (snapshot.templates.get(name) for name in (place.pod.revision, goal_of(snapshot)))
    if before is None or after is None:
        return Verdict(why_not="the ControllerRevision of its revision is gone")
    differences = list(_differences(before.get("spec") or {}, after.get("spec") or {}))
    images = {container: str(image) for container, image, where in differences if not where}
    others = [where for _, _, where in differences if where]
    if others:
        return Verdict(why_not=f"{others[0]} differs")
    if not images:
        return Verdict(why_not="no image differs, so a restart is meant")
    if kept := snapshot.addressed - images.keys():
        # It was drained, and would go on in that state.
        return Verdict(why_not=f"container {min(kept)}, which a hook addresses, would not restart")
    old, new = before.get("metadata") or {}, after.get("metadata") or {}
    labels, annotations = (_changed(old.get(kind) or {}, new.get(kind) or {}) for kind in ("labels", "annotations"))
    return Verdict(Change(images, labels, annotations))


def _differences(old: Template, new: Template) -> Iterator[tuple[str, object, str]]:
    """Every difference of two pod specs: container and new image of those that are only that, else the place."""
    for name in sorted(old.keys() | new.keys()):
        if name == "containers":
            yield from _differences_of_containers(old.get(name) or [], new.get(name) or [])
        elif old.get(name) != new.get(name):
            yield "", None, f"spec.{name}"


def _differences_of_containers(old: list[Template], new: list[Template]) -> Iterator[tuple[str, object, str]]:
    names = [container["name"] for container in new]
    if [container["name"] for container in old] != names:
        yield "", None, "spec.containers"
        return
    for name, before, after in zip(names, old, new, strict=True):
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) == after.get(key):
                continue
            if key == "image":
                yield name, after.get(key), ""
            else:
                yield "", None, f"spec.containers[{name}].{key}"


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str | None]:
    """What to write so that the old become the new."""
    return {name: new.get(name) for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)}
