"""Admission: our pod webhook as the cluster calls it, and the lid that holds the StatefulSet controller's deletes.

The webhook is modelled, not run: it adds the readiness gate and the label to new pods of a targeted StatefulSet, and,
being fail-open, does nothing while it is down. The lid is the admission policy of the chart.
"""

from __future__ import annotations

from statefulrollout.api import names
from tests.simulation.world.apiserver import STATEFULSET_CONTROLLER, ApiServer
from tests.simulation.world.objects import Json, controller_of, is_true
from tests.simulation.world.refusals import refused


class PodWebhook:
    """Adds gate and label to new pods while `up`."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.up = True
        server.mutating.append(self.admit)

    def admit(self, plural: str, item: Json, who: str) -> Json:
        """The pod as it shall be created."""
        owner = controller_of(item)
        if not self.up or plural != "pods" or owner is None or not self._is_targeted(item, owner):
            return item
        meta, spec = item["metadata"], item["spec"]
        gate = {"conditionType": names.SERVING}
        gates = spec.get("readinessGates", [])
        return {
            **item,
            "metadata": {**meta, "labels": {**meta.get("labels", {}), names.FENCED_LABEL: "true"}},
            "spec": {**spec, "readinessGates": gates if gate in gates else [*gates, gate]},
        }

    def _is_targeted(self, pod: Json, owner: Json) -> bool:
        rollouts = self._server.list(names.PLURAL, pod["metadata"]["namespace"])
        return owner["kind"] == "StatefulSet" and any(
            rollout["spec"]["targetRef"]["name"] == owner["name"] for rollout in rollouts
        )


class Lid:
    """Denies the StatefulSet controller to delete a fenced pod that is neither released nor finished."""

    def __init__(self, server: ApiServer) -> None:
        self.installed = True
        server.deleting.append(self.admit)

    def admit(self, plural: str, item: Json, who: str) -> None:
        """Raise ApiError 403 where the pod may not be deleted."""
        if not self.installed or plural != "pods" or who != STATEFULSET_CONTROLLER:
            return
        fenced = item["metadata"].get("labels", {}).get(names.FENCED_LABEL) == "true"
        if fenced and item["status"].get("phase") not in ("Failed", "Succeeded") and not is_true(item, names.RELEASED):
            name = item["metadata"]["name"]
            raise refused(403, "Forbidden", f"pod {name} is not drained yet: StatefulRollout releases it when it is")
