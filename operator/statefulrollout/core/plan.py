"""The heart: one snapshot and the time in, a plan out. No I/O, no clock.

The order of thought: may this spec be acted on at all; what failed; who the members are; which fence shall stand;
the next step of every pod that is under way; and last, if every guard agrees, the next pods to go. What is decided
here is only what to do *now*: the next pass decides afresh from what the cluster then shows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from statefulrollout.api.v1alpha1 import CheckAt, UnhealthyOutdated
from statefulrollout.core import membership, questions
from statefulrollout.core.actions import Action, Announcement, MarkPod, WriteLedger
from statefulrollout.core.arrival import restored_pods
from statefulrollout.core.asks import Ask
from statefulrollout.core.budget import chosen_before, pods_of, unavailable_ordinals
from statefulrollout.core.declaring import plan_membership
from statefulrollout.core.departure import begin, withdraw
from statefulrollout.core.failures import note_failures
from statefulrollout.core.farewell import open_unattended_gates
from statefulrollout.core.fence import build_set_fence, fence_of, fence_of_way_back, kind_of
from statefulrollout.core.floor import plan_floor
from statefulrollout.core.goal import has_failed, is_given_up
from statefulrollout.core.guards import judge, passed_over, rollout_is_prepared
from statefulrollout.core.judging import Judgement, judge_check
from statefulrollout.core.ledger import Ledger, Progress
from statefulrollout.core.measuring import asks_of_measures
from statefulrollout.core.ordering import Turn, turn_of
from statefulrollout.core.pacing import Pacing, pacing_of
from statefulrollout.core.preparing import begin_next, plan_preparations
from statefulrollout.core.questions import Surroundings
from statefulrollout.core.recheck import recheck_at
from statefulrollout.core.remembering import asks_of_vanished, ledger_after
from statefulrollout.core.scene import Scene
from statefulrollout.core.snapshot import FenceKind, Snapshot, StatefulSetView
from statefulrollout.core.stages import IN_MOTION, Place, Stage, places_of
from statefulrollout.core.step import Stand, Step, Waiting
from statefulrollout.core.steps import step_of
from statefulrollout.core.validation import Problem, problems_of


@dataclass(frozen=True)
class Plan:
    """What to do now, and why nothing else.

    Attributes:
        actions: in the order in which they must happen.
        asks: the questions that shall be open.
        places: every pod with its stage.
        waiting: what holds a pod up, by UID.
        problems: why the spec is refused; then nothing is touched.
        troubles: what holds the whole rollout until a human looks or the application answers.
        ledger: the ledger as it shall be.
        fence: the fence that shall stand; None where there is no target.
        announcements: events beside those of the actions.
        pacing: how far the rollout may go at present.
        finishing: what is still to be taken back after the rollout; empty where nothing is.
        recheck_at: when time alone changes something; seconds since the epoch.
        wants_survey: a pod may go, as far as can be told without its surroundings: decide anew with them.
    """

    actions: tuple[Action, ...] = ()
    asks: tuple[Ask, ...] = ()
    places: tuple[Place, ...] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    troubles: tuple[str, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    fence: FenceKind | None = None
    announcements: tuple[Announcement, ...] = ()
    pacing: Pacing = field(default_factory=lambda: Pacing(Progress()))
    finishing: str = ""
    recheck_at: float | None = None
    wants_survey: bool = False


@dataclass(frozen=True)
class Choice:
    """The pods that go next, by UID what holds the others, and what is said of guards that were passed over."""

    marks: tuple[MarkPod, ...] = ()
    held: Mapping[str, Waiting] = field(default_factory=dict)
    overridden: tuple[Announcement, ...] = ()


def decide(snapshot: Snapshot, now: float) -> Plan:
    """Decide what to do now.

    Args:
        snapshot: everything known, as just read; its surroundings are known at last where the plan wanted them.
        now: seconds since the epoch.
    """
    target = snapshot.target
    problems = problems_of(snapshot)
    if target is None or problems:
        return Plan(
            actions=open_unattended_gates(snapshot.pods),
            places=places_of(snapshot, now),
            problems=problems,
            ledger=snapshot.ledger,
        )
    recorded = snapshot.ledger
    snapshot = replace(snapshot, ledger=_taken_over(snapshot, target))
    places = places_of(snapshot, now)
    check_asks, checks = _ask_checks(snapshot, target, places, now)
    ledger, announcements = note_failures(snapshot, target, places, checks, now)
    if ledger != snapshot.ledger:
        # A revision that has just failed is nothing to leave for: it may have moved pods to another stage.
        snapshot = replace(snapshot, ledger=ledger)
        places = places_of(snapshot, now)
    pacing = pacing_of(snapshot, target, places, now)
    snapshot = replace(snapshot, ledger=ledger.model_copy(update={"progress": pacing.progress}))
    restored = restored_pods(snapshot, places, now)
    around = Surroundings(snapshot, places, membership.roster_of(snapshot, places, now, restored))
    members = plan_membership(around, now)
    if is_given_up(snapshot):
        fence = fence_of_way_back(target, places, now)
    else:
        fence = _fence(snapshot, target, places, checks, pacing)
    stand = Stand(
        around=around,
        membership=members.waiting,
        fence_stands=kind_of(target.update_strategy) is fence and target.observed,
        turns=is_given_up(snapshot) and fence is not FenceKind.HOLD,
        may_close_gate=False,
        now=now,
    )
    steps, shut = _steps(stand, target)
    preparing = plan_preparations(around, now)
    troubles = tuple(
        filter(
            None,
            (*(step.trouble for step in steps.values()), members.trouble, preparing.trouble, *_troubles_of(checks)),
        )
    )
    scene = Scene(
        snapshot=snapshot,
        target=target,
        places=places,
        chosen=chosen_before(snapshot) | shut,
        checks=checks,
        troubles=troubles,
        pacing=pacing,
        chosen_at=ledger.chosen_at,
        unprepared=preparing.missing,
        now=now,
    )
    measures = asks_of_measures(around)
    choice = _choose(scene, stand) if target.observed else Choice()
    if choice is None:
        return Plan(wants_survey=True)
    chosen, held = choice.marks, choice.held
    leaving = {mark.pod.uid for mark in chosen}
    if any(waiting.name == rollout_is_prepared.__name__ for waiting in held.values()):
        preparing = begin_next(around, preparing, now)
    ledger = ledger_after(around, members.declaration, steps, leaving | shut, now)
    ledger = ledger.model_copy(update={"preparations": preparing.entries})
    set_fence = build_set_fence(target, fence, ours=recorded.original_strategy is not None)
    moving = [action for uid, step in steps.items() if uid not in leaving for action in step.actions]
    return Plan(
        actions=(
            *([WriteLedger(ledger)] if ledger != recorded else []),
            *([set_fence] if set_fence else []),
            *plan_floor(snapshot, target, places),
            *moving,
            *chosen,
            *(_withdrawn(scene, moving, leaving) if target.observed else ()),
        ),
        asks=(
            *members.asks,
            *asks_of_vanished(snapshot),
            *check_asks,
            *measures,
            *preparing.asks,
            *(ask for step in steps.values() for ask in step.asks),
        ),
        places=places,
        waiting={**{uid: step.waiting for uid, step in steps.items() if step.waiting}, **held},
        troubles=troubles,
        ledger=ledger,
        fence=fence,
        announcements=(
            *announcements,
            *choice.overridden,
            *members.announcements,
            *preparing.announcements,
            *(announcement for step in steps.values() for announcement in step.announcements),
        ),
        pacing=pacing,
        finishing=preparing.unfinished,
        recheck_at=recheck_at(
            stand, (members.recheck_at, pacing.recheck_at, preparing.recheck_at), steps, check_asks, measures
        ),
    )


def _taken_over(snapshot: Snapshot, target: StatefulSetView) -> Ledger:
    """The ledger under this rollout; of another StatefulSet of the same name nothing is remembered."""
    rollout, ledger = snapshot.rollout, snapshot.ledger
    if ledger.stateful_set_uid != target.uid:
        ledger = Ledger(uid=ledger.uid, resource_version=ledger.resource_version, stateful_set_uid=target.uid)
    strategy = ledger.original_strategy or dict(target.update_strategy)
    return ledger.model_copy(
        update={
            "rollout_uid": rollout.uid,
            "deletion_policy": rollout.spec.deletion_policy.value,
            "original_strategy": strategy,
        }
    )


def _ask_checks(
    snapshot: Snapshot, target: StatefulSetView, places: tuple[Place, ...], now: float
) -> tuple[tuple[Ask, ...], dict[str, Judgement]]:
    """The checks, asked while something is to move or to be accepted.

    On a way back they are not: what is wrong with the application may be the revision that is given up.
    """
    idle = target.current_revision == target.update_revision and all(place.leaves_for is None for place in places)
    if idle or is_given_up(snapshot) or not snapshot.rollout.spec.checks:
        return (), {}
    around = Surroundings(snapshot, places, membership.roster_of(snapshot, places, now, frozenset()))
    asks = {check.name: questions.ask_of_check(around, check) for check in snapshot.rollout.spec.checks}
    judged = {
        check.name: judge_check(check, snapshot.reports.get(asks[check.name].id), now)
        for check in snapshot.rollout.spec.checks
    }
    return tuple(asks.values()), judged


def _troubles_of(checks: Mapping[str, Judgement]) -> list[str]:
    return [judgement.trouble for judgement in checks.values() if judgement.trouble]


def _fence(
    snapshot: Snapshot,
    target: StatefulSetView,
    places: Sequence[Place],
    checks: Mapping[str, Judgement],
    pacing: Pacing,
) -> FenceKind:
    spec, failed = snapshot.rollout.spec, has_failed(snapshot, target.update_revision)
    after = [check.name for check in spec.checks if CheckAt.AFTER_POD in check.at]
    moved = any(place.pod.revision == target.update_revision for place in places)
    return fence_of(
        target,
        places,
        may_move=not (spec.paused or failed or pacing.rests) or (moved and not spec.strategy.reversible),
        may_accept=not failed and not pacing.rest and all(checks[name].done for name in after if name in checks),
    )


def _steps(stand: Stand, target: StatefulSetView) -> tuple[dict[str, Step], frozenset[str]]:
    """The step of every pod, and the UIDs of those whose open gate closes for a restore.

    The latter share what the budget has left, those that were chosen before come first.
    """
    places, before = stand.around.places, chosen_before(stand.snapshot)
    restoring = [place.pod for place in places if place.stage is Stage.RESTORING]
    open_gates = {pod.uid: pod.ordinal for pod in restoring if pod.serving and pod.ready}
    limit = pods_of(stand.snapshot.rollout.spec.strategy.max_unavailable, target.replicas)
    left = limit - len(unavailable_ordinals(target, places, before) - set(open_gates.values()))
    steps: dict[str, Step] = {}
    shut: set[str] = set()
    may_close = replace(stand, may_close_gate=True)
    for place in sorted(places, key=lambda place: place.pod.uid not in before):
        step = step_of(may_close if left > 0 else stand, place)
        if place.pod.uid in open_gates and step.actions:
            left -= 1
            shut.add(place.pod.uid)
        steps[place.pod.uid] = step
    return steps, frozenset(shut)


def _choose(scene: Scene, stand: Stand) -> Choice | None:
    """Choose those that were chosen before and the broken ones first, then as many as every guard allows.

    None where one may go as far as can be told, and its surroundings are not known.
    """
    marks: list[MarkPod] = []
    held: dict[str, Waiting] = {}
    said: list[Announcement] = []
    for place in _candidates(scene):
        uid = place.pod.uid
        seen = scene.sparing(place) if uid in scene.chosen else scene
        verdict = judge(seen, place)
        if verdict is None and not scene.snapshot.surveyed:
            return None
        if verdict is None:
            for each in passed_over(seen, place):
                note = f"{place.pod.name} goes by spec.override, though {each.guard} says: {each.observed}"
                said.append(Announcement("GuardOverridden", note, place.pod, warning=True))
            marks.append(begin(stand, place))
            scene = scene.choosing(place)
        else:
            held[uid] = Waiting(verdict.guard, verdict.observed)
    return Choice(tuple(marks), held, tuple(said))


def _withdrawn(scene: Scene, stepping: Sequence[Action], leaving: Collection[str]) -> list[MarkPod]:
    """Marks for the pods that were chosen before and do not go now: the others would wait for them."""
    written = {action.pod.uid for action in stepping if isinstance(action, MarkPod)} | set(leaving)
    before = chosen_before(scene.snapshot) - written
    return [withdraw(place) for place in scene.places if place.pod.uid in before]


def _candidates(scene: Scene) -> list[Place]:
    """Pods that shall leave and have not begun to: broken, condemned and evicted ones, then in the user's order."""
    waits = scene.snapshot.rollout.spec.strategy.unhealthy_outdated is UnhealthyOutdated.WAIT
    under_way = IN_MOTION | {Stage.TERMINATING}

    def may_go(place: Place) -> bool:
        if place.leaves_for is None or place.stage in under_way:
            return False
        return place.stage is Stage.SERVING if not place.stuck else not waits or not place.rolled

    def rank(place: Place) -> tuple[bool, bool, bool, bool, Turn]:
        turn = turn_of(scene.snapshot, place.pod, scene.now)
        return (place.pod.uid not in scene.chosen, not place.stuck, not place.condemned, not place.evicted, turn)

    return sorted(filter(may_go, scene.places), key=rank)
