"""What is rolled: a StatefulSet of simulated pods, and the StatefulRollout over it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from bench import slow_application
from bench.fake_nodes import MARK, TAINT
from e2e.harness.kubectl import Json, Kubectl
from statefulrollout.api import names

NAME = "db"


@dataclass(frozen=True)
class Case:
    """A rollout to be measured; `budget` is how many pods may be away, times are those of one pod in seconds.

    `drains_for` is what the application takes over the drain of a pod; where it is 0, there is no hook.
    """

    pods: int
    budget: int
    starts_after: float
    stops_after: float
    ours: bool
    drains_for: float = 0.0

    @property
    def title(self) -> str:
        """The case in words."""
        pace = f"{self.starts_after:g} s to start, {self.stops_after:g} s to stop" if self.starts_after else "instant"
        return f"{self.pods} pods ({pace}), budget {self.budget}, {'StatefulRollout' if self.ours else 'native'}"

    @property
    def is_batch_of_kubernetes(self) -> bool:
        """Whether Kubernetes alone shall take more than one pod at a time, which not every API server lets it."""
        return not self.ours and self.budget > 1

    @property
    def ideal_seconds(self) -> float:
        """The pods' own time under the budget, were nothing else to do."""
        return math.ceil(self.pods / self.budget) * (self.drains_for + self.stops_after + self.starts_after)


def build_rollout(case: Case, name: str = NAME) -> Json:
    """The StatefulRollout of the case."""
    strategy: Json = {"maxUnavailable": case.budget, "soakSeconds": 0}
    if case.budget >= case.pods:
        strategy["allowFullOutage"] = True
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name},
        "spec": {
            "targetRef": {"name": name},
            "strategy": strategy,
            **({"drain": slow_application.build_drain()} if case.drains_for else {}),
        },
    }


def build_stateful_set(case: Case, version: str = "1", name: str = NAME) -> Json:
    """The StatefulSet of the case, its template told apart by `version`."""
    annotations = {
        "bench/version": version,
        "bench/starts-after": _duration(case.starts_after),
        "bench/stops-after": _duration(case.stops_after),
    }
    labels = {"app": name}
    batches = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": case.budget}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": case.pods,
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            **(batches if case.is_batch_of_kubernetes else {}),
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


def keeps_batches(kubectl: Kubectl) -> bool:
    """Whether the API server keeps `maxUnavailable` of a StatefulSet: else Kubernetes goes one pod at a time.

    It drops the field without a word where its feature gate MaxUnavailableStatefulSet is off, as it is by default up
    to Kubernetes 1.35. Nothing is created. Raises CommandFailedError.
    """
    asked = build_stateful_set(Case(2, 2, 0.0, 0.0, ours=False))
    answer = kubectl.run("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(asked))
    return "maxUnavailable" in json.loads(answer)["spec"]["updateStrategy"]["rollingUpdate"]


def _duration(seconds: float) -> str:
    return f"{max(1, round(1000 * seconds))}ms"
