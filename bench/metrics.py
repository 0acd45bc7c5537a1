"""What the operator says of itself: its Prometheus metrics, through the API server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from e2e.harness.api import pod_path
from e2e.harness.installation import NAMESPACE, Installation
from e2e.harness.kubectl import Kubectl

METRICS_PORT = 8080


@dataclass(frozen=True)
class Cost:
    """What the operator has used since it started."""

    requests: Counter[str]
    cpu_seconds: float

    def since(self, before: Cost) -> Cost:
        """The difference of two looks."""
        return Cost(self.requests - before.requests, self.cpu_seconds - before.cpu_seconds)


def read_cost(kubectl: Kubectl, installation: Installation) -> Cost:
    """Ask the leader what it has cost."""
    requests, cpu = Counter[str](), 0.0
    for sample in samples(kubectl, installation):
        if sample.name == "statefulrollout_api_requests_total":
            requests[f"{sample.labels['verb']} {sample.labels['resource']}"] += int(sample.value)
        elif sample.name == "process_cpu_seconds_total":
            cpu = sample.value
    return Cost(requests, cpu)


def read_gauges(kubectl: Kubectl, installation: Installation) -> dict[str, float]:
    """Ask the leader for everything it measures, by name, added up over labels."""
    found: dict[str, float] = {}
    for sample in samples(kubectl, installation):
        found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def samples(kubectl: Kubectl, installation: Installation) -> Iterator[Sample]:
    """The leader's metrics, one by one. Raises AssertionError where nobody leads."""
    pod = installation.leader()["metadata"]["name"]
    text = kubectl.run("get", "--raw", pod_path(NAMESPACE, pod, METRICS_PORT, "/metrics"))
    for family in text_string_to_metric_families(text):
        yield from family.samples
