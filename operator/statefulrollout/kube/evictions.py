"""The validating webhook of evictions: a pod of a targeted StatefulSet is drained before it may be evicted.

It answers at once. Whoever asks for an eviction is told to ask again (429, which `kubectl drain` and autoscalers
understand), the wish is noted on the pod, and whoever leads, now or next, has the pod leave. It runs on every replica.
What cannot be judged passes, as it would without a webhook: nobody's drain waits for an operator that is not there. One
that is there and has no time to look says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from enum import StrEnum

import structlog
from aiohttp import web

from statefulrollout.api import names
from statefulrollout.core.evicting import answer_of, is_evicted
from statefulrollout.core.snapshot import PodView
from statefulrollout.core.timestamps import timestamp
from statefulrollout.errors import ApiError, Conflict, KubeError, NotFound, Unavailable
from statefulrollout.kube import paths, views
from statefulrollout.kube.client import STRATEGIC_MERGE_PATCH, Json, Kube
from statefulrollout.kube.telemetry import EVICTION_REVIEWS

log = structlog.stdlib.get_logger(__name__)

SECONDS = 1.5
"""For everything; the API server waits two."""


class Decision(StrEnum):
    """What became of a request, for the metric."""

    PASSED = "passed"
    HELD = "held"
    NOT_TARGETED = "not_targeted"
    UNJUDGED = "unjudged"


class Evictions:
    """Answers for all replicas alike; what it knows beside its views it reads from the API server."""

    PATH = "/validate-eviction"

    def __init__(
        self,
        kube: Kube,
        rollouts_of: Callable[[str, str], Sequence[str]],
        clock: Callable[[], float] = time.time,
    ):
        """`rollouts_of` names the StatefulRollouts of a StatefulSet (namespace, name); `clock` is in epoch seconds."""
        self._kube = kube
        self._rollouts_of = rollouts_of
        self._clock = clock

    async def handle(self, request: web.Request) -> web.Response:
        """Answer an AdmissionReview of `pods/eviction`."""
        try:
            asked: Json = (await request.json())["request"]
            uid = asked["uid"]
        except (ValueError, KeyError, TypeError):
            raise web.HTTPBadRequest(text="expected an AdmissionReview with a request") from None
        try:
            async with asyncio.timeout(SECONDS):
                decision, message = await self.judge(asked)
        except (KubeError, TimeoutError, KeyError, TypeError, AttributeError) as error:
            decision, message = Decision.UNJUDGED, ""
            if _is_overload(error):
                # Only about a pod that is named like one of a targeted StatefulSet is anything read.
                decision = Decision.HELD
                message = f"{asked['name']} is drained before it may be evicted, and could not be looked at just now"
            log.warning("could not judge an eviction", pod=asked.get("name"), decision=decision, error=repr(error))
        EVICTION_REVIEWS.labels(decision).inc()
        return web.json_response(build_answer(uid, message))

    async def judge(self, asked: Json) -> tuple[Decision, str]:
        """Judge the `request` of a review; the message is empty where it may pass. Raises KubeError."""
        namespace, name = asked["namespace"], asked["name"]
        stateful_set = name.rpartition("-")[0]
        rollouts = self._rollouts_of(namespace, stateful_set)
        if not rollouts:
            return Decision.NOT_TARGETED, ""
        try:
            raw = await self._kube.call("GET", paths.pods(namespace, name))
        except NotFound:
            return Decision.PASSED, ""
        if views.stateful_set_over(raw["metadata"]) != stateful_set:
            return Decision.NOT_TARGETED, ""
        pod, now = views.pod_of(raw), self._clock()
        answer = answer_of(pod, uid_in(asked), now)
        if answer.noted and not asked.get("dryRun"):
            await self._note(namespace, pod)
        if answer.passes:
            return Decision.PASSED, ""
        awaited = f"StatefulRollout {rollouts[0]} has just been told"
        if is_evicted(pod, now):
            awaited = await self._what_is_awaited(namespace, name, rollouts[0])
        return Decision.HELD, f"{name} is drained before it may be evicted: {awaited}"

    async def _note(self, namespace: str, pod: PodView) -> None:
        noted = {names.EVICTION_ANNOTATION: timestamp(self._clock())}
        body = {"metadata": {"uid": pod.uid, "annotations": noted}}
        try:
            await self._kube.call(
                "PATCH", paths.pods(namespace, pod.name), body=body, content_type=STRATEGIC_MERGE_PATCH
            )
        except (Conflict, NotFound):
            # Another pod has its name by now: whoever asks meets that one next.
            return

    async def _what_is_awaited(self, namespace: str, pod: str, rollout: str) -> str:
        try:
            found = await self._kube.call("GET", paths.statefulrollouts(namespace, rollout))
        except NotFound:
            return f"StatefulRollout {rollout} is being deleted"
        status = found.get("status") or {}
        for entry in status.get("pods") or ():
            if entry["name"] == pod:
                waits = entry.get("waitingFor")
                reason = f" and waits for {waits['name']}: {waits['observed']}" if waits else ""
                return f"it is {entry['stage']}{reason} (StatefulRollout {rollout})"
        return f"StatefulRollout {rollout} is told; it says: {status.get('message') or 'nothing yet'}"


def _is_overload(error: Exception) -> bool:
    """Whether all may be well a moment later."""
    busy = isinstance(error, ApiError) and (error.status == 429 or error.status >= 500)
    return busy or isinstance(error, Unavailable | TimeoutError)


def uid_in(asked: Json) -> str:
    """The UID that a request for eviction names as its precondition; empty where it names none."""
    options = (asked.get("object") or {}).get("deleteOptions") or {}
    return str((options.get("preconditions") or {}).get("uid") or "")


def build_answer(uid: str, message: str) -> Json:
    """Build the AdmissionReview: it lets the eviction pass, or says with `message` why it has to be asked again.

    No `retryAfterSeconds`: clients would then wait inside their one request.
    """
    response: Json = {"uid": uid, "allowed": not message}
    if message:
        response["status"] = {"code": 429, "reason": "TooManyRequests", "message": message}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
