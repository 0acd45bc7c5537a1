"""Which revisions have failed, and when that is over.

A revision fails when one of its new pods cannot become available: it crash-loops, its image cannot be had, it does
not start or restore within its deadline, or a check says so (`failWhen`); and when a hook takes too long that the user
wants no rollout to wait for (`onTimeout: Rollback`). It is remembered in the ledger, so that no
further pod goes to it. It is forgotten when it left (another template, and no pod of it remains), when it left and came
back, when the user says so (`spec.retry`), or when all of its pods became healthy after all: an image registry may only
have been away for a while. The last does not count for one that has been given up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from statefulrollout.api.v1alpha1 import OnFailure
from statefulrollout.core.actions import Announcement
from statefulrollout.core.goal import has_failed, is_given_up
from statefulrollout.core.judging import Judgement, judge_hook
from statefulrollout.core.ledger import Attempt, FailedRevision, Ledger
from statefulrollout.core.questions import hook_id_of, membership_id_of
from statefulrollout.core.snapshot import Snapshot, StatefulSetView
from statefulrollout.core.stages import LEAVING, Place, Stage, broken_reason_of

MOST_REMEMBERED = 10


def note_failures(
    snapshot: Snapshot, target: StatefulSetView, places: Sequence[Place], checks: Mapping[str, Judgement], now: float
) -> tuple[Ledger, tuple[Announcement, ...]]:
    """The ledger with what failed and what recovered, and what is to be announced of it."""
    wanted = target.update_revision
    attempt = _attempt_of(snapshot, target)
    if attempt != snapshot.ledger.attempt:
        rest = tuple(failed for failed in snapshot.ledger.failed if failed.revision != wanted)
        retried = snapshot.ledger.model_copy(update={"attempt": attempt, "failed": rest})
        said = Announcement("RevisionRetried", f"revision {wanted} is tried again: spec.retry says so")
        return retried, (said,) if has_failed(snapshot, wanted) else ()
    found = _failure_of(snapshot, target, places, checks, now)
    kept = [
        failed if failed.revision == wanted else failed.model_copy(update={"left": True})
        for failed in snapshot.ledger.failed
        if (found or not _is_over(failed, places)) and not _has_left(failed, wanted, places)
    ]
    announcements = []
    if found is not None and all(failed.revision != wanted for failed in kept):
        kept.append(found)
        back = found.gives_up or snapshot.rollout.spec.strategy.on_failure is OnFailure.ROLLBACK
        then = "its pods go back" if back else "no further pod goes to it until the template changes"
        note = f"revision {wanted} failed: {found.message}; {then}"
        announcements.append(Announcement("RevisionFailed", note, warning=True))
    failed_now = tuple(kept[-MOST_REMEMBERED:])
    if failed_now == snapshot.ledger.failed:
        return snapshot.ledger, ()
    return snapshot.ledger.model_copy(update={"failed": failed_now}), tuple(announcements)


def _attempt_of(snapshot: Snapshot, target: StatefulSetView) -> Attempt:
    """The attempt that the user asks for where it is for the wanted revision; else the one before.

    Asked for before anything failed, it is spent: a failure that comes later waits for another word.
    """
    retry = snapshot.rollout.spec.retry
    if retry is None or retry.revision != target.update_revision:
        return snapshot.ledger.attempt
    return Attempt(revision=retry.revision, nonce=retry.nonce)


def _has_left(failed: FailedRevision, wanted: str, places: Sequence[Place]) -> bool:
    if failed.revision == wanted:
        return failed.left
    return all(place.pod.revision != failed.revision for place in places)


def _is_over(failed: FailedRevision, places: Sequence[Place]) -> bool:
    its_pods = [place for place in places if place.pod.revision == failed.revision]
    return bool(its_pods) and all(place.stage is Stage.UPDATED for place in its_pods)


def _failure_of(
    snapshot: Snapshot, target: StatefulSetView, places: Sequence[Place], checks: Mapping[str, Judgement], now: float
) -> FailedRevision | None:
    """Why the wanted revision fails now; the accepted one cannot fail, it can only be unhealthy."""
    if target.current_revision == target.update_revision or not target.observed or is_given_up(snapshot):
        return None
    if message := _overdue(snapshot, target, places, now):
        return _failed(target, "HookTimedOut", message, now).model_copy(update={"gives_up": True})
    newcomers = [place for place in places if place.pod.revision == target.update_revision and not place.condemned]
    for place in newcomers:
        if reason := broken_reason_of(snapshot, place.pod, now):
            return _failed(target, "PodNotStarting", f"{place.pod.name}: {reason}", now)
        if message := _restore_failure_of(snapshot, place, now):
            return _failed(target, "RestoreFailed", f"{place.pod.name}: {message}", now)
    if newcomers:
        for judgement in checks.values():
            if judgement.failed:
                return _failed(target, "CheckFailed", judgement.trouble, now)
    return None


def _overdue(snapshot: Snapshot, target: StatefulSetView, places: Sequence[Place], now: float) -> str:
    """What took longer than the user wants a rollout to wait for; empty where nothing did."""
    spec, reports = snapshot.rollout.spec, snapshot.reports
    rolling = {place.pod.uid: place.pod.name for place in places if _is_rolled(place, target)}
    hooks = {"drain": spec.drain, "migrate": spec.migrate, "restore": spec.restore}
    for entry in snapshot.ledger.open_hooks:
        hook = hooks.get(entry.hook)
        if hook is None or entry.uid not in rolling or entry.completed:
            continue
        judgement = judge_hook(entry.hook, hook, entry.since, entry.stalled, reports.get(entry.id), now)
        if judgement.gives_up:
            return f"{rolling[entry.uid]}: {judgement.trouble}"
    steps = {step.name: step for step in spec.before_rollout}
    for step in snapshot.ledger.preparations:
        if step.done or step.name not in steps:
            continue
        judgement = judge_hook(step.name, steps[step.name], step.since, step.stalled, reports.get(step.id), now)
        if judgement.gives_up:
            return f"beforeRollout: {judgement.trouble}"
    declared = snapshot.ledger.declaration
    if spec.membership is not None and rolling and declared.generation and not declared.done:
        report = reports.get(membership_id_of(declared))
        judgement = judge_hook("membership", spec.membership, declared.at, declared.stalled, report, now)
        if judgement.gives_up:
            return judgement.trouble
    return ""


def _is_rolled(place: Place, target: StatefulSetView) -> bool:
    """Whether the pod is on its way to the wanted revision, out or back in."""
    if place.condemned:
        return False
    leaves = place.leaves_for == target.update_revision and place.stage in LEAVING
    comes = place.pod.revision == target.update_revision and place.stage in (Stage.STARTING, Stage.RESTORING)
    return leaves or comes


def _restore_failure_of(snapshot: Snapshot, place: Place, now: float) -> str:
    hook = snapshot.rollout.spec.restore
    if hook is None or place.stage is not Stage.RESTORING:
        return ""
    identity = hook_id_of(snapshot, place, "restore")
    entry = next((entry for entry in snapshot.ledger.open_hooks if entry.id == identity), None)
    if entry is None:
        return ""
    return judge_hook("restore", hook, entry.since, entry.stalled, snapshot.reports.get(identity), now).trouble


def _failed(target: StatefulSetView, reason: str, message: str, now: float) -> FailedRevision:
    return FailedRevision(
        revision=target.update_revision,
        reason=reason,
        message=message[:512],
        at=now,
    )
