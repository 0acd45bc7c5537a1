"""Each rule that may say "not now": when it does, when it does not, and what it saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from statefulrollout.core.guards import GUARDS, GUARDS_OF_STUCK_PODS, Verdict, judge
from statefulrollout.core.judging import Judgement
from statefulrollout.core.snapshot import BudgetView, PodView
from tests.builders import a_check, a_pod, a_rolling_set, pods
from tests.unit.core.guarded import CANDIDATE, CONDEMNED, ORDERED, SET, STUCK, said, scene_of

YES, NO = Judgement(done=True, observed="200"), Judgement(done=False, observed="GET /health answered 503")
CHECKED: dict[str, Any] = {"checks": [a_check(at=["BeforePod"]), a_check("caught-up", at=["AfterPod"])]}


def a_budget(allowed: int, *selected: PodView, observed: bool = True) -> BudgetView:
    return BudgetView("db-pdb", allowed, frozenset(pod.uid for pod in selected), observed)


def test_a_pod_may_go_where_every_guard_agrees() -> None:
    assert judge(*scene_of()) is None


@pytest.mark.parametrize(
    ("observed", "candidate", "paused"),
    [
        ("", CANDIDATE, False),
        ("spec.paused is true", CANDIDATE, True),
        ("spec.paused is true", STUCK, True),
        ("", CONDEMNED, True),
    ],
)
def test_rollout_is_not_paused(observed: str, candidate: PodView, paused: bool) -> None:
    assert said("rollout_is_not_paused", candidate, paused=paused) == observed


@pytest.mark.parametrize(
    ("observed", "candidate", "failed"),
    [
        ("", CANDIDATE, ""),
        ("", CANDIDATE, "v1"),
        ("revision v2 has failed", CANDIDATE, "v2"),
        ("revision v2 has failed", STUCK, "v2"),
        ("", CONDEMNED, "v2"),
    ],
)
def test_revision_has_not_failed(observed: str, candidate: PodView, failed: str) -> None:
    assert said("revision_has_not_failed", candidate, failed=failed) == observed


@pytest.mark.parametrize(
    ("refused", "candidate", "strategy"),
    [
        (False, CANDIDATE, {"maxUnavailable": 2}),
        (True, CANDIDATE, {"maxUnavailable": 3}),
        (True, CANDIDATE, {"maxUnavailable": "100%"}),
        (False, CANDIDATE, {"maxUnavailable": 3, "allowFullOutage": True}),
        (False, CONDEMNED, {"maxUnavailable": 3}),
    ],
)
def test_outage_was_allowed(refused: bool, candidate: PodView, strategy: dict[str, object]) -> None:
    observed = said("outage_was_allowed", candidate, strategy=strategy)
    assert bool(observed) is refused
    assert ("set strategy.allowFullOutage to true" in observed) is refused


def test_the_only_replica_is_all_of_them() -> None:
    only = a_pod("db-0")
    assert "maxUnavailable is 1 of 1 replicas" in said("outage_was_allowed", only, (), a_rolling_set(1))


def test_hooks_are_answering() -> None:
    assert said("hooks_are_answering") == ""
    assert said("hooks_are_answering", troubles=("db-1: drain is late", "later")) == "db-1: drain is late"


@pytest.mark.parametrize(
    ("stage", "candidate", "other"),
    [
        ("", CANDIDATE, a_pod("db-1")),
        ("", CANDIDATE, a_pod("db-1").at("v2").serving_since(3)),
        ("Draining", CANDIDATE, a_pod("db-1").isolated("v2", stuck=True)),
        ("Released", CANDIDATE, a_pod("db-1").let_go("v2")),
        ("Returning", CANDIDATE, a_pod("db-1").isolated("v0")),
        ("Starting", CANDIDATE, a_pod("db-1").at("v2").starting()),
        ("Restoring", CANDIDATE, a_pod("db-1").at("v2").came_back()),
        ("Terminating", CANDIDATE, a_pod("db-1").deleted()),
        ("", STUCK, a_pod("db-1").at("v2").starting()),
        ("", STUCK, a_pod("db-1").deleted()),
        ("Draining", STUCK, a_pod("db-1").isolated("v2", stuck=True)),
    ],
)
def test_one_at_a_time_when_ordered(stage: str, candidate: PodView, other: PodView) -> None:
    others = (a_pod("db-0"), other)
    observed = said("one_at_a_time_when_ordered", candidate, others, ORDERED)
    assert observed == (f"db-1 is {stage} (podManagementPolicy: OrderedReady)" if stage else "")
    assert said("one_at_a_time_when_ordered", candidate, others, SET) == ""


def test_whoever_was_chosen_before_is_one_at_a_time_too() -> None:
    assert "db-1 is Serving" in said("one_at_a_time_when_ordered", target=ORDERED, chosen=frozenset({"uid-db-1"}))


@pytest.mark.parametrize(
    ("observed", "candidate"),
    [
        ("", CANDIDATE),
        ("claim data-db-2 is owned by the pod", CANDIDATE.but(volumes_owned_by_pod=("data-db-2",))),
        ("claim data-db-2, wal-db-2", STUCK.but(volumes_owned_by_pod=("data-db-2", "wal-db-2"))),
        ("", CONDEMNED.but(volumes_owned_by_pod=("data-db-3",))),
    ],
)
def test_volumes_outlive_the_pod(observed: str, candidate: PodView) -> None:
    said_so = said("volumes_outlive_the_pod", candidate)
    assert said_so.startswith(observed)
    assert bool(said_so) is bool(observed)


IN_PLACE = {"podUpdate": "InPlaceIfPossible"}
TEMPLATES: dict[str, dict[str, Any]] = {
    revision: {"spec": {"containers": [{"name": "store", "image": revision}]}} for revision in ("v1", "v2")
}
ONLY_THERE = {"uid-db-2": "data-db-2", "uid-db-3": "data-db-3"}
CORDONED = "node node-2 is cordoned, and claim data-db-2 can be mounted on no other"


@pytest.mark.parametrize(
    ("observed", "candidate", "seen"),
    [
        (CORDONED, CANDIDATE, {"cordoned": frozenset({"node-2"})}),
        ("", CANDIDATE, {"cordoned": frozenset({"node-1"})}),
        ("", CANDIDATE, {"cordoned": frozenset({"node-2"}), "anchors": {}}),
        ("", CONDEMNED, {"cordoned": frozenset({"node-3"})}),
        ("", CANDIDATE, {"cordoned": frozenset({"node-2"}), "strategy": IN_PLACE, "templates": TEMPLATES}),
        (CORDONED, CANDIDATE, {"cordoned": frozenset({"node-2"}), "strategy": IN_PLACE, "templates": {}}),
    ],
)
def test_node_can_take_the_replacement(observed: str, candidate: PodView, seen: dict[str, Any]) -> None:
    assert said("node_can_take_the_replacement", candidate, **{"anchors": ONLY_THERE, **seen}) == observed


@pytest.mark.parametrize(
    ("observed", "limit", "others"),
    [
        ("", 1, pods(2)),
        ("1 of 1 are unavailable: db-1", 1, pods(1)),
        ("1 of 1 are unavailable: db-1", 1, (a_pod("db-0"), a_pod("db-1").at("v2").serving_since(3))),
        ("", 2, pods(1)),
        ("2 of 2 are unavailable: db-0, db-1", 2, ()),
        ("", 1, (*pods(2), CONDEMNED.isolated("scale-down"))),
    ],
)
def test_budget_allows_new_unavailability(observed: str, limit: int, others: tuple[PodView, ...]) -> None:
    strategy = {"maxUnavailable": limit}
    assert said("budget_allows_new_unavailability", CANDIDATE, others, strategy=strategy) == observed


def test_a_pod_that_is_away_already_takes_nothing_from_the_budget() -> None:
    assert said("budget_allows_new_unavailability", CANDIDATE.failing_probe()) == ""


def test_whoever_was_chosen_before_counts_against_the_budget() -> None:
    taken = frozenset({"uid-db-1"})
    assert said("budget_allows_new_unavailability", chosen=taken) == "1 of 1 are unavailable: db-1"
    assert said("budget_allows_new_unavailability", chosen=taken, strategy={"maxUnavailable": 2}) == ""


@pytest.mark.parametrize(
    ("observed", "others", "chosen"),
    [
        ("", pods(3), frozenset()),
        ("1 of 1 are unavailable or leaving", pods(2), frozenset()),
        ("", (*pods(2), a_pod("db-2").waiting_in("CrashLoopBackOff")), frozenset()),
        ("1 of 1 are unavailable or leaving", (*pods(3), a_pod("db-4").isolated("scale-down")), frozenset()),
        ("1 of 1 are unavailable or leaving", (*pods(3), a_pod("db-4")), frozenset({"uid-db-4"})),
    ],
)
def test_condemned_pods_go_within_the_same_budget(
    observed: str, others: tuple[PodView, ...], chosen: frozenset[str]
) -> None:
    assert said("budget_allows_new_unavailability", CONDEMNED, others, chosen=chosen) == observed


@pytest.mark.parametrize(
    ("observed", "answers", "others"),
    [
        ("", {"calm": YES}, pods(2)),
        ("", {}, pods(2)),
        ("check calm: GET /health answered 503", {"calm": NO}, pods(2)),
        ("", {"calm": YES, "caught-up": NO}, pods(2)),
        ("check caught-up: GET /health answered 503", {"calm": YES, "caught-up": NO}, pods(2, "v2")),
        ("", {"calm": YES, "caught-up": YES}, pods(2, "v2")),
    ],
)
def test_application_checks_pass(observed: str, answers: dict[str, Judgement], others: tuple[PodView, ...]) -> None:
    assert said("application_checks_pass", CANDIDATE, others, answers=answers, **CHECKED) == observed


@pytest.mark.parametrize(
    ("observed", "budgets"),
    [
        ("", (a_budget(1, CANDIDATE),)),
        ("", (a_budget(0, a_pod("db-1")),)),
        ("PodDisruptionBudget db-pdb allows 0 disruptions", (a_budget(0, CANDIDATE),)),
        ("PodDisruptionBudget db-pdb allows 0 disruptions", (a_budget(3, CANDIDATE), a_budget(0, CANDIDATE))),
        ("PodDisruptionBudget db-pdb is not up to date yet", (a_budget(1, CANDIDATE, observed=False),)),
    ],
)
def test_disruption_budgets_allow_it(observed: str, budgets: tuple[BudgetView, ...]) -> None:
    assert said("disruption_budgets_allow_it", budgets=budgets) == observed


def test_whoever_was_chosen_before_has_spent_a_disruption() -> None:
    taken = frozenset({"uid-db-1"})
    assert said("disruption_budgets_allow_it", budgets=(a_budget(1, CANDIDATE, a_pod("db-1")),), chosen=taken)
    assert not said("disruption_budgets_allow_it", budgets=(a_budget(2, CANDIDATE, a_pod("db-1")),), chosen=taken)
    assert not said("disruption_budgets_allow_it", budgets=(a_budget(1, CANDIDATE),), chosen=taken)


def test_the_first_guard_that_says_no_is_named() -> None:
    scene, place = scene_of(troubles=("db-1: drain is late",), paused=True, failed="v2")
    assert judge(scene, place) == Verdict("rollout_is_not_paused", "spec.paused is true")
    scene, place = scene_of(troubles=("db-1: drain is late",), others=())
    assert judge(scene, place) == Verdict("hooks_are_answering", "db-1: drain is late")


def test_a_stuck_pod_is_asked_only_what_protects_the_users_word_and_the_data() -> None:
    scene, place = scene_of(
        STUCK,
        (),
        troubles=("db-1: drain is late",),
        budgets=(a_budget(0, STUCK),),
        answers={"calm": NO},
        strategy={"maxUnavailable": 3},
        **CHECKED,
    )
    assert judge(scene, place) is None
    assert set(GUARDS_OF_STUCK_PODS) < set(GUARDS)
    assert judge(scene, replace(place, stuck="")) is not None


ONE_BY_ONE: dict[str, Any] = {"checks": [a_check("spare", at=["BeforePod"])]}


@pytest.mark.parametrize(
    ("observed", "allowed", "chosen"),
    [
        ("", ("db-1", "db-2"), frozenset[str]()),
        ("check spare allows db-1", ("db-1",), frozenset[str]()),
        ("check spare allows no pod", (), frozenset[str]()),
        ("check spare is asked anew once the pod that was chosen has left", ("db-2",), frozenset({"uid-db-1"})),
    ],
)
def test_a_check_says_which_pods_may_leave(observed: str, allowed: tuple[str, ...], chosen: frozenset[str]) -> None:
    answers = {"spare": replace(YES, allowed=allowed)}
    assert said("application_checks_pass", answers=answers, chosen=chosen, **ONE_BY_ONE) == observed
    assert said("application_checks_pass", CONDEMNED, pods(3), answers=answers, chosen=chosen, **ONE_BY_ONE) == ""
