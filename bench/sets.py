"""Sets with StatefulRollouts over them that are there before anything is measured, few or many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.cases import Case, build_rollout, build_stateful_set
from bench.cluster import LONGEST_SECONDS, Cluster
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


def are_accepted(journal: Journal, sets: Sequence[str]) -> bool:
    """Whether the revision of every one of these sets is."""
    found = ((journal.find(STATEFUL_SETS, name) or {}, journal.find(ROLLOUTS, name) or {}) for name in sets)
    return all(is_accepted(target, rollout) for target, rollout in found)
