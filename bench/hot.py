"""A set whose pods flap, and beside it, in the same namespace, another one that is rolled."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.cases import Case
from bench.cluster import Cluster
from bench.figures import Figures, assert_within_budget
from bench.flapping import Flapping
from bench.measuring import Result, make, roll
from bench.metrics import read_cost, read_gauges
from bench.sets import apply_sets, await_sets
from e2e.harness.journal import Journal

NAME = "hot"
ALONE_SECONDS = 30.0
"""How long the pods flap while nothing is rolled."""
_PASSES = "statefulrollout_reconciles_total"


def measure_hot(cluster: Cluster, pods: int) -> Iterator[Figures]:
    """Figures as they come, for two sets of so many instant pods each. Raises AssertionError.

    The other set is rolled alone before and after it is rolled beside the flapping one: what warms up, and a machine
    that slows down, favour neither.
    """
    case = Case(pods, 1, 0.0, 0.0, ours=True)
    with cluster.namespace("bench-hot") as namespace, Journal(cluster.api, namespace) as journal:
        apply_sets(cluster, namespace, case, [NAME])
        await_sets(cluster, namespace)
        make(cluster, journal, case)
        hot = [f"{NAME}-{number}" for number in range(pods)]
        yield _flap_alone(cluster, namespace, hot)
        before = _rolled(cluster, journal, case, version="2")
        with Flapping(cluster.api, namespace, hot) as flapping:
            beside, flaps = _rolled(cluster, journal, case, version="3"), flapping.flaps
        after = _rolled(cluster, journal, case, version="4")
    alone = (before.seconds + after.seconds) / 2
    yield {
        "aloneSeconds": alone,
        "besideSeconds": beside.seconds,
        "timesAlone": beside.seconds / alone,
        "aloneCpuMillisecondsPerPod": (_cpu_milliseconds(before) + _cpu_milliseconds(after)) / 2,
        "besideCpuMillisecondsPerPod": _cpu_milliseconds(beside),
        "besideFlapsPerSecond": flaps / beside.seconds,
    }


def _rolled(cluster: Cluster, journal: Journal, case: Case, version: str) -> Result:
    result = roll(cluster, journal, case, version)
    assert_within_budget(case.budget, result.most_away)
    return result


def _cpu_milliseconds(result: Result) -> float:
    assert result.cost is not None
    return 1000 * result.cost.cpu_seconds / result.case.pods


def _flap_alone(cluster: Cluster, namespace: str, pods: list[str]) -> Figures:
    """What one flap costs the operator while it has nothing else to do."""
    before, passes_before, began = read_cost(cluster), read_gauges(cluster)[_PASSES], time.monotonic()
    with Flapping(cluster.api, namespace, pods) as flapping:
        time.sleep(ALONE_SECONDS)
    seconds, flaps = time.monotonic() - began, flapping.flaps
    used, passes = read_cost(cluster).since(before), read_gauges(cluster)[_PASSES] - passes_before
    return {
        "flapsPerSecond": flaps / seconds,
        "requestsPerFlap": used.asked / flaps,
        "passesPerFlap": passes / flaps,
        "cpuMillisecondsPerFlap": 1000 * used.cpu_seconds / flaps,
        "flappingCpuPercent": 100 * used.cpu_seconds / seconds,
    }
