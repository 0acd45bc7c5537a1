"""Where each pod stands in its life, derived from the pod on every pass.

    Serving -> Isolating -> Draining -> Migrating -> Released -> (a new pod) Starting -> Restoring -> Soaking -> Updated

Beside that path: *Returning*, a pod that was leaving for a revision nobody wants any more and goes back to
service, and *Terminating*, a pod that somebody else deleted.

No stage is stored. What we wrote on the pod (its conditions and the facts annotation) says how far it came, and the
annotation says for which wanted revision and which containers that was true: a container that restarted since, or
another wanted revision, and the fact does not hold. So the operator may die between any two calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from statefulrollout.api import names
from statefulrollout.api.v1alpha1 import UnhealthyOutdated
from statefulrollout.core.containers import are_running, facts_match_containers, has_ended
from statefulrollout.core.evicting import is_evicted
from statefulrollout.core.goal import goal_of, has_failed, is_given_up
from statefulrollout.core.snapshot import ContainerView, Facts, PodView, Snapshot, StatefulSetView


class Stage(StrEnum):
    """A pod's stage, in the order of its life."""

    SERVING = "Serving"
    ISOLATING = "Isolating"
    DRAINING = "Draining"
    MIGRATING = "Migrating"
    RELEASED = "Released"
    TERMINATING = "Terminating"
    RETURNING = "Returning"
    STARTING = "Starting"
    RESTORING = "Restoring"
    SOAKING = "Soaking"
    UPDATED = "Updated"


LEAVING = frozenset({Stage.ISOLATING, Stage.DRAINING, Stage.MIGRATING})
"""Chosen, not yet released: these may still go back."""
IN_MOTION = LEAVING | {Stage.RELEASED, Stage.RETURNING}
COMING_BACK = frozenset({Stage.STARTING, Stage.RESTORING, Stage.SOAKING, Stage.TERMINATING})
"""Out of service or not trusted yet, and not to leave; whoever terminates comes back as another pod."""

SCALE_DOWN = "scale-down"
"""What a condemned pod leaves for, in place of a revision."""
EVICTION = "eviction"
"""What a pod leaves for that somebody wants off its node."""

UNRECOVERABLE = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
"""Waiting reasons that the kubelet does not get out of without a change of the pod or its surroundings."""


@dataclass(frozen=True)
class Place:
    """A pod with everything about it that decisions need.

    `leaves_for` is the revision it shall make room for, `scale-down` where its ordinal is not wanted, `eviction` where
    somebody wants it off its node, or None where it may stay. `stuck` says why it cannot become healthy by itself, and
    is empty where it can. `soaked` says whether it has served healthily for the soak time.
    """

    pod: PodView
    stage: Stage
    leaves_for: str | None
    stuck: str
    soaked: bool

    @property
    def condemned(self) -> bool:
        """Whether a scale-down takes it."""
        return self.leaves_for == SCALE_DOWN

    @property
    def evicted(self) -> bool:
        """Whether somebody wants it off its node."""
        return self.leaves_for == EVICTION

    @property
    def rolled(self) -> bool:
        """Whether it leaves for a revision."""
        return self.leaves_for is not None and not self.condemned and not self.evicted

    @property
    def available(self) -> bool:
        """Whether it carries load now. One that came back, at whatever revision, is not trusted before its soak."""
        return self.stage in (Stage.SERVING, Stage.UPDATED) and self.soaked


def places_of(snapshot: Snapshot, now: float) -> tuple[Place, ...]:
    """Every pod with its stage, by ordinal."""
    target = snapshot.target
    if target is None:
        return ()
    return tuple(
        _place(snapshot, target, pod, now) for pod in sorted(snapshot.pods, key=lambda pod: (pod.ordinal, pod.created))
    )


