"""The status of a StatefulRollout: computed last, from the same facts as the plan, never read back.

The conditions follow kstatus: `Reconciling` and `Stalled` are never both True, so Flux, Helm and `kubectl wait` tell
"busy" from "needs a human". Each message is a sentence for somebody who has just been woken up: what is awaited,
what was seen, what to do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from statefulrollout.api import names
from statefulrollout.api.status import MAX_PODS, MAX_PODS_AT_REST
from statefulrollout.api.v1alpha1 import Condition, PodStatus, Status, WaitingFor
from statefulrollout.core.goal import failure_of, is_aborted, is_given_up
from statefulrollout.core.guards import overridden
from statefulrollout.core.membership import dark_since
from statefulrollout.core.plan import Plan
from statefulrollout.core.snapshot import FenceKind, PodView, Snapshot, StatefulSetView
from statefulrollout.core.stages import COMING_BACK, IN_MOTION, Place, Stage
from statefulrollout.core.step import Waiting
from statefulrollout.core.timestamps import timestamp
from statefulrollout.core.wording import name_some

GATES_NOT_READY = "ReadinessGatesNotReady"
"""The kubelet's reason for a pod whose containers are ready and one of whose gates is not."""
_MESSAGE_LIMIT = 1024


@dataclass(frozen=True)
class Verdict:
    """The situation as a whole: the phase, and reason and message for the conditions."""

    phase: str
    reason: str
    message: str
    ready: bool = False
    stalled: bool = False
    degraded: bool = False

    @property
    def reconciling(self) -> bool:
        """Whether the operator is still at it."""
        return not self.ready and not self.stalled


def build_status(snapshot: Snapshot, plan: Plan, previous: Mapping[str, Any], now: float) -> Status:
    """The status to write.

    Args:
        snapshot: what was seen.
        plan: what was decided on it.
        previous: the status written last, for nothing but the times of its conditions.
        now: seconds since the epoch.
    """
    snapshot = replace(snapshot, ledger=plan.ledger)
    target = snapshot.target
    verdict = _verdict_of(snapshot, plan)
    replicas = target.replicas if target else 0
    updated = _count_updated(plan, target) if target else 0
    ready = sum(1 for place in plan.places if place.pod.ready and not place.condemned)
    return Status(
        observed_generation=snapshot.rollout.generation,
        phase=verdict.phase,
        message=verdict.message,
        accepted_revision=target.current_revision if target else None,
        wanted_revision=target.update_revision if target else None,
        replicas=replicas,
        updated=updated,
        ready=ready,
        in_motion=sum(1 for place in plan.places if place.stage in IN_MOTION),
        ungated=sum(1 for place in plan.places if not place.pod.gated),
        fence=plan.fence.value if plan.fence else None,
        step=_step_of(snapshot, plan),
        updated_of=f"{updated}/{replicas}",
        ready_of=f"{ready}/{replicas}",
        conditions=_conditions_of(snapshot, verdict, previous, now),
        pods=_pods_of(plan),
    )


def refusal(generation: int, problems: str, previous: Mapping[str, Any], now: float) -> Status:
    """The status of an object whose spec this version of the operator cannot even read."""
    verdict = Verdict("Failed", "InvalidSpec", problems, stalled=True, degraded=True)
    conditions = _build_conditions(verdict, paused=False, generation=generation, previous=previous, now=now)
    return Status(observed_generation=generation, phase=verdict.phase, message=verdict.message, conditions=conditions)


