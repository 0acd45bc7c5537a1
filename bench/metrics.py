"""What the operator and the API server say of themselves: their Prometheus metrics, through the API server."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from bench.cluster import Cluster
from e2e.harness.api import pod_path

METRICS_PORT = 8080
_CPU_SECONDS = re.compile(r"^process_cpu_seconds_total (\S+)$", re.MULTILINE)
_BY_VERB_AND_RESOURCE = {
    "statefulrollout_api_requests_total": "requests",
    "statefulrollout_api_received_bytes_total": "received",
}


@dataclass(frozen=True)
class Cost:
    """What the operator has used since it started: requests and bytes received by verb and resource.

    An operator that does not count bytes has received none.
    """

    requests: Counter[str]
    cpu_seconds: float
    received: Counter[str] = field(default_factory=Counter)

    def since(self, before: Cost) -> Cost:
        """The difference of two looks."""
        return Cost(
            self.requests - before.requests, self.cpu_seconds - before.cpu_seconds, self.received - before.received
        )

    @property
    def asked(self) -> int:
        """The requests, without events: how many of these are written depends on how many are alike."""
        return sum(count for name, count in self.requests.items() if not name.endswith(" events"))


def read_cost(cluster: Cluster) -> Cost:
    """Ask the leader what it has cost."""
    return cost_of(samples(cluster))


def cost_of(samples: Iterator[Sample]) -> Cost:
    """The cost among the operator's metrics."""
    counted, cpu = {"requests": Counter[str](), "received": Counter[str]()}, 0.0
    for sample in samples:
        if kind := _BY_VERB_AND_RESOURCE.get(sample.name):
            counted[kind][f"{sample.labels['verb']} {sample.labels['resource']}"] += int(sample.value)
        elif sample.name == "process_cpu_seconds_total":
            cpu = sample.value
    return Cost(counted["requests"], cpu, counted["received"])


def read_gauges(cluster: Cluster) -> dict[str, float]:
    """Ask the leader for everything it measures, by name, added up over labels."""
    found: dict[str, float] = {}
    for sample in samples(cluster):
        found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def read_memory_mib(cluster: Cluster) -> float:
    """What the leader has resident."""
    return read_gauges(cluster)["process_resident_memory_bytes"] / 2**20


def samples(cluster: Cluster) -> Iterator[Sample]:
    """The leader's metrics, one by one. Raises AssertionError where nobody leads."""
    pod = cluster.installation.leader()["metadata"]["name"]
    text = cluster.kubectl.run("get", "--raw", pod_path(cluster.installation.name, pod, METRICS_PORT, "/metrics"))
    for family in text_string_to_metric_families(text):
        yield from family.samples


def read_api_server_cpu(cluster: Cluster) -> float:
    """Seconds of CPU that the API server has used since it started; where there are many, the one that answers."""
    return cpu_seconds_in(cluster.kubectl.run("get", "--raw", "/metrics"))


def cpu_seconds_in(text: str) -> float:
    """The CPU time in metrics of which nothing else is wanted: those of an API server are megabytes."""
    found = _CPU_SECONDS.search(text)
    assert found is not None, "there is no CPU time in the metrics"
    return float(found[1])