def _place(snapshot: Snapshot, target: StatefulSetView, pod: PodView, now: float) -> Place:
    leaves_for = leaves_for_of(snapshot, target, pod, now)
    stage = _stage_of(snapshot, target, pod, leaves_for, now)
    return Place(pod, stage, leaves_for, stuck_reason_of(snapshot, pod, now), is_soaked(snapshot, pod, now))


def leaves_for_of(snapshot: Snapshot, target: StatefulSetView, pod: PodView, now: float) -> str | None:
    """What the pod shall make room for, or None where it may stay.

    One that is leaving for the goal already goes on with that: it comes off its node as well.
    """
    if pod.ordinal not in target.ordinals:
        return SCALE_DOWN
    goal = goal_of(snapshot)
    rolled = pod.revision != goal
    under_way = rolled and pod.facts is not None and pod.facts.wanted == goal
    if is_evicted(pod, now) and not under_way:
        return EVICTION
    return goal if rolled else None


def _stage_of(snapshot: Snapshot, target: StatefulSetView, pod: PodView, leaves_for: str | None, now: float) -> Stage:
    if pod.released and not _is_called_back(pod, leaves_for):
        return Stage.RELEASED
    if pod.terminating:
        return Stage.TERMINATING
    if pod.facts is not None and pod.facts.wanted:
        if pod.facts.returning or pod.facts.wanted != leaves_for or goes_back(snapshot, target, pod):
            return Stage.RETURNING
        return _leaving_stage_of(snapshot, pod, pod.facts, now)
    if holds_for_its_containers(snapshot, pod) and are_running(snapshot, pod):
        if leaves_for is not None:
            return Stage.SERVING
        return Stage.UPDATED if is_soaked(snapshot, pod, now) else Stage.SOAKING
    return Stage.RESTORING if pod.containers_ready and not pod.awaits_restart else Stage.STARTING


def _is_called_back(pod: PodView, leaves_for: str | None) -> bool:
    """Whether a pod that was released for its eviction is not asked for any more: nobody else takes it away."""
    evicted = pod.facts is not None and pod.facts.wanted == EVICTION
    return evicted and leaves_for != EVICTION and not pod.terminating


def _leaving_stage_of(snapshot: Snapshot, pod: PodView, facts: Facts, now: float) -> Stage:
    if pod.is_true(names.DRAINED) and (facts.stuck or _is_still_who_was_drained(snapshot, pod)):
        return Stage.MIGRATING
    drain = snapshot.rollout.spec.drain
    if pod.gated and not facts.stuck:
        isolated = snapshot.isolated.get(pod.uid)
        propagation = drain.propagation_seconds if drain else 0
        if isolated is None or now < isolated + propagation:
            return Stage.ISOLATING
    return Stage.DRAINING


def _is_still_who_was_drained(snapshot: Snapshot, pod: PodView) -> bool:
    """Whether the drained containers run; one that has just ended keeps its ID until its successor starts.

    Of a pod that is dead nothing more can be asked.
    """
    return facts_match_containers(snapshot, pod) and (not has_ended(snapshot, pod) or not can_be_asked(pod))


def goes_back(snapshot: Snapshot, target: StatefulSetView, pod: PodView) -> bool:
    """Whether a pod that was leaving shall serve again although its revision is still wanted.

    So it is where that revision has failed meanwhile; and under OrderedReady where another ordinal is missing: the
    controller creates nothing while an earlier pod is not ready, and our closed gate would keep it missing.
    """
    if pod.ordinal not in target.ordinals or (pod.facts is not None and pod.facts.stuck):
        return False
    if pod.facts is not None and has_failed(snapshot, pod.facts.wanted):
        return True
    if not target.ordered:
        return False
    present = {other.ordinal for other in snapshot.pods if not other.terminating}
    return any(ordinal not in present for ordinal in target.ordinals)