def _verdict_of(snapshot: Snapshot, plan: Plan) -> Verdict:
    target = snapshot.target
    if plan.problems or target is None:
        message = "; ".join(str(problem) for problem in plan.problems)
        return Verdict("Failed", "InvalidSpec", _cut(message), stalled=True, degraded=True)
    given_up, failed = is_given_up(snapshot), failure_of(snapshot, target.update_revision)
    counts = f"{_count_updated(plan, target)} of {target.replicas} pods updated"
    if failed and not given_up:
        message = (
            f"revision {failed.revision} failed ({failed.reason}): {failed.message}. {counts}; no further pod goes. "
            "Apply a fixed template (or the old one), or mend what it lacks: it goes on when its pods are healthy"
        )
        return Verdict("Failed", failed.reason, _cut(message), stalled=True, degraded=True)
    if given_up:
        counts = f"{_count_arrived(plan)} of {target.replicas} pods are at revision {target.current_revision} again"
    if plan.troubles:
        message = f"{plan.troubles[0]}. {counts}; no further pod goes until it answers"
        return Verdict("Failed", "HookFailed", _cut(message), stalled=True, degraded=True)
    if given_up:
        counts += f"; {plan.finishing}" if plan.finishing else ""
        return _way_back_of(snapshot, plan, target, counts)
    return _progress_of(snapshot, plan, target, counts)


def _way_back_of(snapshot: Snapshot, plan: Plan, target: StatefulSetView, counts: str) -> Verdict:
    """The situation where the wanted revision has been given up."""
    revision, failed = target.update_revision, failure_of(snapshot, target.update_revision)
    reason, why = "Aborted", f"revision {revision} was given up (spec.abort)"
    remedy = f"Apply another pod template, or remove spec.abort to go on with {revision}"
    if failed and not is_aborted(snapshot):
        reason, why = failed.reason, f"revision {revision} failed ({failed.reason}): {failed.message}"
        nonce = snapshot.ledger.attempt.nonce + 1
        remedy = (
            f"Apply a fixed template, or set spec.retry to {{revision: {revision}, nonce: {nonce}}} to try it again"
        )
    moving = _moving_in(plan)
    leaving = [place for place in plan.places if place.leaves_for is not None]
    if not moving and not leaving and _count_arrived(plan) == target.replicas:
        return Verdict("RolledBack", reason, _cut(f"{why}. {counts}. {remedy}"), stalled=True)
    detail = (_first_wait(plan, moving) or _missing(plan, target) or _first_wait(plan, leaving)) + _silent(plan)
    if snapshot.rollout.spec.paused and not moving:
        message = f"paused by spec.paused on the way back; {counts}{detail}. Set spec.paused to false to go on"
        return Verdict("Paused", "Paused", _cut(message), degraded=True)
    return Verdict("RollingBack", "RollingBack", _cut(f"{counts}{detail}; {why}"), degraded=True)


def _progress_of(snapshot: Snapshot, plan: Plan, target: StatefulSetView, counts: str) -> Verdict:
    moving = _moving_in(plan)
    evicted = [place for place in plan.places if place.evicted]
    outdated = [place for place in plan.places if place.leaves_for is not None and not place.evicted]
    rolling = bool(outdated) or target.current_revision != target.update_revision
    missing = len(_ordinals_without_pod(plan, target))
    at_rest = not rolling and not moving and not missing and not evicted
    if at_rest and all(place.pod.ready for place in plan.places):
        if not target.observed or plan.fence is not FenceKind.HOLD:
            return Verdict("RollingOut", "Accepting", f"{counts}; the new revision is being accepted")
        if plan.finishing:
            return Verdict("Finishing", "Finishing", _cut(f"{counts}; {plan.finishing}"))
        message = f"{counts}; revision {target.update_revision} is in place"
        if is_aborted(snapshot):
            message += ". spec.abort comes too late, it is accepted: apply another pod template"
        return Verdict("Healthy", "RolloutComplete", message, ready=True)
    if plan.pacing.rest and not moving and not missing and not snapshot.rollout.spec.paused:
        return Verdict("Resting", "AtStep", _cut(f"{counts}; {plan.pacing.rest}"))
    detail = _first_wait(plan, moving) or _missing(plan, target)
    detail = detail or _first_wait(plan, evicted) or _first_wait(plan, outdated)
    detail += _silent(plan)
    if not rolling:
        message = _cut(f"{target.replicas - missing} of {target.replicas} pods exist{detail}")
        if any(_is_hurt(place) for place in plan.places):
            return Verdict("Degraded", "Recovering", message, degraded=True)
        return Verdict("Evicting", "EvictionAsked", message) if evicted else Verdict("Settling", "PodsComing", message)
    if snapshot.rollout.spec.paused and not moving and not missing:
        message = f"paused by spec.paused; {counts}{detail}. Set spec.paused to false to go on"
        return Verdict("Paused", "Paused", _cut(message))
    if moving or missing or not outdated:
        return Verdict("RollingOut", "RollingOut", _cut(f"{counts}{detail}"))
    return Verdict("Waiting", "WaitingForGuard", _cut(f"{counts}{detail}"))


