"""A pod that comes, stays or returns: started, restored, in service, trusted after its soak.

Each function is the step of one stage. A gate is opened only once the membership with the pod is done.
"""

from __future__ import annotations

from dataclasses import replace

from statefulrollout.api import names
from statefulrollout.core import questions
from statefulrollout.core.actions import MarkPod, Motion
from statefulrollout.core.asks import Ask, is_done
from statefulrollout.core.containers import containers_of, facts_match_containers
from statefulrollout.core.goal import is_given_up
from statefulrollout.core.snapshot import Facts, Snapshot
from statefulrollout.core.stages import Place, Stage, can_be_asked, soaked_at
from statefulrollout.core.step import CLOSED, OPENED, Stand, Step, Waiting, ask_hook, judge_pod_hook


def restored_pods(snapshot: Snapshot, places: tuple[Place, ...], now: float) -> frozenset[str]:
    """UIDs of the pods that did their own part of coming back: restore, or the undo of what was begun on them."""
    return frozenset(place.pod.uid for place in places if _is_restored(snapshot, place, now))


def _is_restored(snapshot: Snapshot, place: Place, now: float) -> bool:
    if place.stage is Stage.RETURNING:
        turned = place.pod.facts is not None and place.pod.facts.returning
        undone = all(is_done(snapshot.reports.get(ask.id)) for ask in _undoes_of(snapshot, place))
        return turned and undone and facts_match_containers(snapshot, place.pod)
    if place.stage is not Stage.RESTORING or _must_close_gate(snapshot, place):
        return False
    hook = snapshot.rollout.spec.restore
    return hook is None or judge_pod_hook(snapshot, place, "restore", hook, now)[1].done


def rest(stand: Stand, place: Place) -> Step:
    """Serving, soaking, updated: nothing to do; what was begun to bring the pod here is complete."""
    closes = tuple(entry.id for entry in stand.snapshot.ledger.open_hooks if entry.uid == place.pod.uid)
    if place.soaked:
        return Step(closes=closes)
    if not place.pod.ready:
        return Step(closes=closes, waiting=Waiting("kubelet", "gate open, not Ready yet"))
    until = soaked_at(stand.snapshot, place.pod)
    soak = stand.snapshot.rollout.spec.strategy.soak_seconds
    return Step(closes=closes, waiting=Waiting("soak", f"healthy for {soak} s, then trusted"), recheck_at=until)


def take_over(stand: Stand, place: Place) -> MarkPod | None:
    """Put the pod under the lid; one that serves already is taken over with what is true of it now."""
    resting = place.stage in (Stage.SERVING, Stage.SOAKING, Stage.UPDATED)
    if resting and not facts_match_containers(stand.snapshot, place.pod):
        facts = Facts(containers=containers_of(place.pod))
        return MarkPod(place.pod, "", "", {names.SERVING: True}, facts=facts, fenced=True)
    return None if place.pod.fenced else MarkPod(place.pod, "", "", fenced=True)


def start(stand: Stand, place: Place) -> Step:
    """Wait for the kubelet; close the gate of a pod whose containers restarted before it is ready again."""
    awaited = place.pod.awaits_restart
    usual = f"container {awaited[0]} is not restarted yet" if awaited else "containers are not ready"
    observed = place.stuck or place.pod.unschedulable or usual
    deadline = stand.snapshot.rollout.spec.strategy.progress_deadline_seconds
    restart = place.pod.facts.restart if place.pod.facts else None
    since = max(place.pod.unready_since, restart.at if restart else 0.0)
    due = since + deadline if since + deadline > stand.now else None
    step = Step(waiting=Waiting("kubelet", observed), recheck_at=due)
    if _must_close_gate(stand.snapshot, place):
        return replace(step, actions=(_shut(place),))
    return step


def _must_close_gate(snapshot: Snapshot, place: Place) -> bool:
    """A gate that is still open although the containers behind it are others, and there is something to restore."""
    spec = snapshot.rollout.spec
    restorable = spec.restore is not None or spec.membership is not None
    return restorable and place.pod.gated and place.pod.serving and not facts_match_containers(snapshot, place.pod)


def _shut(place: Place) -> MarkPod:
    message = "a container restarted: the pod serves again once it is restored"
    return MarkPod(place.pod, "ContainerRestarted", message, {**OPENED, **CLOSED}, facts=Facts(), fenced=True)


