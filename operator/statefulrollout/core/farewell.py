"""Letting go: what happens when the StatefulRollout is gone but its traces are not.

Nobody may be stranded by us. What was begun is undone, every gate opens, and the label that puts pods under the lid
goes, so that the set can be scaled, deleted and rolled without us. The fence holds (`Freeze`: a new template moves
nothing until somebody says so) or becomes the user's own again (`Release`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from statefulrollout.api import names
from statefulrollout.api.v1alpha1 import DeletionPolicy
from statefulrollout.core import questions
from statefulrollout.core.actions import Action, MarkPod, Motion, SetFence, WriteLedger
from statefulrollout.core.asks import Ask, Report, is_done
from statefulrollout.core.fence import STRATEGIES, stands
from statefulrollout.core.floor import without_the_floor
from statefulrollout.core.ledger import Ledger, OpenHook, Prepared
from statefulrollout.core.preparing import undo_of
from statefulrollout.core.snapshot import Facts, FenceKind, Floor, PodView, StatefulSetView

OBSERVATION_SECONDS = 1.0
"""Until the next look whether the StatefulSet controller has seen the fence: no event tells once nobody rolls it."""


@dataclass(frozen=True)
class Farewell:
    """What is left to do; empty once nothing is. `recheck_seconds`: when to look again, None where an event tells."""

    actions: tuple[Action, ...] = ()
    asks: tuple[Ask, ...] = ()
    recheck_seconds: float | None = None


def decide_farewell(
    target: StatefulSetView, pods: Sequence[PodView], ledger: Ledger, floor: Floor, reports: Mapping[str, Report]
) -> Farewell:
    """Decide how to let go of a StatefulSet that no StatefulRollout rolls any more, the floor last of all."""
    if ledger.stateful_set_uid != target.uid:
        # It speaks of an earlier set of the same name, and will be collected with it.
        ledger = Ledger()
    ledger = _without_the_gone(ledger, pods)
    if turned := _turn_round(pods, ledger):
        return Farewell(turned)
    fence = _fence_left_behind(target, ledger)
    prepared, ask = undo_of(ledger.preparations, reports)
    asks = (*_undo_asks(pods, ledger), *((ask,) if ask else ()))
    if fence is not None:
        return Farewell((fence,), asks)
    if not target.observed:
        return Farewell(asks=asks, recheck_seconds=OBSERVATION_SECONDS)
    rest = tuple(entry for entry in ledger.open_hooks if _is_pending(entry, pods, reports))
    pending = {entry.uid for entry in rest}
    marks = tuple(_set_free(pod) for pod in pods if pod.uid not in pending and _bears_our_marks(pod))
    if not rest and not prepared and (removals := without_the_floor(floor, target)):
        return Farewell((*marks, *removals), asks)
    left = _ledger_left_behind(ledger, rest, prepared)
    remember = (WriteLedger(left),) if left != ledger and ledger.resource_version else ()
    return Farewell((*remember, *marks), asks)


def open_unattended_gates(pods: Sequence[PodView]) -> tuple[MarkPod, ...]:
    """Let pods serve that came up while their StatefulRollout cannot be acted on: their gate is ours all the same.

    A pod that was on its way out stays where it is until the spec is mended.
    """
    message = "nobody else would open this gate: the spec of the StatefulRollout is refused"
    return tuple(
        MarkPod(pod, "GateOpened", message, {names.SERVING: True})
        for pod in pods
        if pod.gated and not pod.serving and pod.containers_ready and not pod.awaits_restart
        if not (pod.facts and pod.facts.wanted)
    )


def _fence_left_behind(target: StatefulSetView, ledger: Ledger) -> SetFence | None:
    """The fence to leave; None where it stands, or where we had none there."""
    if not ledger.rollout_uid:
        return None
    strategy: Mapping[str, object] = STRATEGIES[FenceKind.HOLD]
    if ledger.deletion_policy == DeletionPolicy.RELEASE.value and ledger.original_strategy is not None:
        strategy = ledger.original_strategy
    if stands(strategy, target.update_strategy):
        return None
    message = f"no StatefulRollout rolls it any more (deletionPolicy: {ledger.deletion_policy})"
    return SetFence(strategy, "FenceLeftBehind", message)


def _ledger_left_behind(ledger: Ledger, rest: tuple[OpenHook, ...], prepared: tuple[Prepared, ...]) -> Ledger:
    """The membership's generation must go on growing, and a frozen set keeps the strategy that was the user's."""
    changes: dict[str, object] = {"open_hooks": rest, "preparations": prepared, "failed": ()}
    if not rest and not prepared:
        changes["rollout_uid"] = ""
        if ledger.deletion_policy == DeletionPolicy.RELEASE.value:
            changes["original_strategy"] = None
    return ledger.model_copy(update=changes)


def _turn_round(pods: Sequence[PodView], ledger: Ledger) -> tuple[MarkPod, ...]:
    """Pods with something to undo leave no more: another StatefulRollout must not go on where an undo came between."""
    begun = {entry.uid for entry in ledger.open_hooks if entry.undo is not None}
    message = "goes back: no StatefulRollout rolls it any more"
    return tuple(
        MarkPod(pod, "PodReturning", message, {names.RELEASED: False}, facts=replace(pod.facts, returning=True))
        for pod in pods
        if pod.uid in begun and not pod.terminating and not pod.finished
        if pod.facts and pod.facts.wanted and not pod.facts.returning
    )


def _without_the_gone(ledger: Ledger, pods: Sequence[PodView]) -> Ledger:
    """No spec says any more whom to tell in the place of those who are gone, and a pod must not wait for them.

    What the whole set was told stays: it holds no pod, and the next StatefulRollout takes it back.
    """
    hooks = (
        entry.model_copy(update={"undo": questions.without_the_gone(entry.undo, pods)}) for entry in ledger.open_hooks
    )
    return ledger.model_copy(update={"open_hooks": tuple(hooks)})


def _undo_asks(pods: Sequence[PodView], ledger: Ledger) -> tuple[Ask, ...]:
    return tuple(
        ask
        for entry in ledger.open_hooks
        if _can_be_undone(entry, pods) and (ask := questions.ask_of_undo(entry)) is not None
    )


def _can_be_undone(entry: OpenHook, pods: Sequence[PodView]) -> bool:
    alive = any(pod.uid == entry.uid and not pod.finished for pod in pods)
    return alive or (not entry.completed and questions.undo_reaches_others(entry))


def _is_pending(entry: OpenHook, pods: Sequence[PodView], reports: Mapping[str, Report]) -> bool:
    ask = questions.ask_of_undo(entry)
    if ask is None or not _can_be_undone(entry, pods):
        return False
    return not is_done(reports.get(ask.id))


def _bears_our_marks(pod: PodView) -> bool:
    shut = pod.gated and not pod.serving
    return not pod.terminating and (pod.fenced or shut or pod.released)


def _set_free(pod: PodView) -> MarkPod:
    conditions = {names.SERVING: True, names.DRAINED: False, names.MIGRATED: False, names.RELEASED: False}
    message = "no StatefulRollout rolls it any more: the gate is open, and it may be deleted and rolled freely"
    return MarkPod(pod, "PodSetFree", message, conditions, facts=Facts(), fenced=False, motion=Motion.AT_REST)
