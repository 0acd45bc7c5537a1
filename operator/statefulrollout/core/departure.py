"""A pod on its way out: isolated, drained, its state moved, released, removed.

Each function is the step of one stage. None of them chooses pods or counts budgets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from statefulrollout.api import names
from statefulrollout.api.v1alpha1 import Hook, Target
from statefulrollout.core import questions
from statefulrollout.core.actions import Change, MarkPod, Motion, RemovePod, UpdateInPlace
from statefulrollout.core.budget import may_all_leave
from statefulrollout.core.containers import containers_of, has_ended
from statefulrollout.core.floor import is_under_the_floor
from statefulrollout.core.inplace import verdict_of
from statefulrollout.core.ledger import OpenHook
from statefulrollout.core.snapshot import Facts, Restart
from statefulrollout.core.stages import Place, can_be_asked
from statefulrollout.core.step import CLOSED, LET_GO, NOBODY_LEFT, OPENED, Stand, Step, Waiting, ask_hook


def begin(stand: Stand, place: Place) -> MarkPod:
    """Take the pod out of service: the first write of its departure."""
    facts = Facts(place.leaves_for or "", containers_of(place.pod), stuck=bool(place.stuck))
    why = f"{place.stuck}; goes first" if place.stuck else f"leaves for {place.leaves_for}"
    return MarkPod(
        place.pod,
        "PodIsolated",
        f"out of service: {why}",
        {**OPENED, **CLOSED},
        facts=facts,
        fenced=True,
        motion=Motion.IN_MOTION if is_under_the_floor(stand.snapshot, place.pod) else Motion.AT_REST,
    )


def withdraw(place: Place) -> MarkPod:
    """Take back that the pod was chosen to leave: whoever still does what follows from it meets another version."""
    return MarkPod(place.pod, "", "", facts=replace(place.pod.facts or Facts(), withdrawn=place.pod.version))


def revive(place: Place, facts: Facts) -> Step:
    """The pod was chosen because it was broken, and has come to life after all: it leaves like any other.

    One without a gate carries load at once, and is to be judged by every guard first.
    """
    if not place.pod.gated:
        back = replace(facts, stuck=False, returning=True)
        return Step(actions=(MarkPod(place.pod, "PodReturning", "ready after all: it serves again", facts=back),))
    message = "ready after all: it is drained like any other pod"
    undrained = {**CLOSED, names.DRAINED: False, names.MIGRATED: False}
    leaves = replace(facts, containers=containers_of(place.pod), stuck=False)
    return Step(actions=(MarkPod(place.pod, "PodRevived", message, undrained, facts=leaves),))


def isolate(stand: Stand, place: Place) -> Step:
    """Wait until nobody is sent to the pod any more: a closed gate takes time to reach everyone."""
    isolated = stand.snapshot.isolated.get(place.pod.uid)
    if isolated is None:
        observed = "an EndpointSlice still shows the pod as serving"
        if not place.pod.is_written_off(stand.now):
            observed = "the kubelet has not written yet that the pod is not ready"
        return Step(waiting=Waiting("endpoints", observed), recheck_at=stand.now + 0.5)
    drain = stand.snapshot.rollout.spec.drain
    propagation = drain.propagation_seconds if drain else 0
    observed = f"propagationSeconds: {propagation} s after the EndpointSlices showed it not ready"
    return Step(waiting=Waiting("endpoints", observed, isolated), recheck_at=isolated + propagation)


def drain(stand: Stand, place: Place) -> Step:
    """Let the pod finish what it has in hand."""
    spec = stand.snapshot.rollout.spec
    step, message = Step(), "drain: nothing to ask"
    if can_be_asked(place.pod) and has_ended(stand.snapshot, place.pod):
        # Whatever answers now is not what was asked: the pod is drained as it is once its containers run again.
        return Step(waiting=Waiting("kubelet", "a container has ended and is not running again yet"))
    if spec.drain is not None and _can_ask(place, spec.drain):
        judgement, step = ask_hook(stand, place, "drain", spec.drain)
        if not judgement.done:
            return step if place.pod.gated else _still_sent_to(step)
        message = judgement.observed
    if spec.migrate is None and spec.membership is None:
        return _release(stand, place, step)
    done = {**CLOSED, names.DRAINED: True, names.MIGRATED: False}
    mark = MarkPod(place.pod, "PodDrained", message, done, facts=_leaving_facts(stand, place))
    return replace(step, actions=(mark,), waiting=None)


def _still_sent_to(step: Step) -> Step:
    """Say why the drain of a pod without a gate may never end."""
    if step.waiting is None:
        return step
    observed = f"{step.waiting.observed}; the pod has no readiness gate, so Services go on sending to it"
    return replace(step, waiting=replace(step.waiting, observed=observed))


def migrate(stand: Stand, place: Place) -> Step:
    """Have the state of the pod moved, and wait for a membership without it."""
    hook = stand.snapshot.rollout.spec.migrate
    step, handed_over, message = Step(), place.pod.is_true(names.MIGRATED), ""
    if hook is not None and _can_ask(place, hook) and not handed_over:
        if not stand.around.roster.serving and not may_all_leave(stand.snapshot):
            return Step(waiting=Waiting("migrate", NOBODY_LEFT))
        judgement, step = ask_hook(stand, place, "migrate", hook)
        if not judgement.done:
            return step
        message = judgement.observed
    if stand.membership is None or (_is_stuck(place) and not stand.around.roster.members):
        # A broken pod has nothing to hand over: where nobody is left, its successor may be the one who is awaited.
        return _release(stand, place, step)
    if hook is not None and not handed_over:
        mark = MarkPod(place.pod, "PodMigrated", message, {names.MIGRATED: True})
        return replace(step, actions=(mark,), waiting=stand.membership)
    return replace(step, waiting=stand.membership)


def _release(stand: Stand, place: Place, step: Step) -> Step:
    if waiting := _fence_waiting(stand, place):
        return replace(step, waiting=waiting)
    verdict = verdict_of(stand.snapshot, place)
    unlike = f" (not in place: {verdict.why_not})" if verdict.why_not else ""
    message, facts = f"released for {place.leaves_for}{unlike}", _leaving_facts(stand, place)
    mark = MarkPod(place.pod, "PodReleased", message, {**CLOSED, **LET_GO}, facts=facts, motion=Motion.RELEASED)
    let_go: tuple[MarkPod | RemovePod | UpdateInPlace, ...] = (mark, *_removal(stand, place))
    if verdict.change is not None:
        let_go = (_update(stand, place, verdict.change, (mark, *_removal(stand, place))),)
    return replace(step, actions=let_go, opens=(*step.opens, *_completed(stand, place)), waiting=None)


def _completed(stand: Stand, place: Place) -> Iterator[OpenHook]:
    """What others were told of the pod, and what stands when it is gone."""
    for entry in stand.snapshot.ledger.open_hooks:
        if entry.uid == place.pod.uid and questions.undo_reaches_others(entry):
            yield entry.model_copy(update={"completed": True})


def _update(stand: Stand, place: Place, change: Change, otherwise: tuple[MarkPod | RemovePod, ...]) -> UpdateInPlace:
    replaced = {name: identity for name, identity in containers_of(place.pod).items() if name in change.images}
    facts = Facts(restart=Restart(replaced, stand.now))
    message = f"becomes {place.leaves_for} in place ({change.words})"
    return UpdateInPlace(place.pod, place.leaves_for or "", change, facts, "PodUpdatedInPlace", message, otherwise)


def _fence_waiting(stand: Stand, place: Place) -> Waiting | None:
    """What is awaited before the pod may be gone, so that it comes back at the revision it shall have."""
    if not stand.fence_stands:
        return Waiting("fence", "the StatefulSet controller has not seen updateStrategy yet")
    if stand.turns and place.pod.gated and not place.condemned:
        # One without a gate is counted until it terminates, so the fence can turn no sooner.
        return Waiting("fence", "the StatefulSet controller has not counted yet that the pod is out of service")
    return None


def _leaving_facts(stand: Stand, place: Place) -> Facts:
    return Facts(place.leaves_for or "", containers_of(place.pod), stuck=_is_stuck(place))


def _is_stuck(place: Place) -> bool:
    return place.pod.facts is not None and place.pod.facts.stuck


def _can_ask(place: Place, hook: Hook) -> bool:
    """A hook that addresses the pod needs it alive; one that addresses others runs all the same."""
    return hook.apply.target is not Target.POD or can_be_asked(place.pod)


def _removal(stand: Stand, place: Place) -> tuple[RemovePod, ...]:
    """What takes the pod away; one that is evicted is taken by whoever asks for it."""
    if place.evicted:
        return ()
    return (RemovePod(place.pod, "PodRemoved", f"makes room for {place.leaves_for or 'its successor'}"),)


def see_off(stand: Stand, place: Place) -> Step:
    """Released: the lid is open; what was begun on the pod is complete."""
    closes = tuple(entry.id for entry in stand.snapshot.ledger.open_hooks if entry.uid == place.pod.uid)
    if place.pod.terminating:
        return Step(closes=closes, waiting=Waiting("kubelet", "stopping within its grace period"))
    if place.evicted:
        # What was begun on it is taken back if nobody comes.
        return Step(waiting=Waiting("evictor", "whoever asked for the eviction may take it now"))
    if waiting := _fence_waiting(stand, place):
        return Step(closes=closes, waiting=waiting)
    return Step(actions=_removal(stand, place), closes=closes)


def lose(stand: Stand, place: Place) -> Step:
    """Somebody else deleted the pod: its state is moved within its grace period, as far as that lasts.

    Nothing can wait for it, so whatever is answered holds nobody. The membership goes on without the pod.
    """
    deleted = Waiting("kubelet", "deleted by somebody else; stopping within its grace period")
    hook, handed_over = stand.snapshot.rollout.spec.migrate, place.pod.is_true(names.MIGRATED)
    if hook is None or handed_over or not can_be_asked(place.pod) or not stand.around.roster.serving:
        return Step(waiting=deleted)
    judgement, step = ask_hook(stand, place, "migrate", hook)
    completed = _completed(stand, place) if judgement.done else ()
    observed = f"{deleted.observed}; migrate: {judgement.observed}"
    return replace(
        step, opens=(*step.opens, *completed), waiting=replace(deleted, observed=observed), trouble="", announcements=()
    )
