"""Which revision the pods shall be at.

That is the wanted one, unless it has been given up: by the user (`spec.abort`), or because it failed and the user
wants a failed revision rolled back. Then the pods go back to the accepted one, through the same stages and under the
same guards, and the pod template stays what it is.
"""

from __future__ import annotations

from statefulrollout.api.v1alpha1 import OnFailure
from statefulrollout.core.ledger import FailedRevision
from statefulrollout.core.snapshot import Snapshot


def goal_of(snapshot: Snapshot) -> str:
    """The revision that every pod shall be at; empty where there is no target."""
    if snapshot.target is None:
        return ""
    return snapshot.target.current_revision if is_given_up(snapshot) else snapshot.target.update_revision


def is_given_up(snapshot: Snapshot) -> bool:
    """Whether the pods of the wanted revision go back to the accepted one."""
    target, strategy = snapshot.target, snapshot.rollout.spec.strategy
    if target is None or target.current_revision == target.update_revision or not strategy.reversible:
        return False
    failure = failure_of(snapshot, target.update_revision)
    back = failure is not None and (failure.gives_up or strategy.on_failure is OnFailure.ROLLBACK)
    return back or is_aborted(snapshot)


def is_aborted(snapshot: Snapshot) -> bool:
    """Whether the user gave the wanted revision up."""
    abort, target = snapshot.rollout.spec.abort, snapshot.target
    return abort is not None and target is not None and abort.revision == target.update_revision


def has_failed(snapshot: Snapshot, revision: str) -> bool:
    """Whether the ledger remembers the revision as failed."""
    return failure_of(snapshot, revision) is not None


def failure_of(snapshot: Snapshot, revision: str) -> FailedRevision | None:
    """How the revision failed, as the ledger remembers it."""
    return next((failed for failed in snapshot.ledger.failed if failed.revision == revision), None)
