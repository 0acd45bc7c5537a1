"""Which pods have a volume that no other node can mount, and which of their nodes take no new pods.

A pod's claims are bound for as long as it lives, and where a volume can be mounted never changes; so the answer is kept
by the pod's UID. Whether a node is cordoned is read live.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from statefulrollout.core.snapshot import PodView
from statefulrollout.errors import NotFound
from statefulrollout.kube import paths, views
from statefulrollout.kube.client import Kube


class Anchors:
    """The anchored pods of one StatefulSet, as far as they were looked at."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        """By the pod's UID: its claim, or nothing."""

    async def of(self, kube: Kube, namespace: str, pods: Sequence[PodView]) -> Mapping[str, str]:
        """A claim, by the pod's UID, that only the pod's own node can mount. Raises what every read raises."""
        self._known = {pod.uid: self._known[pod.uid] for pod in pods if pod.uid in self._known}
        new = [pod for pod in pods if pod.claims and pod.node and pod.uid not in self._known]
        if new:
            claims = await kube.list_all(paths.persistentvolumeclaims(namespace))
            volumes = {raw["metadata"]["name"]: raw["spec"].get("volumeName") for raw in claims}
            for pod in new:
                self._known[pod.uid] = await _anchor_of(kube, pod, volumes)
        return {uid: claim for uid, claim in self._known.items() if claim}


async def _anchor_of(kube: Kube, pod: PodView, volumes: Mapping[str, str | None]) -> str:
    for claim in pod.claims:
        name = volumes.get(claim)
        if not name:
            continue
        try:
            volume = await kube.call("GET", paths.persistentvolumes(name=name))
        except NotFound:
            continue
        if views.is_anchored(volume, pod.node):
            return claim
    return ""


async def fetch_cordoned(kube: Kube, nodes: Collection[str]) -> frozenset[str]:
    """Those of the nodes that take no new pods: one list of what is cordoned, however many nodes there are."""
    if not nodes:
        return frozenset()
    listed = await kube.list_all(paths.nodes(), params={"fieldSelector": "spec.unschedulable=true"})
    cordoned = {node["metadata"]["name"] for node in listed if (node.get("spec") or {}).get("unschedulable")}
    return frozenset(cordoned.intersection(nodes))
