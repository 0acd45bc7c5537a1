"""The next step of one pod: from its stage and the answers of the application to actions, asks and what it waits for.

One function per stage. None of them chooses pods or counts budgets: a step carries on what was chosen, brings back
what returned, and takes over what it finds. A hook is remembered in the ledger before it is begun.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from statefulrollout.api import names
from statefulrollout.api.v1alpha1 import Hook, Removal, Target
from statefulrollout.core import questions
from statefulrollout.core.actions import Action, Announcement, How, MarkPod, RemovePod
from statefulrollout.core.asks import Answer, Ask
from statefulrollout.core.judging import Judgement, judge_hook
from statefulrollout.core.ledger import OpenHook
from statefulrollout.core.questions import Surroundings
from statefulrollout.core.snapshot import Facts, PodView, Snapshot
from statefulrollout.core.stages import Place, Stage, can_be_asked, containers_of, facts_match_containers, soaked_at

CLOSED = {names.SERVING: False}
OPENED = {names.SERVING: True, names.DRAINED: False, names.MIGRATED: False}
LET_GO = {names.DRAINED: True, names.MIGRATED: True, names.RELEASED: True}


@dataclass(frozen=True)
class Waiting:
    """What holds a pod up: a guard, a hook, or the kubelet; and the value seen."""

    name: str
    observed: str
    since: float | None = None


@dataclass(frozen=True)
class Step:
    """What happens to one pod in this pass.

    `opens` are entries of the ledger to add or replace, `closes` the ids of those to drop; `trouble` holds the whole
    rollout; `recheck_at` is when time alone changes something.
    """

    actions: tuple[Action, ...] = ()
    asks: tuple[Ask, ...] = ()
    opens: tuple[OpenHook, ...] = ()
    closes: tuple[str, ...] = ()
    waiting: Waiting | None = None
    trouble: str = ""
    recheck_at: float | None = None
    announcements: tuple[Announcement, ...] = ()


@dataclass(frozen=True)
class Stand:
    """What steps rely on beside the pod itself.

    Attributes:
        around: the snapshot, the places and the roster.
        membership: what the membership waits for; None where it is settled or not used.
        fence_stands: the fence that shall stand does, and the StatefulSet controller has seen it.
        may_close_gate: whether the budget can spare a serving pod for its restore.
        now: seconds since the epoch.
    """

    around: Surroundings
    membership: Waiting | None
    fence_stands: bool
    may_close_gate: bool
    now: float

    @property
    def snapshot(self) -> Snapshot:
        """The moment that is judged."""
        return self.around.snapshot


def step_of(stand: Stand, place: Place) -> Step:
    """The next step of this pod."""
    step = _STEPS[place.stage](stand, place)
    if not step.actions and not place.pod.terminating and (mark := _take_over(stand, place)):
        return replace(step, actions=(mark,))
    return step


def begin(stand: Stand, place: Place) -> MarkPod:
    """Take the pod out of service: the first write of its departure."""
    facts = Facts(place.leaves_for or "", containers_of(place.pod), stuck=bool(place.stuck))
    why = f"{place.stuck}; goes first" if place.stuck else f"leaves for {place.leaves_for}"
    return MarkPod(place.pod, "PodIsolated", f"out of service: {why}", {**OPENED, **CLOSED}, facts=facts, fenced=True)


def restored_pods(snapshot: Snapshot, places: tuple[Place, ...], now: float) -> frozenset[str]:
    """UIDs of the pods that did their own part of coming back: restore, or the undo of what was begun on them."""
    return frozenset(place.pod.uid for place in places if _is_restored(snapshot, place, now))


def _is_restored(snapshot: Snapshot, place: Place, now: float) -> bool:
    if place.stage is Stage.RETURNING:
        return not _undone_yet(snapshot, place) and facts_match_containers(snapshot, place.pod)
    if place.stage is not Stage.RESTORING or _must_close_gate(snapshot, place):
        return False
    hook = snapshot.rollout.spec.restore
    return hook is None or _judge(snapshot, place, "restore", hook, now)[1].done


def _judge(snapshot: Snapshot, place: Place, title: str, hook: Hook, now: float) -> tuple[OpenHook | None, Judgement]:
    identity = questions.hook_id_of(snapshot, place, title)
    entry = next((entry for entry in snapshot.ledger.open_hooks if entry.id == identity), None)
    since, stalled = (entry.since, entry.stalled) if entry else (now, None)
    return entry, judge_hook(title, hook, since, stalled, snapshot.reports.get(identity), now)


def _ask(stand: Stand, place: Place, title: str, hook: Hook) -> tuple[Judgement, Step]:
    """Begin or continue a hook on the pod; where there are no peers, all of them agree."""
    target = stand.snapshot.target
    if hook.apply.target in (Target.PEERS, Target.ANY_PEER) and target is not None and target.replicas <= 1:
        return Judgement(done=True, observed="there are no peers"), Step()
    entry, judgement = _judge(stand.snapshot, place, title, hook, stand.now)
    opened = entry or questions.open_hook_of(stand.around, place, title, hook, stand.now)
    if judgement.stalled != (opened.stalled is not None):
        opened = opened.model_copy(update={"stalled": stand.now if judgement.stalled else None})
    superseded = tuple(
        other.id
        for other in stand.snapshot.ledger.open_hooks
        if other.uid == place.pod.uid and other.hook == title and other.id != opened.id
    )
    due = [opened.since + hook.deadline_seconds]
    if hook.stall_seconds is not None and (report := stand.snapshot.reports.get(opened.id)):
        due.append(report.progressed + hook.stall_seconds)
    return judgement, Step(
        asks=(questions.ask_of_hook(stand.around, place, title, hook, opened.since),),
        opens=() if opened == entry else (opened,),
        closes=superseded,
        waiting=Waiting(title, judgement.observed, opened.since),
        trouble=f"{place.pod.name}: {judgement.trouble}" if judgement.trouble else "",
        recheck_at=min((at for at in due if at > stand.now), default=None),
        announcements=passed_over(judgement, place.pod),
    )


def passed_over(judgement: Judgement, pod: PodView | None) -> tuple[Announcement, ...]:
    """Say aloud that a hook counts as done by the user's word only."""
    if not judgement.passed_over:
        return ()
    where = f"{pod.name}: " if pod else ""
    return (Announcement("HookPassedOver", where + judgement.observed, pod, warning=True),)


