"""Which revisions have failed, and when that is over.

A revision fails when one of its new pods cannot become available: it crash-loops, its image cannot be had, it does
not start or restore within its deadline, or a check says so (`failWhen`). It is remembered in the ledger, so that no
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
from statefulrollout.core.questions import hook_id_of
from statefulrollout.core.snapshot import Snapshot, StatefulSetView
from statefulrollout.core.stages import Place, Stage, broken_reason_of

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
        back = snapshot.rollout.spec.strategy.on_failure is OnFailure.ROLLBACK
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
