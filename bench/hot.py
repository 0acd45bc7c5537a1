"""A set whose pods flap, and beside it another one that is rolled: by us, and by Kubernetes alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
    """Figures as they come, for sets of so many instant pods each. Raises AssertionError."""
    hot = [f"{NAME}-{number}" for number in range(pods)]
    ours, native = (Case(pods, 1, 0.0, 0.0, ours=each) for each in (True, False))
    with cluster.namespace("bench-hot") as namespace:
        apply_sets(cluster, namespace, ours, [NAME])
        await_sets(cluster, namespace)
        yield _flap_alone(cluster, namespace, hot)
        rolled = _rolled_beside(cluster, ours, namespace, Flapping(cluster.api, namespace, hot))
        yield {
            **_compared(rolled),
            "aloneCpuMillisecondsPerPod": sum(map(_cpu_milliseconds, rolled.alone)) / len(rolled.alone),
            "besideCpuMillisecondsPerPod": _cpu_milliseconds(rolled.beside),
            "besideFlapsPerSecond": rolled.flaps / rolled.beside.seconds,
        }
        with cluster.namespace("bench-native") as other:
            compared = _compared(_rolled_beside(cluster, native, other, Flapping(cluster.api, namespace, hot)))
        yield {f"native{name[0].upper()}{name[1:]}": value for name, value in compared.items()}


@dataclass(frozen=True)
class _Rolled:
    """The same set rolled beside pods that flap, before, and after; `flaps` is how often they did meanwhile.

    What warms up, and a machine that slows down, favour neither.
    """

    alone: Sequence[Result]
    beside: Result
    flaps: float


def _rolled_beside(cluster: Cluster, case: Case, namespace: str, flapping: Flapping) -> _Rolled:
    with Journal(cluster.api, namespace) as journal:
        make(cluster, journal, case)
        before = _roll(cluster, journal, case, version="2")
        with flapping:
            beside, flaps = _roll(cluster, journal, case, version="3"), flapping.flaps
        return _Rolled((before, _roll(cluster, journal, case, version="4")), beside, flaps)


def _roll(cluster: Cluster, journal: Journal, case: Case, version: str) -> Result:
    result = roll(cluster, journal, case, version)
    assert_within_budget(case.budget, result.most_away)
    return result


def _compared(rolled: _Rolled) -> Figures:
    alone = sum(result.seconds for result in rolled.alone) / len(rolled.alone)
    return {
        "aloneSeconds": alone,
        "besideSeconds": rolled.beside.seconds,
        "timesAlone": rolled.beside.seconds / alone,
    }


def _cpu_milliseconds(result: Result) -> float:
    assert result.cost is not None
    return 1000 * result.cost.cpu_seconds / result.case.pods


def _flap_alone(cluster: Cluster, namespace: str, pods: Sequence[str]) -> Figures:
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