def holds_for_its_containers(snapshot: Snapshot, pod: PodView) -> bool:
    """Whether the pod serves, and what was true when it began to serve is true of its containers now.

    A pod that served before the StatefulRollout came is taken over as it is.
    """
    if (pod.facts is None or not pod.facts.containers) and pod.created <= snapshot.rollout.created:
        return pod.serving or not pod.gated
    return pod.serving and facts_match_containers(snapshot, pod)


def is_soaked(snapshot: Snapshot, pod: PodView, now: float) -> bool:
    """Whether the pod has served healthily for the soak time."""
    return pod.ready and now >= soaked_at(snapshot, pod)


def soaked_at(snapshot: Snapshot, pod: PodView) -> float:
    """When the soak of a pod that stays ready is over.

    A container may restart so quickly that the kubelet never calls the pod not ready: it begins the soak anew as well.
    The times in a pod's status are cut to whole seconds, so one second is added: a soak is never cut short.
    """
    soak = snapshot.rollout.spec.strategy.soak_seconds
    if not soak:
        return 0.0
    started = (container.since for container in pod.containers)
    return max(pod.since(names.SERVING) or 0.0, pod.since("Ready") or 0.0, *started) + soak + 1.0


def stuck_reason_of(snapshot: Snapshot, pod: PodView, now: float) -> str:
    """Why the pod cannot become healthy by itself, or may not be waited for; empty where it is or can.

    A pod that is merely slow (replaying a log, say) is not stuck before the progress deadline, unless the user said
    `unhealthyOutdated: Replace`.
    """
    if reason := broken_reason_of(snapshot, pod, now):
        return reason
    if pod.terminating or pod.ready:
        return ""
    if has_failed(snapshot, pod.revision):
        return f"revision {pod.revision} has failed"
    if is_given_up(snapshot) and pod.revision != goal_of(snapshot):
        return f"revision {pod.revision} is given up"
    replace = snapshot.rollout.spec.strategy.unhealthy_outdated is UnhealthyOutdated.REPLACE
    return "not ready (unhealthyOutdated: Replace)" if replace and not pod.containers_ready else ""


def broken_reason_of(snapshot: Snapshot, pod: PodView, now: float) -> str:
    """What the kubelet shows to be wrong with the pod; empty where nothing is."""
    if pod.terminating or pod.ready:
        return ""
    if pod.finished:
        return f"phase {pod.phase}"
    awaited = pod.awaits_restart
    for container in pod.containers:
        # The crash of a container that is still to be replaced in place says nothing about what replaces it.
        of_the_old = container.name in awaited and container.waiting_reason == "CrashLoopBackOff"
        if not of_the_old and (reason := _unrecoverable(container)):
            return reason
    deadline = snapshot.rollout.spec.strategy.progress_deadline_seconds
    if not pod.containers_ready and now >= pod.unready_since + deadline:
        late = int(now - pod.unready_since)
        return pod.unschedulable or f"containers not ready for {late} s (progressDeadlineSeconds)"
    restart = pod.facts.restart if pod.facts else None
    if restart is not None and awaited and now >= restart.at + deadline:
        late = int(now - restart.at)
        return f"container {awaited[0]} not restarted for {late} s (progressDeadlineSeconds)"
    return ""


def _unrecoverable(container: ContainerView) -> str:
    if container.waiting_reason not in UNRECOVERABLE:
        return ""
    if container.waiting_reason == "CrashLoopBackOff" and container.exit_code is not None:
        return f"container {container.name} CrashLoopBackOff (exit code {container.exit_code})"
    return f"container {container.name} {container.waiting_reason}"


def can_be_asked(pod: PodView) -> bool:
    """Whether calls to the pod itself make sense: a dead pod cannot be asked, and has nothing left to hand over.

    One that is merely not ready may be in the midst of its drain: it is asked.
    """
    chosen_as_stuck = pod.facts is not None and pod.facts.stuck
    dead = pod.finished or any(_unrecoverable(container) for container in pod.containers)
    return not chosen_as_stuck and not dead and bool(pod.ip)