def _rest(stand: Stand, place: Place) -> Step:
    """Serving, soaking, updated: nothing to do; what was begun to bring the pod here is complete."""
    closes = tuple(entry.id for entry in stand.snapshot.ledger.open_hooks if entry.uid == place.pod.uid)
    if place.soaked:
        return Step(closes=closes)
    if not place.pod.ready:
        return Step(closes=closes, waiting=Waiting("kubelet", "gate open, not Ready yet"))
    until = soaked_at(stand.snapshot, place.pod)
    soak = stand.snapshot.rollout.spec.strategy.soak_seconds
    return Step(closes=closes, waiting=Waiting("soak", f"healthy for {soak} s, then trusted"), recheck_at=until)


def _take_over(stand: Stand, place: Place) -> MarkPod | None:
    """Put the pod under the lid; one that serves already is taken over with what is true of it now."""
    resting = place.stage in (Stage.SERVING, Stage.SOAKING, Stage.UPDATED)
    if resting and not facts_match_containers(stand.snapshot, place.pod):
        facts = Facts(containers=containers_of(place.pod))
        return MarkPod(place.pod, "", "", {names.SERVING: True}, facts=facts, fenced=True)
    return None if place.pod.fenced else MarkPod(place.pod, "", "", fenced=True)


def _isolate(stand: Stand, place: Place) -> Step:
    isolated = stand.snapshot.isolated.get(place.pod.uid)
    if isolated is None:
        observed = "an EndpointSlice still shows the pod as serving"
        return Step(waiting=Waiting("endpoints", observed), recheck_at=stand.now + 0.5)
    drain = stand.snapshot.rollout.spec.drain
    propagation = drain.propagation_seconds if drain else 0
    observed = f"propagationSeconds: {propagation} s after the EndpointSlices showed it not ready"
    return Step(waiting=Waiting("endpoints", observed, isolated), recheck_at=isolated + propagation)


