"""What an answer of the application means for the rollout: done, wait, or trouble.

*Error* (could not ask) and *failed* (it said no) are different words everywhere. A timeout never counts as success:
it is trouble that pauses the rollout until the hook answers after all, unless the user said otherwise (`onTimeout`).
"""

from __future__ import annotations

from dataclasses import dataclass

from statefulrollout.api.v1alpha1 import Check, Hook, Membership, OnTimeout
from statefulrollout.core.asks import Answer, Report


@dataclass(frozen=True)
class Judgement:
    """The state of one hook or check.

    Attributes:
        done: it may count as finished.
        observed: what was seen, for humans.
        trouble: why it holds the whole rollout, empty where it does not.
        stalled: whether it makes no progress for longer than it may.
        passed_over: it counts as finished by the user's word only.
        failed: the application said no.
        allowed: names of the pods that may leave now, where the check says which.
        gives_up: it has taken too long, and the user wants the revision rolled back then.
    """

    done: bool
    observed: str
    trouble: str = ""
    stalled: bool = False
    passed_over: bool = False
    failed: bool = False
    allowed: tuple[str, ...] | None = None
    gives_up: bool = False


def judge_hook(
    title: str, hook: Hook | Membership, since: float, stalled: float | None, report: Report | None, now: float
) -> Judgement:
    """Judge a hook begun at `since`; `stalled` is when the ledger noted that it makes no progress."""
    age = int(now - since)
    if report is not None and report.answer is Answer.DONE:
        return Judgement(done=True, observed=report.text)
    observed = report.text if report else "not answered yet"
    still = False
    if hook.stall_seconds is not None:
        remembered = stalled is not None and (report is None or report.progressed <= stalled)
        still = remembered or (report is not None and now >= report.progressed + hook.stall_seconds)
    trouble = ""
    if report is not None and report.answer is Answer.MISCONFIGURED:
        trouble = f"{title} is misconfigured: {observed}"
    if still:
        trouble = f"{title} has made no progress for more than {hook.stall_seconds} s (stallSeconds): {observed}"
    # Time that passed while nobody asked, such as while no operator ran, is not the application's.
    late = report is not None and age >= hook.deadline_seconds
    if late:
        trouble = f"{title} is not done after {age} s (deadlineSeconds: {hook.deadline_seconds}): {observed}"
    expired = late or (still and report is not None)
    if expired and hook.on_timeout is OnTimeout.PROCEED:
        return Judgement(done=True, observed=f"passed over (onTimeout: Proceed): {trouble}", passed_over=True)
    gives_up = expired and hook.on_timeout is OnTimeout.ROLLBACK
    return Judgement(done=False, observed=observed, trouble=trouble, stalled=still, gives_up=gives_up)


def patience_ends_at(hook: Hook | Membership, since: float, report: Report | None, now: float) -> float | None:
    """When the next deadline or stall of a hook begun at `since` is due; None where all are past."""
    due = [since + hook.deadline_seconds]
    if hook.stall_seconds is not None and report is not None:
        due.append(report.progressed + hook.stall_seconds)
    return min((at for at in due if at > now), default=None)


def judge_check(check: Check, report: Report | None, now: float) -> Judgement:
    """Judge a check by its latest report."""
    title = f"check {check.name}"
    if report is None:
        return Judgement(done=False, observed="not answered yet")
    if report.answer is Answer.DONE:
        allowed = report.value if isinstance(report.value, tuple) else None
        return Judgement(done=True, observed=report.text, allowed=allowed)
    if report.answer is Answer.FAILED:
        return Judgement(done=False, observed=report.text, trouble=f"{title} failed: {report.text}", failed=True)
    if report.answer is Answer.MISCONFIGURED:
        return Judgement(done=False, observed=report.text, trouble=f"{title} is misconfigured: {report.text}")
    age = int(now - report.since)
    if age >= check.deadline_seconds:
        trouble = f"{title} has not passed for {age} s (deadlineSeconds: {check.deadline_seconds}): {report.text}"
        return Judgement(done=False, observed=report.text, trouble=trouble)
    return Judgement(done=False, observed=report.text)
