"""All pods of a set drain at the same time, and the application takes its time over every answer."""

from __future__ import annotations

from collections.abc import Iterator

from bench import slow_application
from bench.cases import Case
from bench.cluster import Cluster
from bench.figures import Figures, assert_within_budget
from bench.measuring import measure

PACE = slow_application.Pace(answer_seconds=1.5, unfinished_answers=3)


def measure_hooks(cluster: Cluster, pods: int) -> Iterator[Figures]:
    """Figures of a rollout of instant pods that may all be away. Raises NotSeenError."""
    case = Case(pods, pods, 0.0, 0.0, ours=True, drains_for=PACE.drain_seconds)
    with cluster.namespace("bench-hooks") as namespace:
        slow_application.start(cluster.kubectl, namespace, PACE)
        result = measure(cluster, namespace, case)
        seen = slow_application.read_figures(cluster.api, namespace)
    assert_within_budget(case.budget, result.most_away)
    assert result.cost is not None
    yield {
        "seconds": result.seconds,
        "idealSeconds": case.ideal_seconds,
        "timesIdeal": result.seconds / case.ideal_seconds,
        "mostCallsInFlight": seen["mostInFlight"],
        "callsPerPod": seen["requests"] / pods,
        "requestsPerPod": result.cost.asked / pods,
        "cpuMillisecondsPerPod": 1000 * result.cost.cpu_seconds / pods,
        "mostAway": result.most_away,
    }