def _drain(stand: Stand, place: Place) -> Step:
    spec = stand.snapshot.rollout.spec
    step, message = Step(), "drain: nothing to ask"
    if spec.drain is not None and _can_ask(place, spec.drain):
        judgement, step = _ask(stand, place, "drain", spec.drain)
        if not judgement.done:
            return step
        message = judgement.observed
    if spec.migrate is None and spec.membership is None:
        return _release(stand, place, step)
    done = {**CLOSED, names.DRAINED: True, names.MIGRATED: False}
    mark = MarkPod(place.pod, "PodDrained", message, done, facts=_leaving_facts(stand, place))
    return replace(step, actions=(mark,), waiting=None)


def _migrate(stand: Stand, place: Place) -> Step:
    hook = stand.snapshot.rollout.spec.migrate
    step, handed_over, message = Step(), place.pod.is_true(names.MIGRATED), ""
    if hook is not None and _can_ask(place, hook) and not handed_over:
        judgement, step = _ask(stand, place, "migrate", hook)
        if not judgement.done:
            return step
        message = judgement.observed
    if stand.membership is None:
        return _release(stand, place, step)
    if hook is not None and not handed_over:
        mark = MarkPod(place.pod, "PodMigrated", message, {names.MIGRATED: True})
        return replace(step, actions=(mark,), waiting=stand.membership)
    return replace(step, waiting=stand.membership)


def _release(stand: Stand, place: Place, step: Step) -> Step:
    if not stand.fence_stands:
        return replace(step, waiting=Waiting("fence", "the StatefulSet controller has not seen updateStrategy yet"))
    message, facts = f"released for {place.leaves_for}", _leaving_facts(stand, place)
    mark = MarkPod(place.pod, "PodReleased", message, {**CLOSED, **LET_GO}, facts=facts)
    completed = (
        entry.model_copy(update={"completed": True})
        for entry in stand.snapshot.ledger.open_hooks
        if entry.uid == place.pod.uid and questions.undo_reaches_others(entry)
    )
    return replace(step, actions=(mark, _removal(stand, place)), opens=(*step.opens, *completed), waiting=None)


def _leaving_facts(stand: Stand, place: Place) -> Facts:
    stuck = place.pod.facts is not None and place.pod.facts.stuck
    return Facts(place.leaves_for or "", containers_of(place.pod), stuck=stuck)


def _can_ask(place: Place, hook: Hook) -> bool:
    """A hook that addresses the pod needs it alive; one that addresses others runs all the same."""
    return hook.apply.target is not Target.POD or can_be_asked(place.pod)


def _removal(stand: Stand, place: Place) -> RemovePod:
    wish = stand.snapshot.rollout.spec.strategy.removal
    how = How.EVICT if wish is Removal.EVICT and not place.condemned and can_be_asked(place.pod) else How.DELETE
    return RemovePod(place.pod, how, "PodRemoved", f"makes room for {place.leaves_for or 'its successor'}")


def _see_off(stand: Stand, place: Place) -> Step:
    """Released: the lid is open; what was begun on the pod is complete."""
    closes = tuple(entry.id for entry in stand.snapshot.ledger.open_hooks if entry.uid == place.pod.uid)
    if place.pod.terminating:
        return Step(closes=closes, waiting=Waiting("kubelet", "stopping within its grace period"))
    if not stand.fence_stands:
        return Step(closes=closes, waiting=Waiting("fence", "the StatefulSet controller has not seen it yet"))
    return Step(actions=(_removal(stand, place),), closes=closes)


def _lose(stand: Stand, place: Place) -> Step:
    del stand, place
    return Step(waiting=Waiting("kubelet", "deleted by somebody else; stopping within its grace period"))


