"""The EndpointSlice controller and the garbage collector: what follows other objects by itself.

Slices lag behind the pods by `lag` seconds, as long as one likes: what traffic sees is never what the pod says now.
"""

from __future__ import annotations

from statefulrollout.errors import NotFound
from tests.simulation.world.apiserver import GARBAGE_COLLECTOR, KUBE_CONTROLLERS, RESOURCES, ApiServer, Change
from tests.simulation.world.objects import Json, is_terminating, is_true, selects
from tests.simulation.world.timeline import Timeline

ENDPOINTSLICE_CONTROLLER = f"{KUBE_CONTROLLERS}:endpointslice-controller"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"


class EndpointSliceController:
    """Keeps one slice per Service with a selector."""

    def __init__(self, server: ApiServer, timeline: Timeline, lag: float = 0.1) -> None:
        self._server = server
        self._timeline = timeline
        self._planned: set[tuple[str, str]] = set()
        self.lag = lag
        server.subscribers.append(self._hear)

    def _hear(self, change: Change) -> None:
        namespace = change.item["metadata"].get("namespace", "")
        if change.plural == "services":
            self._plan(namespace, change.name)
        elif change.plural == "pods":
            for service in self._server.list("services", namespace):
                if selects(service["spec"].get("selector", {}), change.item["metadata"].get("labels")):
                    self._plan(namespace, service["metadata"]["name"])

    def _plan(self, namespace: str, name: str) -> None:
        if (namespace, name) not in self._planned:
            self._planned.add((namespace, name))
            self._timeline.soon(self.lag, f"endpoints of {name}", lambda: self._sync(namespace, name))

    def _sync(self, namespace: str, name: str) -> None:
        self._planned.discard((namespace, name))
        service = self._server.find("services", namespace, name)
        if service is None or not service["spec"].get("selector"):
            return
        pods = self._server.list("pods", namespace, service["spec"]["selector"])
        endpoints = [_endpoint(pod, service) for pod in pods if _has_endpoint(pod)]
        slice_name = f"{name}-slice"
        if self._server.find("endpointslices", namespace, slice_name) is None:
            meta = service["metadata"]
            owner = {"apiVersion": "v1", "kind": "Service", "name": name, "uid": meta["uid"], "controller": True}
            labels = {SERVICE_NAME_LABEL: name}
            body = {"metadata": {"name": slice_name, "labels": labels, "ownerReferences": [owner]}, "endpoints": []}
            self._server.create("endpointslices", namespace, body, ENDPOINTSLICE_CONTROLLER)
        self._server.update(
            "endpointslices", namespace, slice_name, lambda old: {**old, "endpoints": endpoints},
            ENDPOINTSLICE_CONTROLLER,
        )  # fmt: skip


def _has_endpoint(pod: Json) -> bool:
    return bool(pod["status"].get("podIP")) and pod["status"]["phase"] not in ("Failed", "Succeeded")


def _endpoint(pod: Json, service: Json) -> Json:
    serving, terminating = is_true(pod, "Ready"), is_terminating(pod)
    ready = service["spec"].get("publishNotReadyAddresses", False) or (serving and not terminating)
    meta = pod["metadata"]
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
    }


class GarbageCollector:
    """Deletes what belonged to objects that are gone."""

    def __init__(self, server: ApiServer, timeline: Timeline, latency: float = 0.05) -> None:
        self._server = server
        self._timeline = timeline
        self._latency = latency
        server.subscribers.append(self._hear)

    def _hear(self, change: Change) -> None:
        if change.after is None:
            meta = change.item["metadata"]
            self._timeline.soon(
                self._latency, f"collect what belonged to {change.plural}/{change.name}",
                lambda: self._collect(meta["uid"], meta.get("namespace", "")),
            )  # fmt: skip

    def _collect(self, uid: str, namespace: str) -> None:
        for plural in RESOURCES:
            for item in self._server.list(plural, namespace):
                meta = item["metadata"]
                if any(owner["uid"] == uid for owner in meta.get("ownerReferences", [])):
                    try:
                        self._server.delete(plural, namespace, meta["name"], GARBAGE_COLLECTOR, uid=meta["uid"])
                    except NotFound:
                        continue
