"""One rollout of one set of simulated pods, timed from outside; and what the operator says that it cost."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from bench.fake_nodes import MARK, TAINT
from e2e.harness.api import Api, pod_path
from e2e.harness.completion import is_rolled_out
from e2e.harness.installation import NAMESPACE, Installation
from e2e.harness.journal import PODS, ROLLOUTS, STATEFUL_SETS, Change, Journal
from e2e.harness.kubectl import Json, Kubectl, list_of
from e2e.harness.pods import Pod
from statefulrollout.api import names

NAME = "db"
METRICS_PORT = 8080
PATIENCE = 20
"""How many times its ideal a rollout may take, or seconds for each batch if those are more; and a minute beside."""


@dataclass(frozen=True)
class Case:
    """A rollout to be measured; `budget` is how many pods may be away, times are those of one pod in seconds."""

    pods: int
    budget: int
    starts_after: float
    stops_after: float
    ours: bool

    @property
    def title(self) -> str:
        """The case in words."""
        pace = f"{self.starts_after:g} s to start, {self.stops_after:g} s to stop" if self.starts_after else "instant"
        return f"{self.pods} pods ({pace}), budget {self.budget}, {'StatefulRollout' if self.ours else 'native'}"

    @property
    def ideal_seconds(self) -> float:
        """The pods' own time under the budget, were nothing else to do."""
        return math.ceil(self.pods / self.budget) * (self.starts_after + self.stops_after)


@dataclass(frozen=True)
class Cost:
    """What the operator has used since it started."""

    requests: Counter[str]
    cpu_seconds: float

    def since(self, before: Cost) -> Cost:
        """The difference of two looks."""
        return Cost(self.requests - before.requests, self.cpu_seconds - before.cpu_seconds)


@dataclass(frozen=True)
class Result:
    """How long it took until every pod served at the new revision, and the most pods that were away at once."""

    case: Case
    seconds: float
    most_away: int
    cost: Cost | None


def measure(kubectl: Kubectl, api: Api, installation: Installation, namespace: str, case: Case) -> Result:
    """Make the set, change its template, and wait for the last pod. Raises NotSeenError."""
    patience = 60 + PATIENCE * max(case.ideal_seconds, case.pods / case.budget)
    with Journal(api, namespace) as journal:
        objects = [_stateful_set(case), *([_rollout(case)] if case.ours else [])]
        kubectl.run("apply", "-n", namespace, "-f", "-", stdin=list_of(objects))
        journal.wait("all pods to serve", lambda: _is_settled(journal, case),
                     60 + PATIENCE * (1 + case.starts_after + case.pods / 10), lambda: _describe(journal))  # fmt: skip
        old = {pod.uid for pod in _pods(journal)}
        before, mark = read_cost(kubectl, installation) if case.ours else None, len(journal.changes)
        began = time.monotonic()
        kubectl.run("apply", "-n", namespace, "-f", "-", stdin=list_of([_stateful_set(case, version="2")]))
        journal.wait("all pods to serve anew", lambda: _serving(journal, old) == case.pods, patience,
                     lambda: _describe(journal))  # fmt: skip
        seconds = time.monotonic() - began
        if case.ours:
            journal.wait("the rollout to say that it is over", lambda: _is_settled(journal, case), 60,
                         lambda: _describe(journal))  # fmt: skip
        cost = read_cost(kubectl, installation).since(before) if before else None
        return Result(case, seconds, _most_away(journal.history()[mark:]), cost)


def read_cost(kubectl: Kubectl, installation: Installation) -> Cost:
    """Ask the leader for its metrics."""
    pod = installation.leader()["metadata"]["name"]
    path = pod_path(NAMESPACE, pod, METRICS_PORT, "/metrics")
    requests, cpu = Counter[str](), 0.0
    for family in text_string_to_metric_families(kubectl.run("get", "--raw", path)):
        for sample in family.samples:
            if sample.name == "statefulrollout_api_requests_total":
                requests[f"{sample.labels['verb']} {sample.labels['resource']}"] += int(sample.value)
            elif sample.name == "process_cpu_seconds_total":
                cpu = sample.value
    return Cost(requests, cpu)


def _pods(journal: Journal) -> list[Pod]:
    return [Pod(raw) for raw in journal.items(PODS)]


def _serving(journal: Journal, except_for: Collection[str] = ()) -> int:
    return sum(pod.ready and pod.uid not in except_for for pod in _pods(journal))


def _is_settled(journal: Journal, case: Case) -> bool:
    target, rollout = journal.find(STATEFUL_SETS, NAME) or {}, journal.find(ROLLOUTS, NAME) or {}
    return is_rolled_out(target, _pods(journal), rollout if case.ours else None)


def _most_away(changes: Iterable[Change]) -> int:
    """The most ordinals without a ready pod at any moment; before these changes there was one for each."""
    away, most = set[str](), 0
    for change in changes:
        if change.plural == PODS:
            serves = not change.gone and Pod(change.item).ready
            (away.discard if serves else away.add)(change.name)
            most = max(most, len(away))
    return most


def _describe(journal: Journal) -> str:
    rollout = journal.find(ROLLOUTS, NAME)
    said = (rollout or {}).get("status", {}).get("message", "nothing")
    return f"{_serving(journal)} pods serve; the StatefulRollout says: {said}"


def _rollout(case: Case) -> Json:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": NAME},
        "spec": {
            "targetRef": {"name": NAME},
            "strategy": {"maxUnavailable": case.budget, "soakSeconds": 0},
        },
    }


def _stateful_set(case: Case, version: str = "1") -> Json:
    annotations = {
        "bench/version": version,
        "bench/starts-after": _duration(case.starts_after),
        "bench/stops-after": _duration(case.stops_after),
    }
    labels = {"app": NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": NAME},
        "spec": {
            "replicas": case.pods,
            "serviceName": NAME,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {
                    "nodeSelector": {MARK: "fake"},
                    "tolerations": [TAINT],
                    "containers": [{"name": "db", "image": "fake"}],
                },
            },
        },
    }


def _duration(seconds: float) -> str:
    return f"{max(1, round(1000 * seconds))}ms"