def _start(stand: Stand, place: Place) -> Step:
    """Wait for the kubelet; close the gate of a pod whose containers restarted before it is ready again."""
    observed = place.stuck or place.pod.unschedulable or "containers are not ready"
    deadline = stand.snapshot.rollout.spec.strategy.progress_deadline_seconds
    since = max(place.pod.created, place.pod.since("ContainersReady") or 0.0)
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


def _restore(stand: Stand, place: Place) -> Step:
    if _must_close_gate(stand.snapshot, place):
        if place.pod.ready and not stand.may_close_gate:
            return Step(waiting=Waiting("budget_allows_new_unavailability", "a container restarted; no pod to spare"))
        return Step(actions=(_shut(place),))
    hook, step = stand.snapshot.rollout.spec.restore, Step()
    if hook is not None:
        judgement, step = _ask(stand, place, "restore", hook)
        if not judgement.done:
            return step
    return _open_gate(stand, place, step, "PodServing", "back in service")


def _return(stand: Stand, place: Place) -> Step:
    """Take back what was begun on the pod, then let it serve again."""
    entries = [entry for entry in stand.snapshot.ledger.open_hooks if entry.uid == place.pod.uid]
    pending = _undone_yet(stand.snapshot, place)
    if pending:
        asks = tuple(ask for entry in pending if (ask := questions.ask_of_undo(entry)))
        reports = [stand.snapshot.reports.get(ask.id) for ask in asks]
        observed = next((report.text for report in reports if report and report.answer is not Answer.DONE), "asked")
        return Step(asks=asks, waiting=Waiting(f"undo of {pending[0].hook}", observed))
    closes = tuple(entry.id for entry in entries)
    if not facts_match_containers(stand.snapshot, place.pod) or not place.pod.containers_ready:
        mark = MarkPod(place.pod, "PodReturned", "no longer leaving", {**OPENED, **CLOSED}, facts=Facts())
        return Step(actions=(mark,), closes=closes)
    return _open_gate(stand, place, Step(closes=closes), "PodReturned", "back in service: no longer leaving")


def _undone_yet(snapshot: Snapshot, place: Place) -> list[OpenHook]:
    """The hooks begun on the pod whose undo is not confirmed; what a dead pod was told died with it."""
    pending = []
    for entry in snapshot.ledger.open_hooks:
        if entry.uid != place.pod.uid or (ask := questions.ask_of_undo(entry)) is None:
            continue
        report = snapshot.reports.get(ask.id)
        dead = not can_be_asked(place.pod) and all(address.name == place.pod.name for address in ask.request.to)
        if not dead and (report is None or report.answer is not Answer.DONE):
            pending.append(entry)
    return pending


def _open_gate(stand: Stand, place: Place, step: Step, reason: str, message: str) -> Step:
    if stand.membership is not None:
        return replace(step, closes=(), waiting=stand.membership)
    target = stand.snapshot.target
    rolling = target is not None and target.current_revision != target.update_revision
    if rolling and not stand.fence_stands:
        # With the last gate open and the wrong fence, the controller would accept the revision before its soak.
        return replace(step, closes=(), waiting=Waiting("fence", "the StatefulSet controller has not seen it yet"))
    facts = Facts(containers=containers_of(place.pod))
    mark = MarkPod(place.pod, reason, message, OPENED, facts=facts, fenced=True)
    return replace(step, actions=(mark,), waiting=None)


_STEPS: Mapping[Stage, Callable[[Stand, Place], Step]] = {
    Stage.SERVING: _rest,
    Stage.SOAKING: _rest,
    Stage.UPDATED: _rest,
    Stage.ISOLATING: _isolate,
    Stage.DRAINING: _drain,
    Stage.MIGRATING: _migrate,
    Stage.RELEASED: _see_off,
    Stage.TERMINATING: _lose,
    Stage.STARTING: _start,
    Stage.RESTORING: _restore,
    Stage.RETURNING: _return,
}
