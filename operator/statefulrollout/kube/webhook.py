"""The mutating webhook: gives new pods of targeted StatefulSets the readiness gate and the label of the lid.

It only ever adds, and only while somebody leads who can open the gate again. Whatever it does not understand it admits
unchanged; nothing it does may keep a pod from being created. No I/O: an answer takes microseconds. It runs on every
replica, also on those that do not lead.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from enum import StrEnum

import structlog
from aiohttp import web

from statefulrollout.api import names
from statefulrollout.kube.client import Json
from statefulrollout.kube.telemetry import WEBHOOK_REVIEWS
from statefulrollout.kube.views import stateful_set_over

log = structlog.stdlib.get_logger(__name__)

PATH = "/mutate-pod"
_LARGEST_REVIEW = 8 * 2**20
"""Bytes; a pod is at most 1.5 MiB in etcd, and a review carries it at most twice."""


class Decision(StrEnum):
    """What became of a pod, for the metric."""

    INJECTED = "injected"
    PRESENT = "present"
    NOT_TARGETED = "not_targeted"
    NO_LEADER = "no_leader"
    MALFORMED = "malformed"


def build_application(is_targeted: Callable[[str, str], bool], lease_is_fresh: Callable[[], bool]) -> web.Application:
    """Build the server's application.

    Args:
        is_targeted: whether a StatefulSet (namespace, name) is the target of a StatefulRollout that is there to stay.
        lease_is_fresh: whether some replica leads.
    """

    async def mutate_pod(request: web.Request) -> web.Response:
        try:
            review = await request.json()
            uid = review["request"]["uid"]
        except (ValueError, KeyError, TypeError):
            WEBHOOK_REVIEWS.labels(Decision.MALFORMED).inc()
            raise web.HTTPBadRequest(text="expected an AdmissionReview with a request") from None
        decision, patch = Decision.NO_LEADER, list[Json]()
        if lease_is_fresh():
            try:
                decision, patch = decide_patch(review["request"], is_targeted)
            except (KeyError, TypeError, AttributeError) as error:
                decision = Decision.MALFORMED
                log.warning("admitted a pod unchanged: the review has an unexpected shape", error=repr(error))
        WEBHOOK_REVIEWS.labels(decision).inc()
        return web.json_response(build_answer(uid, patch))

    application = web.Application(client_max_size=_LARGEST_REVIEW)
    application.router.add_post(PATH, mutate_pod)
    return application


def decide_patch(request: Json, is_targeted: Callable[[str, str], bool]) -> tuple[Decision, list[Json]]:
    """Decide what a pod about to be created needs, as a JSON Patch; asked again about its result: nothing.

    `request` is the `request` of an AdmissionReview. Raises KeyError, TypeError or AttributeError where that is not
    shaped as the API says.
    """
    pod = request["object"]
    owner = stateful_set_over(pod["metadata"])
    creates_pod = (request["operation"], request["resource"]["resource"]) == ("CREATE", "pods")
    if owner is None or not creates_pod or request.get("subResource") or not is_targeted(request["namespace"], owner):
        return Decision.NOT_TARGETED, []
    patch: list[Json] = []
    gates = pod["spec"].get("readinessGates") or []
    if all(gate["conditionType"] != names.SERVING for gate in gates):
        patch.append({"op": "add", "path": "/spec/readinessGates", "value": [*gates, {"conditionType": names.SERVING}]})
    labels = pod["metadata"].get("labels")
    if not labels:
        patch.append({"op": "add", "path": "/metadata/labels", "value": {names.FENCED_LABEL: "true"}})
    elif labels.get(names.FENCED_LABEL) != "true":
        escaped = names.FENCED_LABEL.replace("~", "~0").replace("/", "~1")
        patch.append({"op": "add", "path": f"/metadata/labels/{escaped}", "value": "true"})
    return (Decision.INJECTED if patch else Decision.PRESENT), patch


def build_answer(uid: str, patch: list[Json]) -> Json:
    """Build the AdmissionReview that admits, with the patch where there is one."""
    response: Json = {"uid": uid, "allowed": True}
    if patch:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
