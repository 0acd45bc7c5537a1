"""What benchmarks roll, and how they count and print, without a cluster."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.__main__ import as_json, cases_of, table_of
from bench.cases import Case, build_rollout, build_stateful_set
from bench.measuring import Result, most_away
from bench.metrics import Cost
from bench.reaction import REACTIONS, percentile, reactions_in
from e2e.harness.journal import PODS, STATEFUL_SETS, Change
from statefulrollout.api import names
from statefulrollout.core.validation import parse_spec

ONE = Case(100, 1, 2.0, 1.0, ours=True)


def a_change(name: str, ready: bool, *, gone: bool = False, plural: str = PODS) -> Change:
    status = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    return Change(0.0, "DELETED" if gone else "MODIFIED", plural, {"metadata": {"name": name}, "status": status})


@pytest.mark.parametrize(("budget", "seconds"), [(1, 300), (10, 30), (30, 12)])
def test_the_ideal_is_the_time_of_the_pods_themselves(budget: int, seconds: float) -> None:
    assert Case(100, budget, 2.0, 1.0, ours=True).ideal_seconds == seconds


@pytest.mark.parametrize(
    ("suite", "pods", "found"),
    [
        ("instant", 10, [(10, 1, False), (10, 1, True)]),
        ("instant", 100, [(100, 1, False), (100, 1, True), (100, 10, True)]),
        ("growth", 1500, [(10, 1, True), (100, 10, True), (1000, 100, True)]),
    ],
)
def test_a_suite_is_rollouts_side_by_side(suite: str, pods: int, found: list[tuple[int, int, bool]]) -> None:
    assert [(case.pods, case.budget, case.ours) for case in cases_of(suite, pods)] == found


def test_what_is_rolled_is_what_the_operator_accepts() -> None:
    spec = build_rollout(ONE, "db-7")["spec"]
    assert not isinstance(parse_spec(spec), tuple)
    target = build_stateful_set(ONE, "2", "db-7")
    assert spec["targetRef"]["name"] == target["metadata"]["name"] == "db-7"
    assert target["spec"]["template"]["metadata"]["annotations"] == {
        "bench/version": "2",
        "bench/starts-after": "2000ms",
        "bench/stops-after": "1000ms",
    }


def test_pods_are_away_until_another_one_of_their_name_is_ready_and_each_set_counts_for_itself() -> None:
    changes = [
        a_change("a-0", ready=False),
        a_change("b-0", ready=False),
        a_change("a-0", ready=True, gone=True),
        a_change("a", ready=False, plural=STATEFUL_SETS),
        a_change("b-0", ready=True),
        a_change("b-1", ready=False),
    ]
    assert most_away(changes) == 1
    assert most_away([*changes, a_change("a-1", ready=False)]) == 2
    assert most_away([]) == 0


def test_a_table_has_the_median_and_the_spread_of_each_case() -> None:
    cost = Cost(Counter({"list pods": 300, "create events": 100}), 5.0)
    results = [Result(ONE, seconds, 1, cost) for seconds in (320.0, 310.0, 400.0)]
    line = table_of(results).splitlines()[-1]
    assert line == (
        "| 100 pods (2 s to start, 1 s to stop), budget 1, StatefulRollout | 320.0 (310.0-400.0) | 300 | 1 | 4.0 | 50 |"
    )
    assert as_json(results[0])["idealSeconds"] == 300


def a_moment(name: str, at: float, *true: str) -> Change:
    conditions = [{"type": kind, "status": "True"} for kind in true]
    return Change(at, "MODIFIED", PODS, {"metadata": {"name": name}, "status": {"conditions": conditions}})


def test_a_reaction_lasts_from_what_is_to_be_seen_to_what_is_done() -> None:
    up = ("ContainersReady", names.SERVING, "Ready")
    changes = [
        a_moment("db-1", 0.0, *up),
        a_moment("db-2", 0.0, *up),
        a_moment("db-2", 1.0, "ContainersReady", "Ready"),
        a_moment("db-2", 1.5, "ContainersReady"),
        a_moment("db-2", 1.7, "ContainersReady", names.RELEASED),
        Change(1.8, "DELETED", PODS, {"metadata": {"name": "db-2"}, "status": {}}),
        a_moment("db-2", 2.0, "ContainersReady"),
        a_moment("db-2", 2.1, "ContainersReady", names.SERVING),
        a_moment("db-2", 2.2, *up),
        a_moment("db-1", 2.6, "ContainersReady", "Ready"),
    ]
    found = reactions_in(changes, first=2)
    assert [[round(time, 3) for time in found[kind]] for kind in REACTIONS] == [[0.4], [0.2], [0.1]]


@pytest.mark.parametrize(("percent", "value"), [(50, 2.0), (99, 4.0), (1, 1.0)])
def test_a_percentile_is_one_of_the_values(percent: float, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == value


def test_what_something_cost_is_the_difference_of_two_looks() -> None:
    before, after = Cost(Counter({"get pods": 2}), 1.0), Cost(Counter({"get pods": 5, "list pods": 1}), 1.5)
    assert after.since(before) == Cost(Counter({"get pods": 3, "list pods": 1}), 0.5)
