"""All sets roll at the same time: under one operator, and under two of which each looks at half of the namespaces.

All three are fresh ones: what an operator held once is not always given back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bench.cluster import Cluster
from bench.figures import Figures
from bench.metrics import read_memory_mib
from bench.sets import PODS_OF_A_SET, many_sets, roll_sets
from e2e.harness.installation import Installation

SECOND = "statefulrollout-2"
Spaces = Mapping[str, Sequence[str]]
"""Names of sets by their namespace."""


def measure_shards(cluster: Cluster, pods: int) -> Iterator[Figures]:
    """Figures as they come, for so many pods in sets of 50. Raises AssertionError: a budget is exceeded."""
    with many_sets(cluster, pods) as spaces:
        assert len(spaces) > 1, "to be shared between two operators, sets must be in more than one namespace"
        yield {"sets": sum(map(len, spaces.values())), "namespaces": len(spaces)}
        cluster.installation.stop()
        cluster.installation.start()
        yield {f"one{name}": figure for name, figure in _roll([cluster], spaces, "2").items()}
        with _shared(cluster, spaces) as clusters:
            yield {f"two{name}": figure for name, figure in _roll(clusters, spaces, "3").items()}


@contextmanager
def _shared(cluster: Cluster, spaces: Spaces) -> Iterator[list[Cluster]]:
    """The cluster as each of two operators has it."""
    half = [*spaces][::2]
    second = Installation(cluster.kubectl, SECOND)
    with cluster.installation.confined_to(*half):
        try:
            second.ensure(namespaces=[name for name in spaces if name not in half])
            yield [cluster, replace(cluster, installation=second)]
        finally:
            second.uninstall()
            cluster.namespaces.delete(SECOND)


def _roll(operators: Sequence[Cluster], spaces: Spaces, version: str) -> Figures:
    """All sets at the same time; of what the operators used, the most that one of them did."""
    rolled = roll_sets(operators, spaces, version)
    used = [cost.cpu_seconds for cost in rolled.costs]
    return {
        "Seconds": rolled.seconds,
        "CpuPercentOfTheBusiest": 100 * max(used) / rolled.seconds,
        "CpuMillisecondsPerPod": 1000 * sum(used) / (sum(map(len, spaces.values())) * PODS_OF_A_SET),
        "MemoryMiBOfTheLargest": max(map(read_memory_mib, operators)),
    }
