"""What single rollouts took and cost: their figures, and the table."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from bench.cases import Case
from bench.found import Found
from bench.measuring import Result
from bench.metrics import Cost
from bench.tables import figures_by_title, figures_of, table_of

ONE = Case(100, 1, 2.0, 1.0, ours=True)
ALONE = replace(ONE, ours=False)
COST = Cost(Counter({"list pods": 300, "create events": 100}), 5.0, Counter({"list pods": 204800}))


def test_the_figures_of_a_rollout_are_by_pod_and_by_the_ideal() -> None:
    figures = figures_of(Result(ONE, 330.0, 1, COST, api_server_cpu_seconds=2.0))
    assert figures == {
        "pods": 100,
        "seconds": 330.0,
        "mostAway": 1,
        "timesIdeal": 1.1,
        "requestsPerPod": 3.0,
        "cpuMillisecondsPerPod": 50.0,
        "apiServerCpuMillisecondsPerPod": 20.0,
        "receivedKiBPerPod": 2.0,
    }


def test_an_operator_that_counts_no_bytes_has_no_figure_of_them() -> None:
    assert "receivedKiBPerPod" not in figures_of(Result(ONE, 330.0, 1, replace(COST, received=Counter())))


def test_ours_is_compared_with_kubernetes_alone_by_medians() -> None:
    ours = [Result(ONE, seconds, 1, COST, api_server_cpu_seconds=4.0) for seconds in (330.0, 320.0, 900.0)]
    alone = [Result(ALONE, seconds, 1, None, api_server_cpu_seconds=2.0) for seconds in (300.0, 300.0, 10.0)]
    figures = figures_by_title([*alone, *ours, Result(replace(ONE, budget=10), 1.0, 1, COST)])
    assert figures[ONE.title]["timesNative"] == pytest.approx(1.1)
    assert figures[ONE.title]["apiServerCpuTimesNative"] == 2
    assert [title for title, each in figures.items() if "timesNative" in each] == [ONE.title]


def test_a_table_has_the_median_and_the_spread_of_each_case() -> None:
    ours = [Result(ONE, seconds, 1, COST, api_server_cpu_seconds=2.0) for seconds in (320.0, 310.0, 400.0)]
    line = table_of([*ours, Result(ALONE, 310.0, 1, None, api_server_cpu_seconds=1.0)]).splitlines()[2]
    assert line == (
        "| 100 pods (2 s to start, 1 s to stop), budget 1, StatefulRollout | 320.0 (310.0-400.0) | 300 | 1.03 | 1 "
        "| 3.0 | 2.0 | 50.0 | 20.0 |"
    )


def test_a_table_says_what_the_api_server_did_not_allow() -> None:
    rows = table_of([Result(ONE, 320.0, 1, COST)], [replace(ALONE, budget=10)]).splitlines()
    assert "budget 10, native | not measured: the API server keeps no maxUnavailable" in rows[-1]
    assert len({row.count("|") for row in rows}) == 1


def test_a_run_has_the_medians_of_all_suites_and_knows_who_took_too_many() -> None:
    found = Found()
    found.results["lifelike"] = [Result(ONE, 320.0, 2, COST), Result(ALONE, 300.0, 2, None, api_server_cpu_seconds=1)]
    for seconds in (1.0, 2.0, 9.0):
        found.add("hooks", "200 pods", {"seconds": seconds})
    assert found.figures()["hooks"] == {"200 pods": {"seconds": 2.0}}
    assert set(found.figures()["lifelike"]) == {ONE.title, ALONE.title}
    assert found.exceeded() == [ONE.title]
