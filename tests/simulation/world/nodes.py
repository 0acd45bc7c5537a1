"""Nodes that die and come back, and what the control plane makes of it.

After 40 seconds without a word the node lifecycle controller says that the node's pods are not Ready; 300 seconds later
they are deleted (the default toleration of `unreachable`), and stay terminating until their node is back.
"""

from __future__ import annotations

from statefulrollout.errors import NotFound
from tests.simulation.world.apiserver import KUBE_CONTROLLERS, ApiServer
from tests.simulation.world.kubelet import Kubelet
from tests.simulation.world.objects import Json, is_terminating, strategic_merge_patched, timestamp
from tests.simulation.world.timeline import Timeline

NODE_CONTROLLER = f"{KUBE_CONTROLLERS}:node-controller"
SECONDS_TO_NOTICE = 40.0
TOLERATION_SECONDS = 300.0


class Nodes:
    """Switches nodes off and on."""

    def __init__(self, server: ApiServer, timeline: Timeline, kubelet: Kubelet) -> None:
        self._server = server
        self._timeline = timeline
        self._kubelet = kubelet

    def lose(self, node: str) -> None:
        """Cut the power of a node."""
        self._kubelet.lose(node)
        self._timeline.after(SECONDS_TO_NOTICE, f"{node} is missed", lambda: self._mark_pods(node))

    def restore(self, node: str) -> None:
        """Power it up again."""
        if node in self._kubelet.down:
            self._kubelet.restore(node)

    def _mark_pods(self, node: str) -> None:
        if node not in self._kubelet.down:
            return
        for pod in self._pods_of(node):
            condition = {"type": "Ready", "status": "False", "reason": "NodeNotReady"}
            self._write(pod, {**condition, "lastTransitionTime": timestamp(self._timeline.now)})
        self._timeline.after(TOLERATION_SECONDS, f"{node} is given up", lambda: self._delete_pods(node))

    def _delete_pods(self, node: str) -> None:
        if node not in self._kubelet.down:
            return
        for pod in self._pods_of(node):
            if not is_terminating(pod):
                self._server.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"], NODE_CONTROLLER)

    def _pods_of(self, node: str) -> list[Json]:
        return [pod for pod in self._server.list("pods") if pod["spec"].get("nodeName") == node]

    def _write(self, pod: Json, condition: Json) -> None:
        meta, patch = pod["metadata"], {"status": {"conditions": [condition]}}
        try:
            self._server.update(
                "pods", meta["namespace"], meta["name"], lambda old: dict(strategic_merge_patched(old, patch)),
                NODE_CONTROLLER, "status",
            )  # fmt: skip
        except NotFound:
            return
