"""What is done before the first pod of a rollout leaves, and taken back once the rollout is over.

The steps of `beforeRollout` follow one another, and begin only when a pod would leave if they were done. What was begun
is in the ledger, with the call that undoes it, and stays there through pauses, failures and other templates: a rollout
is over when every pod is where it shall be, or the StatefulRollout is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from statefulrollout.api.v1alpha1 import Preparation
from statefulrollout.core.actions import Announcement
from statefulrollout.core.asks import Ask, Report, is_done
from statefulrollout.core.goal import is_given_up
from statefulrollout.core.judging import judge_hook, patience_ends_at
from statefulrollout.core.ledger import Prepared
from statefulrollout.core.questions import (
    REQUEST,
    Surroundings,
    addressed_anew,
    ask_of_undo,
    document_of,
    request_of,
)
from statefulrollout.core.step import passed_over


@dataclass(frozen=True)
class Preparing:
    """How far the preparations are.

    Attributes:
        entries: what the ledger shall remember.
        asks: the questions that shall be open.
        missing: what must be done before a pod may leave; empty where nothing is.
        unfinished: what is still to be taken back after the rollout; empty where nothing is.
        trouble: what holds the whole rollout.
        recheck_at: when time alone changes something, in seconds since the epoch.
        announcements: what is to be said aloud.
    """

    entries: tuple[Prepared, ...] = ()
    asks: tuple[Ask, ...] = ()
    missing: str = ""
    unfinished: str = ""
    trouble: str = ""
    recheck_at: float | None = None
    announcements: tuple[Announcement, ...] = ()


def plan_preparations(around: Surroundings, now: float) -> Preparing:
    """Go on with what was begun, or take it back; nothing is begun here."""
    snapshot = around.snapshot
    hooks = {hook.name: hook for hook in snapshot.rollout.spec.before_rollout}
    over = is_over(around)
    entries = {
        entry.name: _addressed_anew(around, hooks.get(entry.name), entry) for entry in snapshot.ledger.preparations
    }
    back = [
        # Remembered before the undo is asked: it may come true although its answer never arrives.
        entry.model_copy(update={"back": True})
        for entry in entries.values()
        if entry.back or over or entry.name not in hooks or not entry.id.startswith(f"{snapshot.rollout.uid}/")
    ]
    entries |= {entry.name: entry for entry in back}
    left, ask = undo_of(back, snapshot.reports)
    for undone in back[len(left) :]:
        del entries[undone.name]
    if ask is not None:
        report = snapshot.reports.get(ask.id)
        unfinished = f"{ask.title}: {report.text if report else 'not answered yet'}"
        return Preparing(tuple(entries.values()), (ask,), missing=unfinished, unfinished=unfinished)
    if over:
        return Preparing()
    said: tuple[Announcement, ...] = ()
    for hook in hooks.values():
        entry = entries.get(hook.name)
        if entry is None:
            return Preparing(tuple(entries.values()), missing=f"{hook.name} has not begun", announcements=said)
        if entry.done:
            continue
        report = snapshot.reports.get(entry.id)
        judgement = judge_hook(hook.name, hook, entry.since, entry.stalled, report, now)
        if not judgement.done:
            stalled = (entry.stalled or now) if judgement.stalled else None
            entries[hook.name] = entry.model_copy(update={"stalled": stalled})
            return Preparing(
                entries=tuple(entries.values()),
                asks=(_ask_of_preparation(around, hook, entry),),
                missing=f"{hook.name}: {judgement.observed}",
                trouble=f"beforeRollout: {judgement.trouble}" if judgement.trouble else "",
                recheck_at=patience_ends_at(hook, entry.since, report, now),
                announcements=said,
            )
        entries[hook.name] = entry.model_copy(update={"done": True})
        prepared = Announcement("RolloutPrepared", f"{hook.name}: {judgement.observed}")
        said = (*said, *(passed_over(judgement, None) or (prepared,)))
    return Preparing(tuple(entries.values()), announcements=said)


def begin_next(around: Surroundings, preparing: Preparing, now: float) -> Preparing:
    """Begin the first step that has not been; the question follows once the ledger remembers it."""
    begun = {entry.name for entry in preparing.entries}
    for hook in around.snapshot.rollout.spec.before_rollout:
        if hook.name not in begun:
            return replace(preparing, entries=(*preparing.entries, _prepared_of(around, hook, now)))
    return preparing


def is_over(around: Surroundings) -> bool:
    """Whether every pod is where it shall be, for good."""
    snapshot, target = around.snapshot, around.snapshot.target
    if target is None or not target.observed:
        return False
    settled = target.current_revision == target.update_revision or is_given_up(snapshot)
    present = {place.pod.ordinal for place in around.places}
    arrived = all(place.leaves_for is None and place.available for place in around.places)
    return settled and arrived and present == set(target.ordinals)


def undo_of(entries: Iterable[Prepared], reports: Mapping[str, Report]) -> tuple[tuple[Prepared, ...], Ask | None]:
    """What is left of the entries, which are taken back one by one, the last first, and the question to ask for it."""
    left = list(entries)
    while left:
        ask = ask_of_undo(left[-1])
        if ask is not None and not is_done(reports.get(ask.id)):
            return tuple(left), ask
        left.pop()
    return (), None


def _ask_of_preparation(around: Surroundings, hook: Preparation, entry: Prepared) -> Ask:
    """The question that a step of `beforeRollout` is."""
    document = document_of(around, hook.name, entry.id, entry.since + hook.deadline_seconds, None)
    done = hook.done
    return Ask(
        id=entry.id,
        title=hook.name,
        request=request_of(around, hook.apply, None, document),
        expect=hook.expect,
        progress=hook.progress,
        settle_seconds=hook.settle_seconds,
        done=done,
        done_request=request_of(around, done.call, None, document) if done else None,
        stable_for_seconds=done.stable_for_seconds if done else 0,
        variables={"pod": {}, "members": document["members"]},
    )


def _prepared_of(around: Surroundings, hook: Preparation, now: float) -> Prepared:
    """What the ledger remembers of a step of `beforeRollout` before it is begun."""
    identity = f"{around.snapshot.rollout.uid}/{hook.name}/{int(now * 1000)}"
    undo = None
    if hook.undo is not None:
        document = document_of(around, f"undo-{hook.name}", identity, now + hook.deadline_seconds, None)
        undo = REQUEST.dump_python(request_of(around, hook.undo, None, document), mode="json")
    return Prepared(name=hook.name, id=identity, since=now, undo=undo)


def _addressed_anew(around: Surroundings, hook: Preparation | None, entry: Prepared) -> Prepared:
    undo = addressed_anew(around, entry.undo, hook.undo if hook else None, None)
    return entry if undo == entry.undo else entry.model_copy(update={"undo": undo})
