"""Roles that pods tell when they are asked, and the load that those that remain must carry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from statefulrollout.core.asks import Answer, Report
from statefulrollout.core.measuring import FRESH_SECONDS, LOOK_SECONDS, load_id_of, role_id_of
from statefulrollout.core.plan import Plan, decide
from statefulrollout.core.snapshot import PodView
from tests.builders import NOW, APod, a_call, a_pod, a_report, a_rolling_set, a_set, a_snapshot, a_spec, pods
from tests.unit.core.guarded import CANDIDATE, CONDEMNED, SET, said

ASKED: dict[str, Any] = {"call": a_call("/role", method="GET"), "value": "json.role"}
LEADER_LAST: dict[str, Any] = {"order": {"by": "Role", "role": {"ask": ASKED, "last": ["leader"]}}}
LOAD: dict[str, Any] = {"call": a_call("/load", method="GET"), "value": "json.rps", "perPod": 100}
ABORTED: dict[str, Any] = {"abort": {"revision": "v2"}}
TIMEOUT_SECONDS = 5
SET_AT_REST = a_set(3)
EARLIER = "earlier_roles_have_arrived"
CARRIES = "remaining_capacity_carries_the_load"


def role_of(pod: PodView, role: str | None, age: float = 0) -> dict[str, Report]:
    """The latest word of a pod about its role; None where it could not be read."""
    known = role is not None
    report = a_report(Answer.DONE if known else Answer.ERROR, value=role)
    snapshot = a_snapshot(SET, pod, spec=a_spec(strategy=LEADER_LAST))
    return {role_id_of(snapshot, pod): replace(report, at=NOW - age)}


def loads_of(*values: float | None, age: float = 0) -> dict[str, Report]:
    """The latest word of db-0, db-1 … about their load; None where it could not be read."""
    return {load_id_of(a_pod(f"db-{ordinal}")): load_report(value, age) for ordinal, value in enumerate(values)}


def load_report(value: float | None, age: float = 0) -> Report:
    report = a_report(Answer.ERROR) if value is None else a_report(Answer.DONE, value=float(value))
    return replace(report, at=NOW - age)


@pytest.mark.parametrize(
    ("observed", "mine", "other"),
    [
        ("", "follower", None),
        ("", "leader", a_pod("db-1").at("v2")),
        ("db-1 goes earlier (strategy.order), and is Serving", "leader", a_pod("db-1")),
        ("its role is not known: it said Error", None, None),
    ],
)
def test_a_role_is_what_the_pod_says(observed: str, mine: str | None, other: APod | None) -> None:
    others = (a_pod("db-0").at("v2"), other or a_pod("db-1"))
    reports = {**role_of(CANDIDATE, mine), **role_of(a_pod("db-1"), "follower")}
    assert said(EARLIER, CANDIDATE, others, strategy=LEADER_LAST, reports=reports) == observed


def test_those_that_go_last_wait_for_one_whose_role_is_not_known() -> None:
    reports = role_of(CANDIDATE, "leader")
    observed = said(EARLIER, CANDIDATE, pods(2), strategy=LEADER_LAST, reports=reports)
    assert observed == "db-0 goes earlier (strategy.order), and is Serving"


@pytest.mark.parametrize(("age", "known"), [(FRESH_SECONDS + TIMEOUT_SECONDS, True), (11, False)])
def test_a_role_is_good_for_a_few_seconds(age: float, known: bool) -> None:
    observed = said(EARLIER, CANDIDATE, strategy=LEADER_LAST, reports=role_of(CANDIDATE, "follower", age))
    assert (observed == "") is known


def test_a_role_of_the_containers_before_is_not_known() -> None:
    reports = role_of(CANDIDATE, "follower")
    assert said(EARLIER, CANDIDATE.restarted(), strategy=LEADER_LAST, reports=reports).startswith("its role is not")


@pytest.mark.parametrize(
    ("observed", "loads"),
    [
        ("", (50, 50, 60)),
        ("the load is 160.5, and 2 pods carry 160 with 20% headroom", (50, 50, 60.5)),
        ("the load is not known: db-1: it said Error", (10, None, 10)),
        ("the load is not known: db-2: not answered yet", (10, 10)),
    ],
)
def test_remaining_capacity_carries_the_load(observed: str, loads: tuple[float | None, ...]) -> None:
    capacity = {"load": LOAD}
    assert said(CARRIES, reports=loads_of(*loads), capacity=capacity) == observed
    assert said(CARRIES, reports=loads_of(*loads)) == ""


def test_whoever_was_chosen_or_has_not_soaked_carries_nothing_and_is_asked() -> None:
    capacity, reports = {"load": {**LOAD, "headroomPercent": 0}}, loads_of(60, 60, 60)
    assert said(CARRIES, reports=reports, capacity=capacity) == ""
    one_less = "the load is 180, and 1 pods carry 100 with 0% headroom"
    assert said(CARRIES, reports=reports, capacity=capacity, chosen=frozenset({"uid-db-0"})) == one_less
    soaking = (a_pod("db-0"), a_pod("db-1").at("v2").serving_since(3))
    assert said(CARRIES, CANDIDATE, soaking, reports=reports, capacity=capacity) == one_less


def test_a_load_is_good_for_a_few_seconds() -> None:
    capacity = {"load": LOAD}
    assert said(CARRIES, reports=loads_of(1, 1, 1, age=FRESH_SECONDS + TIMEOUT_SECONDS), capacity=capacity) == ""
    assert "not known" in said(CARRIES, reports=loads_of(1, 1, 1, age=11), capacity=capacity)


def test_one_answer_may_be_for_all() -> None:
    capacity = {"load": {**LOAD, "call": a_call("/load", "AnyPeer", method="GET")}}
    reports = {"load": load_report(161)}
    assert said(CARRIES, reports=reports, capacity=capacity).startswith("the load is 161, and 2 pods carry 160")


def test_a_scale_down_waits_for_neither_and_a_way_back_not_for_what_is_not_known() -> None:
    capacity = {"load": LOAD}
    assert said(CARRIES, CONDEMNED, pods(3), capacity=capacity) == ""
    assert said(EARLIER, CONDEMNED, pods(3), strategy=LEADER_LAST) == ""
    back = a_pod("db-2").at("v2")
    assert said(CARRIES, back, capacity=capacity, **ABORTED) == ""
    assert said(EARLIER, back, strategy=LEADER_LAST, **ABORTED) == ""
    assert said(CARRIES, back, reports=loads_of(90, 90, 90), capacity=capacity, **ABORTED) != ""


def planned(*present: PodView, target: Any = None, reports: dict[str, Report] | None = None, **spec: Any) -> Plan:
    spec = {"capacity": {"load": LOAD}, "strategy": LEADER_LAST, "membership": None, **spec}
    return decide(a_snapshot(target or a_rolling_set(3), *present, spec=a_spec(**spec), reports=reports), NOW)


def titles_of(plan: Plan) -> list[str]:
    return sorted(f"{ask.title} {ask.request.to[0].name}" for ask in plan.asks)


def test_whoever_waits_to_leave_is_asked_for_its_role_and_all_that_serve_for_their_load() -> None:
    plan = planned(a_pod("db-0"), a_pod("db-1"), a_pod("db-2").at("v2"))
    assert titles_of(plan) == ["load db-0", "load db-1", "load db-2", "role db-0", "role db-1"]
    assert {verdict.name for verdict in plan.waiting.values()} == {EARLIER}
    assert plan.recheck_at == NOW + LOOK_SECONDS


@pytest.mark.parametrize(("target", "spec"), [(SET_AT_REST, {}), (None, {"paused": True})])
def test_nobody_is_asked_while_nobody_may_go(target: Any, spec: dict[str, Any]) -> None:
    assert titles_of(planned(*pods(3), target=target, **spec)) == []


def test_the_leader_comes_last_among_those_that_may_go() -> None:
    reports = {**role_of(a_pod("db-0"), "follower"), **role_of(a_pod("db-1"), "follower")}
    reports |= {**role_of(a_pod("db-2"), "leader"), **loads_of(1, 1, 1)}
    plan = planned(*pods(3), reports=reports)
    assert [action.pod.name for action in plan.actions if hasattr(action, "pod")] == ["db-1"]