def _ordinals_without_pod(plan: Plan, target: StatefulSetView) -> list[int]:
    present = {place.pod.ordinal for place in plan.places}
    return [ordinal for ordinal in target.ordinals if ordinal not in present]


def _missing(plan: Plan, target: StatefulSetView) -> str:
    """Who is to be created, and where whoever creates pods says why that takes long."""
    absent = [f"{target.name}-{ordinal}" for ordinal in _ordinals_without_pod(plan, target)]
    if not absent:
        return ""
    verb = "is" if len(absent) == 1 else "are"
    return f"; {name_some(absent)} {verb} missing: the StatefulSet's events say what its controller waits for"


def _silent(plan: Plan) -> str:
    """Pods whose node seems to have stopped answering, and what a human can do about it."""
    silent = [place.pod for place in plan.places if _is_silent(place.pod)]
    if not silent:
        return ""
    pods = name_some([f"{pod.name} on {pod.node}" for pod in silent])
    return (
        f". Not heard of: {pods}. Bring the node back; if it is gone for good, delete the Node, and what only its pods "
        "have is lost. Nothing is deleted by force"
    )


def _is_silent(pod: PodView) -> bool:
    """Whether it would be ready, if only its kubelet were heard of; of a gate that is not ours the kubelet tells."""
    ready = pod.conditions.get("Ready")
    told = ready is not None and ready.reason == GATES_NOT_READY
    return pod.containers_ready and dark_since(pod) is not None and not told


def _is_hurt(place: Place) -> bool:
    """Whether the pod had served or failed already, and does not serve now; a new one that comes up is not hurt."""
    pod = place.pod
    restarted = any(container.restarts for container in pod.containers)
    stopped = pod.serving and (pod.since("Ready") or 0.0) > (pod.since(names.SERVING) or 0.0)
    return not pod.ready and (bool(place.stuck) or restarted or stopped or place.stage is Stage.TERMINATING)


def _first_wait(plan: Plan, places: list[Place]) -> str:
    order = sorted(places, key=lambda place: place.stage not in IN_MOTION)
    for place in order:
        if waiting := plan.waiting.get(place.pod.uid):
            return f"; {place.pod.name} is {place.stage.value} and waits for {waiting.name}: {waiting.observed}"
    return f"; {order[0].pod.name} is {order[0].stage.value}" if order else ""


def _step_of(snapshot: Snapshot, plan: Plan) -> str:
    """The steps that are passed, of all; a dash where there are none or nothing is rolling."""
    steps, progress = snapshot.rollout.spec.strategy.steps, plan.pacing.progress
    return f"{min(progress.passed, len(steps))}/{len(steps)}" if progress.revision else "-"


def _count_updated(plan: Plan, target: StatefulSetView) -> int:
    """Pods of the wanted revision that count, even where that is given up."""
    counting = (Stage.SERVING, Stage.UPDATED)
    mine = (place for place in plan.places if place.pod.revision == target.update_revision and not place.condemned)
    return sum(place.stage in counting and place.soaked for place in mine)


