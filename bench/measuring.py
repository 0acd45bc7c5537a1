"""One rollout of one set of simulated pods, timed from outside; and what the operator says that it cost."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.cases import NAME, Case, build_rollout, build_stateful_set
from bench.cluster import Cluster
from bench.legs import legs_in
from bench.metrics import Cost, read_api_server_cpu, read_cost
from e2e.harness.completion import is_rolled_out
from e2e.harness.journal import PODS, ROLLOUTS, STATEFUL_SETS, Change, Journal
from e2e.harness.kubectl import list_of
from e2e.harness.pods import Pod

PATIENCE = 20
"""How many times its ideal a rollout may take, or seconds for each batch, or for ten pods; and a minute beside."""


@dataclass(frozen=True)
class Result:
    """How long it took until every pod served at the new revision, and the most pods that were away at once.

    `legs` are in seconds, by what each ended with; none where pods went side by side. `cost` is the operator's, None
    where Kubernetes rolled alone.
    """

    case: Case
    seconds: float
    most_away: int
    cost: Cost | None
    legs: Mapping[str, Sequence[float]] = field(default_factory=dict)
    api_server_cpu_seconds: float = 0.0


def measure(cluster: Cluster, namespace: str, case: Case) -> Result:
    """Make the set, change its template, and wait for the last pod. Raises NotSeenError."""
    with Journal(cluster.api, namespace) as journal:
        make(cluster, journal, case)
        return roll(cluster, journal, case, version="2")


def make(cluster: Cluster, journal: Journal, case: Case) -> None:
    """Make the set, and wait until all its pods serve. Raises NotSeenError."""
    objects = [build_stateful_set(case), *([build_rollout(case)] if case.ours else [])]
    cluster.kubectl.run("apply", "-n", journal.namespace, "-f", "-", stdin=list_of(objects))
    journal.wait("all pods to serve", lambda: _is_settled(journal, case),
                 60 + PATIENCE * (1 + case.starts_after + case.pods / 10), lambda: _describe(journal))  # fmt: skip


def roll(cluster: Cluster, journal: Journal, case: Case, version: str) -> Result:
    """Change the template of a set that serves, and wait for the last pod. Raises NotSeenError."""
    patience = 60 + PATIENCE * max(case.ideal_seconds, case.pods / min(case.budget, 10))
    old = {pod.uid for pod in _pods(journal)}
    before, mark = read_cost(cluster) if case.ours else None, len(_history(journal))
    api_server_before, began = read_api_server_cpu(cluster), time.monotonic()
    changed = list_of([build_stateful_set(case, version)])
    cluster.kubectl.run("apply", "-n", journal.namespace, "-f", "-", stdin=changed)
    journal.wait("all pods to serve anew", lambda: _serving(journal, old) == case.pods, patience,
                 lambda: _describe(journal))  # fmt: skip
    seconds = time.monotonic() - began
    if case.ours:
        journal.wait("the rollout to say that it is over", lambda: _is_settled(journal, case), 60,
                     lambda: _describe(journal))  # fmt: skip
    api_server_cpu = read_api_server_cpu(cluster) - api_server_before
    cost = read_cost(cluster).since(before) if before else None
    history = _history(journal)
    legs = legs_in(history, mark) if case.budget == 1 else {}
    return Result(case, seconds, most_away(history[mark:]), cost, legs, api_server_cpu)


def most_away(changes: Iterable[Change]) -> int:
    """The most pods of one set without a ready one at any moment; before these changes there was one for each."""
    away, most = defaultdict[str, set[str]](set), 0
    for change in changes:
        if change.plural == PODS:
            serves = not change.gone and Pod(change.item).ready
            missing = away[change.name.rpartition("-")[0]]
            (missing.discard if serves else missing.add)(change.name)
            most = max(most, len(missing))
    return most


def _history(journal: Journal) -> list[Change]:
    """What happened to the set and its pods, beside whatever else is in the namespace."""
    return [change for change in journal.history() if change.plural != PODS or _is_ours(change.name)]


def _pods(journal: Journal) -> list[Pod]:
    return [pod for pod in map(Pod, journal.items(PODS)) if _is_ours(pod.name)]


def _is_ours(pod: str) -> bool:
    return pod.rpartition("-")[0] == NAME


def _serving(journal: Journal, except_for: Collection[str] = ()) -> int:
    return sum(pod.ready and pod.uid not in except_for for pod in _pods(journal))


def _is_settled(journal: Journal, case: Case) -> bool:
    target, rollout = journal.find(STATEFUL_SETS, NAME) or {}, journal.find(ROLLOUTS, NAME) or {}
    return is_rolled_out(target, _pods(journal), rollout if case.ours else None)


def _describe(journal: Journal) -> str:
    rollout = journal.find(ROLLOUTS, NAME)
    said = (rollout or {}).get("status", {}).get("message", "nothing")
    return f"{_serving(journal)} pods serve; the StatefulRollout says: {said}"
