"""All sets roll at the same time: under one operator, and under two of which each looks at half of the namespaces."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from bench.cases import build_stateful_set
from bench.cluster import LONGEST_SECONDS, Cluster
from bench.figures import Figures, assert_within_budget
from bench.measuring import most_away
from bench.metrics import read_cost, read_gauges
from bench.sets import CASE, PODS_OF_A_SET, are_accepted, many_sets
from e2e.harness.installation import Installation
from e2e.harness.journal import Journal
from e2e.harness.kubectl import list_of

SECOND = "statefulrollout-2"
Spaces = Mapping[str, Sequence[str]]
"""Names of sets by their namespace."""


def measure_shards(cluster: Cluster, pods: int) -> Iterator[Figures]:
    """Figures as they come, for so many pods in sets of 50. Raises AssertionError: a budget is exceeded."""
    with many_sets(cluster, pods) as spaces:
        assert len(spaces) > 1, "to be shared between two operators, sets must be in more than one namespace"
        yield {"sets": sum(map(len, spaces.values())), "namespaces": len(spaces)}
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
            second.await_ready()
            yield [cluster, replace(cluster, installation=second)]
        finally:
            second.uninstall()
            cluster.namespaces.delete(SECOND)


def _roll(clusters: Sequence[Cluster], spaces: Spaces, version: str) -> Figures:
    """All sets at the same time; of what the operators used, the most that one of them did."""
    cluster = clusters[0]
    with ExitStack() as stack:
        journals = [(stack.enter_context(Journal(cluster.api, namespace)), sets) for namespace, sets in spaces.items()]
        marks = [len(journal.changes) for journal, _ in journals]
        before, began = [read_cost(each) for each in clusters], time.monotonic()
        for journal, sets in journals:
            changed = list_of([build_stateful_set(CASE, version=version, name=name) for name in sets])
            cluster.kubectl.run("apply", "-n", journal.namespace, "-f", "-", stdin=changed)
        for journal, sets in journals:
            over = partial(are_accepted, journal, sets)
            journal.wait("all sets to be rolled out", over, LONGEST_SECONDS, lambda: f"{len(journals)} namespaces roll")
        seconds = time.monotonic() - began
        used = [read_cost(each).since(cost).cpu_seconds for each, cost in zip(clusters, before, strict=True)]
        for (journal, _), mark in zip(journals, marks, strict=True):
            assert_within_budget(CASE.budget, most_away(journal.history()[mark:]))
    memory = [read_gauges(each)["process_resident_memory_bytes"] / 2**20 for each in clusters]
    return {
        "Seconds": seconds,
        "CpuPercentOfTheBusiest": 100 * max(used) / seconds,
        "CpuMillisecondsPerPod": 1000 * sum(used) / (sum(map(len, spaces.values())) * PODS_OF_A_SET),
        "MemoryMiBOfTheLargest": max(memory),
    }
