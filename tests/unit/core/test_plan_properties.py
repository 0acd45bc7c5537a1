"""What holds of every decision, whatever the cluster, the user and the application have come up with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statefulrollout.api import names
from statefulrollout.core.actions import (
    LimitBudget,
    MakeBudget,
    MarkPod,
    RemoveBudget,
    RemovePod,
    SetFence,
    WriteLedger,
)
from statefulrollout.core.asks import Answer
from statefulrollout.core.budget import pods_of, unavailable_ordinals
from statefulrollout.core.fence import kind_of
from statefulrollout.core.plan import Plan, decide
from statefulrollout.core.snapshot import FenceKind, PodView, Snapshot
from statefulrollout.core.stages import LEAVING, Place, Stage
from statefulrollout.core.status import build_status
from tests.builders import (
    DRAIN,
    MEMBERSHIP,
    NOW,
    APod,
    a_call,
    a_check,
    a_hook,
    a_ledger,
    a_pod,
    a_report,
    a_set,
    a_snapshot,
    a_spec,
)

ORDER = (WriteLedger, SetFence, MakeBudget, LimitBudget, RemoveBudget)
ON_PODS = (MarkPod, RemovePod)
PURPOSES = ("v1", "v2", "v3", "scale-down")

CONDITIONS: tuple[Callable[[APod, str], APod], ...] = (
    lambda pod, _: pod,
    lambda pod, _: pod.serving_since(3),
    lambda pod, _: pod.starting(),
    lambda pod, _: pod.starting(since=700),
    lambda pod, _: pod.came_back(),
    lambda pod, _: pod.restarted(),
    lambda pod, _: pod.restarted(ready=False),
    lambda pod, _: pod.failing_probe(),
    lambda pod, _: pod.failing_probe(since=700),
    lambda pod, _: pod.condition("Ready", False, since=90),
    lambda pod, _: pod.waiting_in("CrashLoopBackOff", exit_code=1),
    lambda pod, _: pod.but(phase="Failed").failing_probe(),
    lambda pod, _: pod.untouched(),
    lambda pod, _: pod.ungated(),
    lambda pod, purpose: pod.isolated(purpose),
    lambda pod, purpose: pod.isolated(purpose, stuck=True).failing_probe(),
    lambda pod, purpose: pod.drained(purpose),
    lambda pod, purpose: pod.drained(purpose).restarted(),
    lambda pod, purpose: pod.migrated(purpose),
    lambda pod, purpose: pod.let_go(purpose),
)


@st.composite
def pods_of_a_set(draw: st.DrawFn, replicas: int) -> tuple[PodView, ...]:
    """Some of the pods that there may be, each in any condition; up to two of them condemned."""
    found: list[PodView] = []
    for ordinal in range(replicas + 2):
        if draw(st.integers(0, 4)) == 0:
            continue
        told = draw(st.sampled_from(CONDITIONS))
        pod = told(a_pod(f"db-{ordinal}").at(draw(st.sampled_from(("v1", "v2")))), draw(st.sampled_from(PURPOSES)))
        found.append(pod.deleted() if draw(st.integers(0, 9)) == 0 else pod)
    return tuple(found)


def a_wish(draw: st.DrawFn) -> dict[str, Any]:
    """A spec, as on the wire."""
    strategy = {
        "maxUnavailable": draw(st.sampled_from((1, 2, 3, "40%", "100%"))),
        "allowFullOutage": draw(st.booleans()),
        "unhealthyOutdated": draw(st.sampled_from(("ReplaceIfStuck", "Replace", "Wait"))),
    }
    on_timeout: dict[str, Any] = {"deadlineSeconds": 20, "onTimeout": draw(st.sampled_from(("Pause", "Proceed")))}
    hooks = {
        "drain": draw(st.sampled_from((None, {**DRAIN, **on_timeout}))),
        "migrate": draw(st.sampled_from((None, a_hook("/migrate", "Peers", undo=a_call("/back", "Peers"))))),
        "membership": draw(st.sampled_from((None, {**MEMBERSHIP, **on_timeout}))),
        "restore": draw(st.sampled_from((None, a_hook("/restore", **on_timeout)))),
        "checks": draw(st.sampled_from(([], [a_check(failWhen="status == 500")]))),
    }
    return {"paused": draw(st.booleans()), "strategy": strategy, **hooks}


@st.composite
def moments(draw: st.DrawFn) -> Snapshot:
    """A moment of a rollout that is under way: what was asked a while ago may have been answered."""
    replicas = draw(st.integers(0, 4))
    fence = draw(st.sampled_from(FenceKind))
    target = a_set(
        replicas,
        wanted=draw(st.sampled_from(("v1", "v2", "v2"))),
        fence=fence,
        ordered=draw(st.booleans()),
        observed_generation=draw(st.sampled_from((7, 7, 7, 6))),
    )
    present = draw(pods_of_a_set(replicas))
    isolated = {pod.uid: draw(st.sampled_from((0.0, 3.0, 60.0))) for pod in present if draw(st.booleans())}
    spec = a_spec(**a_wish(draw))
    ledger = a_ledger(*present[:2], failed=draw(st.sampled_from(("", "", "v2"))))
    snapshot = a_snapshot(target, *present, spec=spec, ledger=ledger, isolated=isolated)
    begun = decide(snapshot, NOW - 30)
    reports = {
        ask.id: a_report(draw(st.sampled_from(Answer)), since=draw(st.sampled_from((0, 30))))
        for ask in begun.asks
        if draw(st.booleans())
    }
    return replace(snapshot, ledger=begun.ledger, reports=reports)


every_moment = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def departures_in(plan: Plan) -> list[MarkPod]:
    """The marks that begin to take a pod out of service."""
    return [action for action in plan.actions if isinstance(action, MarkPod) and action.reason == "PodIsolated"]


def removals_in(plan: Plan) -> list[RemovePod]:
    return [action for action in plan.actions if isinstance(action, RemovePod)]


def places_by_uid(plan: Plan) -> dict[str, Place]:
    return {place.pod.uid: place for place in plan.places}


@every_moment
@given(moments())
def test_i1_no_decision_exceeds_the_budget(snapshot: Snapshot) -> None:
    plan, target = decide(snapshot, NOW), snapshot.target
    assert target is not None
    limit = pods_of(snapshot.rollout.spec.strategy.max_unavailable, target.replicas)
    before = unavailable_ordinals(target, plan.places)
    shut = {
        action.pod.ordinal
        for action in plan.actions
        if isinstance(action, MarkPod) and action.conditions.get(names.SERVING) is False and action.pod.ready
    }
    newly = (shut & set(target.ordinals)) - before
    # A pod behind an open gate that is to be restored carries load in truth, though nobody trusts it any more.
    restoring = {
        place.pod.ordinal
        for place in plan.places
        if place.stage is Stage.RESTORING and place.pod.ready and place.pod.serving
    }
    assert not newly or len(before | newly) <= limit
    assert not shut & restoring or len((before - restoring) | (shut & set(target.ordinals))) <= limit


@every_moment
@given(moments())
def test_i2_only_who_was_let_go_is_removed(snapshot: Snapshot) -> None:
    plan = decide(snapshot, NOW)
    released = {
        action.pod.uid
        for action in plan.actions
        if isinstance(action, MarkPod) and action.conditions.get(names.RELEASED)
    }
    for removal in removals_in(plan):
        assert removal.pod.released or removal.pod.uid in released
        assert not removal.pod.terminating
    assert all(places_by_uid(plan)[uid].stage in LEAVING for uid in released)


@every_moment
@given(moments())
def test_i3_nobody_is_released_or_removed_before_an_observed_fence(snapshot: Snapshot) -> None:
    plan, target = decide(snapshot, NOW), snapshot.target
    assert target is not None
    stands = target.observed and kind_of(target.update_strategy) is plan.fence
    releases = [action for action in plan.actions if isinstance(action, MarkPod) and action.reason == "PodReleased"]
    assert stands or not (releases or removals_in(plan))


@every_moment
@given(moments())
def test_i4_while_paused_only_a_scale_down_takes_pods(snapshot: Snapshot) -> None:
    if snapshot.rollout.spec.paused:
        plan = decide(snapshot, NOW)
        assert all(places_by_uid(plan)[mark.pod.uid].condemned for mark in departures_in(plan))


@every_moment
@given(moments())
def test_i6_whoever_is_not_where_it_shall_be_waits_for_something_or_moves(snapshot: Snapshot) -> None:
    plan = decide(snapshot, NOW)
    if snapshot.target is None or not snapshot.target.observed:
        return
    touched = {action.pod.uid for action in plan.actions if isinstance(action, MarkPod | RemovePod)}
    waits = snapshot.rollout.spec.strategy.unhealthy_outdated.value == "Wait"
    for uid, place in places_by_uid(plan).items():
        at_rest = place.leaves_for is None and place.stage in (Stage.SERVING, Stage.UPDATED)
        left_alone = waits and bool(place.stuck)
        assert at_rest or left_alone or uid in touched or uid in plan.waiting, place


@every_moment
@given(moments())
def test_i8_a_pod_is_asked_only_what_the_ledger_remembers(snapshot: Snapshot) -> None:
    plan = decide(snapshot, NOW)
    remembered = {entry.id for entry in plan.ledger.open_hooks}
    undone = {f"undo/{entry.id}" for entry in snapshot.ledger.open_hooks}
    for ask in plan.asks:
        if not ask.id.startswith(("check/", "membership/")):
            assert ask.id in remembered | undone
    if plan.ledger != snapshot.ledger:
        assert isinstance(plan.actions[0], WriteLedger)
        assert plan.actions[0].ledger == plan.ledger


@every_moment
@given(moments())
def test_i9_generations_only_grow(snapshot: Snapshot) -> None:
    before, after = snapshot.ledger.declaration, decide(snapshot, NOW).ledger.declaration
    assert after.generation >= before.generation
    assert after.generation > before.generation or after.members == before.members


@every_moment
@given(moments())
def test_i10_the_status_says_one_thing_only(snapshot: Snapshot) -> None:
    status = build_status(snapshot, decide(snapshot, NOW), {}, NOW)
    holds = {condition.type: condition.status == "True" for condition in status.conditions}
    assert [holds[names.READY], holds[names.RECONCILING], holds[names.STALLED]].count(True) == 1
    assert status.message
    assert all(condition.reason for condition in status.conditions)


@every_moment
@given(moments())
def test_i13_a_revision_is_accepted_only_when_every_pod_has_soaked(snapshot: Snapshot) -> None:
    plan, target = decide(snapshot, NOW), snapshot.target
    assert target is not None
    if plan.fence is FenceKind.ACCEPT:
        soaked = {place.pod.ordinal for place in plan.places if place.stage is Stage.UPDATED}
        assert set(target.ordinals) <= soaked


@every_moment
@given(moments())
def test_the_same_moment_gives_the_same_plan_in_the_order_of_crash_safety(snapshot: Snapshot) -> None:
    plan = decide(snapshot, NOW)
    assert plan == decide(snapshot, NOW)
    around = [action for action in plan.actions if not isinstance(action, ON_PODS)]
    assert [ORDER.index(type(action)) for action in around] == sorted(ORDER.index(type(action)) for action in around)
    assert all(not isinstance(action, ON_PODS) for action in plan.actions[: len(around)])
    removed = {action.pod.uid: at for at, action in enumerate(plan.actions) if isinstance(action, RemovePod)}
    marks = [(at, action.pod) for at, action in enumerate(plan.actions) if isinstance(action, MarkPod)]
    assert all(at < removed.get(pod.uid, len(plan.actions)) for at, pod in marks)
    assert len({ask.id for ask in plan.asks}) == len(plan.asks)
    marked = [action.pod.uid for action in plan.actions if isinstance(action, MarkPod)]
    assert len(set(marked)) == len(marked)
    assert plan.recheck_at is None or plan.recheck_at > NOW


@every_moment
@given(moments())
def test_what_was_remembered_is_not_written_again(snapshot: Snapshot) -> None:
    first = decide(snapshot, NOW)
    second = decide(replace(snapshot, ledger=first.ledger), NOW)
    assert not any(isinstance(action, WriteLedger) for action in second.actions)
    assert {ask.id for ask in second.asks} <= {ask.id for ask in first.asks}
