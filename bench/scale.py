"""Many sets at once: until a fresh operator has seen them all, what it uses at rest, and when many roll."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from bench.cluster import LONGEST_SECONDS, Cluster
from bench.figures import Figures
from bench.metrics import read_cost, read_gauges, read_memory_mib
from bench.sets import PODS_OF_A_SET, many_sets, roll_sets

AT_REST_SECONDS = 60.0
_LOOK_SECONDS = 0.5


def measure_scale(cluster: Cluster, pods: int) -> Iterator[Figures]:
    """Figures as they come, for so many pods in sets of 50. Raises AssertionError: a budget is exceeded."""
    with many_sets(cluster, pods) as spaces:
        sets = sum(map(len, spaces.values()))
        yield {"sets": sets, "pods": sets * PODS_OF_A_SET}
        yield _start_up(cluster, sets)
        yield _rest(cluster)
        first, rolled = next(iter(spaces.items()))
        yield _roll(cluster, first, rolled)


def _start_up(cluster: Cluster, sets: int) -> Figures:
    """From the start of a process until it has looked at every set and has nothing left to do."""
    cluster.installation.stop()
    cluster.installation.start()
    gauges = _once_idle(cluster, sets)
    return {
        "startUpSeconds": time.time() - gauges["process_start_time_seconds"],
        "startUpCpuSeconds": gauges["process_cpu_seconds_total"],
    }


def _once_idle(cluster: Cluster, passes: int) -> dict[str, float]:
    """The metrics once there were so many passes and none is waited for."""
    give_up_at = time.monotonic() + LONGEST_SECONDS
    while True:
        gauges = read_gauges(cluster)
        if gauges["statefulrollout_reconciles_total"] >= passes and not gauges["statefulrollout_queue_depth"]:
            return gauges
        assert time.monotonic() < give_up_at, f"the operator does not come to rest: {gauges}"
        time.sleep(_LOOK_SECONDS)


def _rest(cluster: Cluster) -> Figures:
    """What it uses while nothing happens."""
    before, began = read_cost(cluster), time.monotonic()
    time.sleep(AT_REST_SECONDS)
    used, seconds = read_cost(cluster).since(before), time.monotonic() - began
    return {
        "restCpuPercent": 100 * used.cpu_seconds / seconds,
        "restRequestsPerSecond": used.requests.total() / seconds,
        "restMemoryMiB": read_memory_mib(cluster),
    }


def _roll(cluster: Cluster, namespace: str, sets: Sequence[str]) -> Figures:
    """All sets of one namespace at the same time, beside all others at rest."""
    pods, rolled = len(sets) * PODS_OF_A_SET, roll_sets([cluster], {namespace: sets})
    (used,) = rolled.costs
    return {
        "rolledSets": len(sets),
        "rollSeconds": rolled.seconds,
        "rollCpuMillisecondsPerPod": 1000 * used.cpu_seconds / pods,
        "rollRequestsPerPod": used.asked / pods,
        "rollMostAway": rolled.most_away,
        "rolledMemoryMiB": read_memory_mib(cluster),
    }
