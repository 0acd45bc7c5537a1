"""What benchmarks roll, and how they count and print, without a cluster."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench.cases import Case, build_rollout, build_stateful_set, keeps_batches
from bench.figures import assert_within_budget, medians_of
from bench.legs import LEGS, legs_in, percentile
from bench.measuring import most_away
from bench.metrics import Cost, cost_of, cpu_seconds_in
from bench.suites import MEASURES, SIZES, cases_of
from e2e.harness.journal import PODS, STATEFUL_SETS, Change
from e2e.harness.kubectl import Kubectl
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
        ("instant", 100, [(100, 1, False), (100, 1, True), (100, 10, False), (100, 10, True)]),
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


def test_kubernetes_alone_is_asked_for_the_same_batches() -> None:
    one, many = replace(ONE, ours=False), replace(ONE, ours=False, budget=10)
    assert "updateStrategy" not in build_stateful_set(replace(ONE, budget=10))["spec"]
    assert "updateStrategy" not in build_stateful_set(one)["spec"]
    assert build_stateful_set(many)["spec"]["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 10}


@dataclass(frozen=True)
class OneApiServer(Kubectl):
    """Answers a dry run with what it keeps of the update strategy."""

    kept: dict[str, int]

    def run(self, *args: str, stdin: str | None = None, seconds: float = 0.0) -> str:
        assert "--dry-run=server" in args
        return json.dumps({"spec": {"updateStrategy": {"rollingUpdate": self.kept}}})


@pytest.mark.parametrize("kept", [{"partition": 0}, {"partition": 0, "maxUnavailable": 2}])
def test_an_api_server_says_itself_whether_it_lets_kubernetes_take_many(kept: dict[str, int]) -> None:
    assert keeps_batches(OneApiServer(Path(), Path(), kept)) == ("maxUnavailable" in kept)


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


def test_the_figures_of_repetitions_are_medians_of_those_that_have_them() -> None:
    assert medians_of([{"a": 1.0, "b": 7.0}, {"a": 5.0}, {"a": 2.0}]) == {"a": 2.0, "b": 7.0}


def test_more_pods_away_than_may_be_fails_a_benchmark() -> None:
    assert_within_budget(5, 5)
    with pytest.raises(AssertionError, match="6 pods of a set were away, 5 may be"):
        assert_within_budget(5, 6)


def test_every_suite_has_a_size_and_something_to_measure() -> None:
    assert set(MEASURES) < set(SIZES)
    assert all(list(cases_of(suite, size.pods)) for suite, size in SIZES.items() if suite not in MEASURES)


def a_moment(name: str, at: float, *true: str) -> Change:
    conditions = [{"type": kind, "status": "True"} for kind in true]
    return Change(at, "MODIFIED", PODS, {"metadata": {"name": name}, "status": {"conditions": conditions}})


def test_a_leg_lasts_from_the_end_of_the_one_before_to_its_own() -> None:
    up = ("ContainersReady", names.SERVING, "Ready")
    changes = [
        a_moment("db-1", 0.0, *up),
        a_moment("db-2", 0.0, *up),
        a_moment("db-2", 1.0, "ContainersReady", "Ready"),
        a_moment("db-2", 1.5, "ContainersReady"),
        a_moment("db-2", 1.7, "ContainersReady", names.RELEASED),
        Change(1.71, "MODIFIED", STATEFUL_SETS, {"metadata": {"name": "db"}}),
        Change(1.73, "MODIFIED", PODS, {"metadata": {"name": "db-2", "deletionTimestamp": "now"}, "status": {}}),
        Change(1.8, "DELETED", PODS, {"metadata": {"name": "db-2"}, "status": {}}),
        a_moment("db-2", 2.0, "ContainersReady"),
        a_moment("db-2", 2.1, "ContainersReady", names.SERVING),
        a_moment("db-2", 2.2, *up),
        a_moment("db-1", 2.6, "ContainersReady", "Ready"),
    ]
    found = legs_in(changes, first=2)
    milliseconds = [[round(1000 * time) for time in found[leg]] for leg in LEGS]
    assert milliseconds == [[400], [500], [200], [30], [70], [200], [0], [100], [100]]


@pytest.mark.parametrize(("percent", "value"), [(50, 2.0), (99, 4.0), (1, 1.0)])
def test_a_percentile_is_one_of_the_values(percent: float, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == value


def test_what_something_cost_is_the_difference_of_two_looks() -> None:
    before, after = Cost(Counter({"get pods": 2}), 1.0), Cost(Counter({"get pods": 5, "list pods": 1}), 1.5)
    assert after.since(before) == Cost(Counter({"get pods": 3, "list pods": 1}), 0.5)


METRICS = """
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.5
# TYPE statefulrollout_api_requests_total counter
statefulrollout_api_requests_total{code="200",resource="pods",verb="list"} 2.0
statefulrollout_api_requests_total{code="410",resource="pods",verb="list"} 1.0
"""
BYTES = """# TYPE statefulrollout_api_received_bytes_total counter
statefulrollout_api_received_bytes_total{resource="pods",verb="list"} 4096.0
"""


def cost_in(text: str) -> Cost:
    return cost_of(sample for family in text_string_to_metric_families(text) for sample in family.samples)


def test_what_the_operator_cost_is_in_its_metrics() -> None:
    assert cost_in(METRICS) == Cost(Counter({"list pods": 3}), 1.5)
    assert cost_in(METRICS + BYTES).received == Counter({"list pods": 4096})


def test_the_cpu_time_of_the_api_server_is_one_line_of_its_metrics() -> None:
    assert cpu_seconds_in("# HELP process_cpu_seconds_total CPU\nprocess_cpu_seconds_total 12.25\nup 1\n") == 12.25
    with pytest.raises(AssertionError):
        cpu_seconds_in("up 1")
