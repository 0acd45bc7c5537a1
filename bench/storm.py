"""The API server is killed and comes back, while many sets are at rest and one is rolled."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from bench.cases import build_stateful_set
from bench.cluster import Cluster
from bench.figures import Figures, assert_within_budget
from bench.legs import first_deed
from bench.measuring import most_away
from bench.memory import read_peak_mib, reset_peak
from bench.metrics import read_cost, read_gauges
from bench.sets import CASE, PODS_OF_A_SET, are_accepted, many_sets
from e2e.harness.api import ApiRefusedError
from e2e.harness.control_plane import BACK_SECONDS, ControlPlane
from e2e.harness.executioner import Executioner
from e2e.harness.journal import PATHS, PODS, Journal
from e2e.harness.kubectl import list_of

AFTER_SECONDS = 60.0
STARTS_AFTER = 3.0
"""How long a pod of the set that is rolled takes to start, so that the rollout outlives the API server."""
_LOOK_SECONDS = 0.1


def measure_storm(cluster: Cluster, pods: int) -> Iterator[Figures]:
    """Figures as they come, for so many pods in sets of 50. Raises AssertionError: a budget is exceeded."""
    with _control_plane(cluster) as control_plane, many_sets(cluster, pods) as spaces:
        sets = sum(map(len, spaces.values()))
        yield {"sets": sets, "pods": sets * PODS_OF_A_SET}
        namespace, (rolled, *_) = next(iter(spaces.items()))
        with Journal(cluster.api, namespace) as journal:
            yield _outage(cluster, control_plane, journal, rolled)
        control_plane.await_calm()
        cluster.installation.await_ready()


@contextmanager
def _control_plane(cluster: Cluster) -> Iterator[ControlPlane]:
    with cluster.namespace("bench-executioner") as namespace:
        executioner = Executioner(cluster.kubectl, namespace)
        executioner.ensure()
        yield ControlPlane(cluster.kubectl, executioner)


def _outage(cluster: Cluster, control_plane: ControlPlane, journal: Journal, rolled: str) -> Figures:
    """Kill the API server in the midst of a rollout; what the operator uses counts from the kill to a minute after."""
    reset_peak(cluster)
    case, mark, process = replace(CASE, starts_after=STARTS_AFTER), len(journal.changes), _process(cluster)
    changed, began = list_of([build_stateful_set(case, version="2", name=rolled)]), time.time()
    cluster.kubectl.run("apply", "-n", journal.namespace, "-f", "-", stdin=changed)
    journal.wait("the first pod to leave", lambda: first_deed(journal.history(), began), BACK_SECONDS, str)
    before = read_cost(cluster)
    down_at, up_at = _restart(cluster, control_plane, journal.namespace)
    written_at = journal.wait(
        "the operator to go on", lambda: first_deed(journal.history(), down_at), BACK_SECONDS, str
    )
    journal.wait("the set to be rolled out", lambda: are_accepted(journal, [rolled]), BACK_SECONDS, str)
    time.sleep(max(0.0, up_at + AFTER_SECONDS - time.time()))
    cluster.installation.await_ready()
    restarted = _process(cluster) != process
    used = read_cost(cluster)
    used = used if restarted else used.since(before)
    most = most_away(journal.history()[mark:])
    assert_within_budget(case.budget, most)
    return {
        "apiServerAwaySeconds": up_at - down_at,
        "nextWriteSeconds": max(0.0, written_at - up_at),
        "operatorRestarts": int(restarted),
        "requestsAfter": used.asked,
        "cpuSecondsAfter": used.cpu_seconds,
        "peakMemoryMiB": read_peak_mib(cluster),
        "mostAway": most,
    }


def _restart(cluster: Cluster, control_plane: ControlPlane, namespace: str) -> tuple[float, float]:
    """When the API server was gone, and when another one answered, in seconds since the epoch."""
    path = PATHS[PODS].format(namespace) + "?limit=1"

    def answers() -> bool:
        try:
            cluster.api.send("GET", path)
        except (ApiRefusedError, OSError, http.client.HTTPException):
            return False
        return True

    with ThreadPoolExecutor() as threads:
        restarted = threads.submit(control_plane.restart_api_server)
        down_at = _once("the API server to be gone", lambda: not answers())
        up_at = _once("another API server", answers)
        restarted.result()
    return down_at, up_at


def _once(what: str, holds: Callable[[], bool]) -> float:
    """When it began to hold. Raises AssertionError after three minutes."""
    give_up_at = time.monotonic() + BACK_SECONDS
    while not holds():
        assert time.monotonic() < give_up_at, f"awaited in vain: {what}"
        time.sleep(_LOOK_SECONDS)
    return time.time()


def _process(cluster: Cluster) -> float:
    """What is new with every start of the operator's process."""
    return read_gauges(cluster)["process_start_time_seconds"]