def restore(stand: Stand, place: Place) -> Step:
    """Prepare the pod behind its closed gate, then let it serve; close the gate first where it is still open."""
    if _must_close_gate(stand.snapshot, place):
        if place.pod.ready and not stand.may_close_gate:
            return Step(waiting=Waiting("budget_allows_new_unavailability", "a container restarted; no pod to spare"))
        return Step(actions=(_shut(place),))
    hook, step = stand.snapshot.rollout.spec.restore, Step()
    if hook is not None:
        judgement, step = ask_hook(stand, place, "restore", hook)
        if not judgement.done:
            return step
    return _open_gate(stand, place, step, "PodServing", "back in service")


def give_back(stand: Stand, place: Place) -> Step:
    """Turn the pod round, take back what was begun on it, then let it serve again."""
    if place.pod.facts is not None and not place.pod.facts.returning:
        message = f"goes back: it does not leave for {place.pod.facts.wanted} any more"
        held = {names.RELEASED: False} if place.pod.released else {}
        facts = replace(place.pod.facts, returning=True)
        return Step(actions=(MarkPod(place.pod, "PodReturning", message, held, facts=facts),))
    snapshot = stand.snapshot
    # All of them until the pod serves: an answer is kept only as long as its question is asked.
    asks = _undoes_of(snapshot, place)
    pending = [ask for ask in asks if not is_done(snapshot.reports.get(ask.id))]
    if pending:
        report = snapshot.reports.get(pending[0].id)
        return Step(asks=asks, waiting=Waiting(pending[0].title, report.text if report else "asked"))
    closes = tuple(entry.id for entry in snapshot.ledger.open_hooks if entry.uid == place.pod.uid)
    back = Step(asks=asks, closes=closes)
    if not facts_match_containers(snapshot, place.pod) or not place.pod.containers_ready:
        conditions = {**OPENED, **CLOSED}
        mark = MarkPod(place.pod, "PodReturned", "no longer leaving", conditions, facts=Facts(), motion=Motion.AT_REST)
        return replace(back, actions=(mark,))
    return _open_gate(stand, place, back, "PodReturned", "back in service: no longer leaving")


def _undoes_of(snapshot: Snapshot, place: Place) -> tuple[Ask, ...]:
    """What takes back the hooks begun on the pod; what a dead pod was told died with it."""
    asks = [questions.ask_of_undo(entry) for entry in snapshot.ledger.open_hooks if entry.uid == place.pod.uid]
    alive = can_be_asked(place.pod)
    return tuple(
        ask for ask in asks if ask and (alive or any(address.name != place.pod.name for address in ask.request.to))
    )


def _open_gate(stand: Stand, place: Place, step: Step, reason: str, message: str) -> Step:
    if stand.membership is not None:
        return replace(step, closes=(), waiting=stand.membership)
    if _would_complete(stand, place):
        observed = "with this gate open, the StatefulSet controller would accept the revision that is given up"
        return replace(step, closes=(), waiting=Waiting("fence", observed))
    target = stand.snapshot.target
    rolling = target is not None and target.current_revision != target.update_revision
    if rolling and not stand.fence_stands:
        # With the last gate open and the wrong fence, the controller would accept the revision before its soak.
        return replace(step, closes=(), waiting=Waiting("fence", "the StatefulSet controller has not seen it yet"))
    facts = Facts(containers=containers_of(place.pod))
    mark = MarkPod(place.pod, reason, message, OPENED, facts=facts, fenced=True, motion=Motion.AT_REST)
    return replace(step, actions=(mark,), waiting=None)


def _would_complete(stand: Stand, place: Place) -> bool:
    """Whether the pod, out of service, is the last that keeps a revision from being accepted that was given up."""
    target = stand.snapshot.target
    if target is None or not is_given_up(stand.snapshot) or place.pod.revision != target.update_revision:
        return False
    if place.pod.ready:
        return False
    others = {other.pod.ordinal: other.pod.revision for other in stand.around.places if other.pod.uid != place.pod.uid}
    return all(
        others.get(ordinal) == target.update_revision for ordinal in target.ordinals if ordinal != place.pod.ordinal
    )
