"""Declaring the membership: which declaration shall stand, whom it is told to, and whether it is done.

`membership.py` says who is a member; here the set becomes a declaration with a generation, a question to the
application, and a judgement of its answer. Nothing is declared where nobody could be told; and with nobody left to take
over, no pod may hand over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from statefulrollout.api.v1alpha1 import Membership
from statefulrollout.core import membership, questions
from statefulrollout.core.actions import Announcement
from statefulrollout.core.asks import Ask
from statefulrollout.core.budget import may_all_leave
from statefulrollout.core.judging import judge_hook, patience_ends_at
from statefulrollout.core.ledger import Declaration
from statefulrollout.core.questions import Surroundings
from statefulrollout.core.step import NOBODY_LEFT, Waiting, passed_over


@dataclass(frozen=True)
class MembershipPlan:
    """The membership as it shall be declared, and whether the application has made it so.

    `waiting` is None where it is settled; `trouble` holds the whole rollout; `recheck_at` is when time alone changes
    something, in seconds since the epoch.
    """

    declaration: Declaration
    asks: tuple[Ask, ...] = ()
    waiting: Waiting | None = None
    trouble: str = ""
    recheck_at: float | None = None
    announcements: tuple[Announcement, ...] = ()


def plan_membership(around: Surroundings, now: float) -> MembershipPlan:
    """Declare the members of this moment, and judge how far the application is with them."""
    snapshot, roster = around.snapshot, around.roster
    rules, last = snapshot.rollout.spec.membership, snapshot.ledger.declaration
    if rules is None:
        return MembershipPlan(last)
    if not roster.members:
        held = roster.leaving and not may_all_leave(snapshot)
        return MembershipPlan(last, waiting=Waiting("membership", NOBODY_LEFT) if held else None)
    coordinator = membership.coordinator_of(snapshot, around.places, roster)
    declaration = membership.declaration_of(snapshot, roster, coordinator, now)
    ends = min((absence.since + rules.away_seconds for absence in roster.away), default=None)
    if declaration.done:
        return MembershipPlan(declaration, recheck_at=ends)
    if not coordinator:
        return MembershipPlan(declaration, waiting=Waiting("membership", "no member can be asked", declaration.at))
    plan = _judge_membership(around, rules, declaration, now)
    return plan if ends is None else replace(plan, recheck_at=min(ends, plan.recheck_at or ends))


def _judge_membership(around: Surroundings, rules: Membership, declaration: Declaration, now: float) -> MembershipPlan:
    ask = questions.ask_of_membership(around, rules, declaration)
    report = around.snapshot.reports.get(ask.id)
    judgement = judge_hook("membership", rules, declaration.at, declaration.stalled, report, now)
    if judgement.stalled != (declaration.stalled is not None):
        declaration = declaration.model_copy(update={"stalled": now if judgement.stalled else None})
    if judgement.done:
        done = declaration.model_copy(update={"done": True})
        return MembershipPlan(done, (ask,), announcements=passed_over(judgement, None))
    waiting = Waiting("membership", f"generation {declaration.generation}: {judgement.observed}", declaration.at)
    recheck_at = patience_ends_at(rules, declaration.at, report, now)
    return MembershipPlan(declaration, (ask,), waiting, judgement.trouble, recheck_at)
