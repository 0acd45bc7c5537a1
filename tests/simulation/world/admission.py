"""Admission: our webhooks as the cluster calls them, and the lid that holds the StatefulSet controller's deletes.

What the webhooks answer is the operator's own code; being fail-open, they change nothing while nobody answers. The lid
is the admission policy of the chart.
"""

from __future__ import annotations

from collections.abc import Callable

from statefulrollout.api import names
from statefulrollout.core.evicting import Answer
from statefulrollout.kube.webhook import decide_patch
from tests.simulation.world.apiserver import OPERATOR, STATEFULSET_CONTROLLER, ApiServer
from tests.simulation.world.objects import Json, controller_of, is_true, json_patched, merge_patched, timestamp
from tests.simulation.world.refusals import refused


class PodWebhook:
    """Asks whoever answers for the operator what a new pod needs.

    Attributes:
        up: whether the API server reaches anybody.
        answer: takes the request of an AdmissionReview, returns a JSON Patch. Until an operator's replicas answer,
            the pods of every targeted StatefulSet are given what the operator would give them.
    """

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.up = True
        self.answer: Callable[[Json], list[Json]] = self._answer_as_the_operator_would
        server.mutating.append(self.admit)

    def admit(self, plural: str, item: Json, who: str) -> Json:
        """The pod as it shall be created."""
        owner = controller_of(item)
        if not self.up or plural != "pods" or owner is None or owner["kind"] != "StatefulSet":
            return item
        namespace = item["metadata"]["namespace"]
        request = {"operation": "CREATE", "resource": {"resource": "pods"}, "namespace": namespace, "object": item}
        return json_patched(item, self.answer(request))

    def _answer_as_the_operator_would(self, request: Json) -> list[Json]:
        def is_targeted(namespace: str, stateful_set: str) -> bool:
            rollouts = self._server.list(names.PLURAL, namespace)
            return any(rollout["spec"]["targetRef"]["name"] == stateful_set for rollout in rollouts)

        return decide_patch(request, is_targeted)[1]


class EvictionWebhook:
    """Asks whoever answers for the operator whether a pod may be evicted, and notes on the pod that it was asked for.

    Attributes:
        up: whether the API server reaches anybody.
        answer: takes a pod, the UID that the request names, and the time; None where nobody answers.
    """

    def __init__(self, server: ApiServer, clock: Callable[[], float]) -> None:
        self._server = server
        self._clock = clock
        self.up = True
        self.answer: Callable[[Json, str, float], Answer | None] = lambda pod, uid, now: None
        server.evicting.append(self.admit)

    def admit(self, pod: Json, uid: str, who: str) -> None:
        """Raise ApiError 429 where the pod may not be evicted yet."""
        meta, now = pod["metadata"], self._clock()
        answer = self.answer(pod, uid, now) if self.up and who != OPERATOR else None
        if answer is not None and answer.noted:
            note = {"metadata": {"annotations": {names.EVICTION_ANNOTATION: timestamp(now)}}}
            self._server.update(
                "pods", meta["namespace"], meta["name"], lambda old: dict(merge_patched(old, note)), OPERATOR
            )
        if answer is not None and not answer.passes:
            raise refused(429, "TooManyRequests", f"pod {meta['name']} is drained before it may be evicted")


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
