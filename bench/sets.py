"""Sets with StatefulRollouts over them that are there before anything is measured, and how many are rolled at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from bench.cases import Case, build_rollout, build_stateful_set
from bench.cluster import LONGEST_SECONDS, Cluster
from bench.figures import assert_within_budget
from bench.measuring import most_away
from bench.metrics import Cost, read_cost
from e2e.harness.completion import is_accepted
from e2e.harness.journal import ROLLOUTS, STATEFUL_SETS, Journal
from e2e.harness.kubectl import list_of
from statefulrollout.api import names

PODS_OF_A_SET = 50
SETS_OF_A_NAMESPACE = 20
CASE = Case(PODS_OF_A_SET, PODS_OF_A_SET // 10, 0.0, 0.0, ours=True)
"""What each of many sets is."""


@contextmanager
def many_sets(cluster: Cluster, pods: int) -> Iterator[dict[str, Sequence[str]]]:
    """So many pods in sets of 50, at least one set, all serving: the names of the sets by their namespace."""
    sets = [f"db-{number}" for number in range(max(1, pods // PODS_OF_A_SET))]
    spaces: dict[str, Sequence[str]] = {}
    try:
        for start in range(0, len(sets), SETS_OF_A_NAMESPACE):
            spaces[cluster.namespaces.create("bench-many")] = sets[start : start + SETS_OF_A_NAMESPACE]
        for namespace, some in spaces.items():
            apply_sets(cluster, namespace, CASE, some)
        for namespace in spaces:
            await_sets(cluster, namespace)
        yield spaces
    finally:
        for namespace in spaces:
            cluster.namespaces.delete(namespace)
        cluster.namespaces.await_gone(LONGEST_SECONDS)


def apply_sets(cluster: Cluster, namespace: str, case: Case, sets: Sequence[str]) -> None:
    """Make these sets, each with its StatefulRollout."""
    objects = [build(case, name=name) for name in sets for build in (build_rollout, build_stateful_set)]
    cluster.kubectl.run("apply", "-n", namespace, "-f", "-", stdin=list_of(objects))


def await_sets(cluster: Cluster, namespace: str) -> None:
    """Wait until every StatefulRollout of the namespace is ready. Raises CommandFailedError."""
    ready = ["wait", "--for=condition=Ready", "-n", namespace, "--all", f"{names.PLURAL}.{names.GROUP}"]
    cluster.kubectl.run(*ready, f"--timeout={LONGEST_SECONDS:.0f}s", seconds=LONGEST_SECONDS + 10)


@dataclass(frozen=True)
class Rolled:
    """A rollout of many sets at the same time: how long it took, and what it cost each operator."""

    seconds: float
    costs: Sequence[Cost]
    most_away: int


def roll_sets(operators: Sequence[Cluster], spaces: Mapping[str, Sequence[str]], version: str = "2") -> Rolled:
    """Roll all sets of these namespaces; `operators` are the cluster as each of them has it.

    Raises AssertionError: a budget is exceeded.
    """
    cluster = operators[0]
    with ExitStack() as stack:
        journals = [(stack.enter_context(Journal(cluster.api, namespace)), sets) for namespace, sets in spaces.items()]
        marks = [len(journal.changes) for journal, _ in journals]
        before, began = [read_cost(each) for each in operators], time.monotonic()
        for journal, sets in journals:
            changed = list_of([build_stateful_set(CASE, version=version, name=name) for name in sets])
            cluster.kubectl.run("apply", "-n", journal.namespace, "-f", "-", stdin=changed)
        for journal, sets in journals:
            over = partial(are_accepted, journal, sets)
            journal.wait("all sets to be rolled out", over, LONGEST_SECONDS, lambda: f"{len(journals)} namespaces roll")
        seconds = time.monotonic() - began
        costs = [read_cost(each).since(cost) for each, cost in zip(operators, before, strict=True)]
        away = [most_away(journal.history()[mark:]) for (journal, _), mark in zip(journals, marks, strict=True)]
    assert_within_budget(CASE.budget, max(away))
    return Rolled(seconds, costs, max(away))


def are_accepted(journal: Journal, sets: Sequence[str]) -> bool:
    """Whether the revision of every one of these sets is."""
    found = ((journal.find(STATEFUL_SETS, name) or {}, journal.find(ROLLOUTS, name) or {}) for name in sets)
    return all(is_accepted(target, rollout) for target, rollout in found)