def _count_arrived(plan: Plan) -> int:
    """Pods where they shall be, and soaked."""
    return sum(place.stage is Stage.UPDATED for place in plan.places)


def _conditions_of(snapshot: Snapshot, verdict: Verdict, previous: Mapping[str, Any], now: float) -> list[Condition]:
    rollout = snapshot.rollout
    return _build_conditions(
        verdict,
        paused=rollout.spec.paused,
        overridden=overridden(snapshot),
        generation=rollout.generation,
        previous=previous,
        now=now,
    )


def _build_conditions(
    verdict: Verdict,
    *,
    paused: bool,
    generation: int,
    previous: Mapping[str, Any],
    now: float,
    overridden: Collection[str] = (),
) -> list[Condition]:
    earlier = {condition.get("type"): condition for condition in previous.get("conditions") or []}

    def condition(kind: str, holds: bool, reason: str, message: str) -> Condition:
        status: Literal["True", "False"] = "True" if holds else "False"
        before = earlier.get(kind, {})
        kept = before.get("lastTransitionTime") if before.get("status") == status else None
        return Condition(
            type=kind,
            status=status,
            reason=reason,
            message=message,
            observed_generation=generation,
            last_transition_time=kept or timestamp(now),
        )

    def detail(holds: bool, otherwise: str) -> tuple[str, str]:
        return (verdict.reason, verdict.message) if holds else (otherwise, "")

    return [
        condition(names.READY, verdict.ready, verdict.reason, verdict.message),
        condition(names.RECONCILING, verdict.reconciling, *detail(verdict.reconciling, "Settled")),
        condition(names.STALLED, verdict.stalled, *detail(verdict.stalled, "NotStalled")),
        condition(
            names.PAUSED,
            paused,
            "PausedByUser" if paused else "NotPaused",
            "spec.paused is true: no pod is chosen for a new revision" if paused else "",
        ),
        condition(names.DEGRADED, verdict.degraded, *detail(verdict.degraded, "NotDegraded")),
        condition(
            names.OVERRIDDEN,
            bool(overridden),
            "OverriddenByUser" if overridden else "NotOverridden",
            f"spec.override passes over {', '.join(sorted(overridden))}" if overridden else "",
        ),
    ]


def _moving_in(plan: Plan) -> list[Place]:
    return [place for place in plan.places if place.stage in IN_MOTION | COMING_BACK]


def _pods_of(plan: Plan) -> list[PodStatus]:
    """Those in motion, and few others."""

    def rank(place: Place) -> tuple[bool, bool, bool, int]:
        waits = place.pod.uid in plan.waiting
        return (place.stage not in IN_MOTION, place.stage not in COMING_BACK, not waits, place.pod.ordinal)

    listed: list[PodStatus] = []
    for place in sorted(plan.places, key=rank)[: min(MAX_PODS, max(MAX_PODS_AT_REST, len(_moving_in(plan))))]:
        waiting = plan.waiting.get(place.pod.uid)
        listed.append(
            PodStatus(
                name=place.pod.name,
                stage=place.stage.value,
                revision=place.pod.revision or None,
                since=_since(place),
                waiting_for=_waiting_for(waiting) if waiting else None,
            )
        )
    return listed


def _waiting_for(waiting: Waiting) -> WaitingFor:
    return WaitingFor(
        name=waiting.name,
        observed=waiting.observed[:256],
        since=None if waiting.since is None else timestamp(waiting.since),
    )


def _since(place: Place) -> str | None:
    """When the pod last changed in a way that its stage rests on."""
    times = [place.pod.created, *(place.pod.since(kind) or 0.0 for kind in (*names.POD_CONDITIONS, "Ready"))]
    latest = max(times)
    return timestamp(latest) if latest else None


def _cut(message: str) -> str:
    return message if len(message) <= _MESSAGE_LIMIT else f"{message[: _MESSAGE_LIMIT - 1]}…"
