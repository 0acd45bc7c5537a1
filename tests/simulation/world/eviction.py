"""The eviction subresource, and the controller that counts disruption budgets.

Follows Kubernetes' `pkg/registry/core/pod/storage/eviction.go` and `pkg/controller/disruption`: a pod that is pending,
finished or terminating needs no budget, nor does one that is not ready while its budget is healthy; two budgets
are an error; a disruption taken is remembered on the budget until the pod is seen going.
"""

from __future__ import annotations

import math
from typing import Any

from tests.simulation.world.apiserver import KUBE_CONTROLLERS, ApiServer, Change
from tests.simulation.world.objects import (
    Json,
    controller_of,
    epoch_of,
    is_selected,
    is_terminating,
    is_true,
    strategic_merge_patched,
    timestamp,
)
from tests.simulation.world.refusals import refused
from tests.simulation.world.timeline import Timeline, Worker

DISRUPTION_CONTROLLER = f"{KUBE_CONTROLLERS}:disruption-controller"
RESYNC_SECONDS = 3600.0
"""From one look at every budget to the next, whatever was heard; twelve hours and more in a real controller."""
DELETION_SECONDS = 120.0
"""How long a budget waits for an evicted pod to be deleted."""


def evict(server: ApiServer, namespace: str, name: str, who: str, options: Json, now: float) -> Json:
    """Evict a pod; raises ApiError 404, 409, 429 (no disruption allowed, or the webhook) or 500 (two budgets)."""
    pod = server.get("pods", namespace, name)
    for admit in server.evicting:
        admit(pod, options["uid"], who)
    if pod["status"].get("phase") == "Running" and not is_terminating(pod):
        _take_from_budget(server, pod, now)
        pod = server.get("pods", namespace, name)
        if options["version"] in ("", pod["metadata"]["resourceVersion"]) and options["uid"] in (
            "",
            pod["metadata"]["uid"],
        ):
            pod = server.update("pods", namespace, name, lambda old: _marked(old, now), who, "status")
            options = {**options, "version": options["version"] and pod["metadata"]["resourceVersion"]}
    server.delete("pods", namespace, name, who, **options)
    return {"kind": "Status", "apiVersion": "v1", "status": "Success"}


def _marked(pod: Json, now: float) -> Json:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                 "lastTransitionTime": timestamp(now)}  # fmt: skip
    marked: Json = strategic_merge_patched(pod, {"status": {"conditions": [condition]}})
    return marked


def _take_from_budget(server: ApiServer, pod: Json, now: float) -> None:
    namespace = pod["metadata"]["namespace"]
    budgets = [
        budget
        for budget in server.list("poddisruptionbudgets", namespace)
        if is_selected(pod, budget["spec"]["selector"])
    ]
    if len(budgets) > 1:
        raise refused(500, "InternalError", "This pod has more than one PodDisruptionBudget, which is not supported.")
    if not budgets:
        return
    (budget,) = budgets
    status = budget["status"]
    if not is_true(pod, "Ready"):
        healthy = status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0
        if healthy or budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
            return
    if status.get("observedGeneration", 0) < budget["metadata"]["generation"] or status["disruptionsAllowed"] < 1:
        raise refused(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.", 10)
    taken = {
        **status,
        "disruptionsAllowed": status["disruptionsAllowed"] - 1,
        "disruptedPods": {**status.get("disruptedPods", {}), pod["metadata"]["name"]: timestamp(now)},
    }
    name = budget["metadata"]["name"]
    server.update("poddisruptionbudgets", namespace, name, lambda old: {**old, "status": taken}, "apiserver", "status")


class DisruptionController:
    """Keeps the status of every PodDisruptionBudget."""

    def __init__(self, server: ApiServer, timeline: Timeline, latency: float = 0.01) -> None:
        self._server = server
        self._timeline = timeline
        self._worker = Worker(timeline, "disruption controller", self._sync, latency)
        server.subscribers.append(self._notice)
        timeline.after(RESYNC_SECONDS, "disruption controller resyncs", self._resync)

    def _notice(self, change: Change) -> None:
        """A pod that a change of labels takes out of a selector makes nobody count again."""
        if change.plural not in ("pods", "poddisruptionbudgets"):
            return
        for budget in self._server.list("poddisruptionbudgets", change.item["metadata"]["namespace"]):
            if change.name == budget["metadata"]["name"] or is_selected(change.item, budget["spec"]["selector"]):
                self._worker.add(f"{budget['metadata']['namespace']}/{budget['metadata']['name']}")

    def _resync(self) -> None:
        for budget in self._server.list("poddisruptionbudgets"):
            self._worker.add(f"{budget['metadata']['namespace']}/{budget['metadata']['name']}")
        self._timeline.after(RESYNC_SECONDS, "disruption controller resyncs", self._resync)

    def _sync(self, key: str) -> bool:
        namespace, name = key.split("/")
        budget = self._server.find("poddisruptionbudgets", namespace, name)
        if budget is None:
            return True
        pods = [pod for pod in self._server.list("pods", namespace) if is_selected(pod, budget["spec"]["selector"])]
        expected, desired = self._expected(budget["spec"], pods)
        now = self._timeline.now
        disrupted = {
            pod["metadata"]["name"]: since
            for pod in pods
            if not is_terminating(pod)
            and (since := budget["status"].get("disruptedPods", {}).get(pod["metadata"]["name"]))
            and epoch_of(since) + DELETION_SECONDS > now
        }
        if disrupted:
            self._worker.add_after(key, DELETION_SECONDS)
        healthy = sum(
            is_true(pod, "Ready") and not is_terminating(pod) and pod["metadata"]["name"] not in disrupted
            for pod in pods
        )
        status = {
            "observedGeneration": budget["metadata"]["generation"],
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "disruptionsAllowed": max(healthy - desired, 0) if expected else 0,
            "disruptedPods": disrupted,
        }
        self._server.update(
            "poddisruptionbudgets", namespace, name, lambda old: {**old, "status": status}, DISRUPTION_CONTROLLER,
            "status",
        )  # fmt: skip
        return True

    def _expected(self, spec: Json, pods: list[Json]) -> tuple[int, int]:
        if isinstance(spec.get("minAvailable"), int):
            return len(pods), spec["minAvailable"]
        expected = self._scale_of(pods)
        if "minAvailable" in spec:
            return expected, _scaled(spec["minAvailable"], expected)
        return expected, max(expected - _scaled(spec["maxUnavailable"], expected), 0)

    def _scale_of(self, pods: list[Json]) -> int:
        owners = {(pod["metadata"]["namespace"], owner["name"]) for pod in pods if (owner := controller_of(pod))}
        sets = (self._server.find("statefulsets", *owner) for owner in owners)
        return sum(int(found["spec"]["replicas"]) for found in sets if found is not None)


def _scaled(value: Any, total: int) -> int:
    """A number, or a percentage of the total rounded up."""
    return value if isinstance(value, int) else math.ceil(int(value.removesuffix("%")) * total / 100)
