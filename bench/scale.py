"""Many sets at once: until a fresh operator has seen them all, what it uses at rest, and when many roll."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.cases import Case, build_rollout, build_stateful_set
from bench.measuring import most_away
from bench.metrics import read_cost, read_gauges
from e2e.harness.api import Api
from e2e.harness.completion import is_accepted
from e2e.harness.installation import Installation
from e2e.harness.journal import ROLLOUTS, STATEFUL_SETS, Journal
from e2e.harness.kubectl import Kubectl, list_of
from e2e.harness.namespaces import Namespaces
from statefulrollout.api import names

PODS_OF_A_SET = 50
SETS_OF_A_NAMESPACE = 20
AT_REST_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_LONGEST_SECONDS = 1200.0


def measure_scale(
    kubectl: Kubectl, api: Api, installation: Installation, namespaces: Namespaces, pods: int
) -> Iterator[dict[str, float]]:
    """Figures by name, as they come, for so many pods in sets of 50. Raises AssertionError: a budget is exceeded."""
    case = Case(PODS_OF_A_SET, PODS_OF_A_SET // 10, 0.0, 0.0, ours=True)
    sets = [f"db-{number}" for number in range(max(1, pods // PODS_OF_A_SET))]
    yield {"sets": len(sets), "pods": len(sets) * PODS_OF_A_SET}
    with _many(kubectl, namespaces, case, sets) as spaces:
        yield _start_up(kubectl, installation, len(sets))
        yield _rest(kubectl, installation)
        first, rolled = next(iter(spaces.items()))
        yield _roll(kubectl, api, installation, first, case, rolled)


@contextmanager
def _many(
    kubectl: Kubectl, namespaces: Namespaces, case: Case, sets: Sequence[str]
) -> Iterator[dict[str, Sequence[str]]]:
    """The sets, all serving, by the namespace they are in."""
    spaces: dict[str, Sequence[str]] = {}
    try:
        for start in range(0, len(sets), SETS_OF_A_NAMESPACE):
            some = sets[start : start + SETS_OF_A_NAMESPACE]
            spaces[namespaces.create("bench-scale")] = some
        for namespace, some in spaces.items():
            objects = [build(case, name=name) for name in some for build in (build_rollout, build_stateful_set)]
            kubectl.run("apply", "-n", namespace, "-f", "-", stdin=list_of(objects))
        for namespace in spaces:
            ready = ["wait", "--for=condition=Ready", "-n", namespace, "--all", f"{names.PLURAL}.{names.GROUP}"]
            kubectl.run(*ready, f"--timeout={_LONGEST_SECONDS:.0f}s", seconds=_LONGEST_SECONDS + 10)
        yield spaces
    finally:
        for namespace in spaces:
            namespaces.delete(namespace)
        namespaces.await_gone(_LONGEST_SECONDS)


def _start_up(kubectl: Kubectl, installation: Installation, sets: int) -> dict[str, float]:
    """From the start of a process until it has looked at every set and has nothing left to do."""
    installation.stop()
    installation.start()
    gauges = _once_idle(kubectl, installation, sets)
    return {
        "startUpSeconds": time.time() - gauges["process_start_time_seconds"],
        "startUpCpuSeconds": gauges["process_cpu_seconds_total"],
    }


def _once_idle(kubectl: Kubectl, installation: Installation, passes: int) -> dict[str, float]:
    """The metrics once there were so many passes and none is waited for."""
    give_up_at = time.monotonic() + _LONGEST_SECONDS
    while True:
        gauges = read_gauges(kubectl, installation)
        if gauges["statefulrollout_reconciles_total"] >= passes and not gauges["statefulrollout_queue_depth"]:
            return gauges
        assert time.monotonic() < give_up_at, f"the operator does not come to rest: {gauges}"
        time.sleep(_LOOK_SECONDS)


def _rest(kubectl: Kubectl, installation: Installation) -> dict[str, float]:
    """What it uses while nothing happens."""
    before, began = read_cost(kubectl, installation), time.monotonic()
    time.sleep(AT_REST_SECONDS)
    used, seconds = read_cost(kubectl, installation).since(before), time.monotonic() - began
    return {
        "restCpuPercent": 100 * used.cpu_seconds / seconds,
        "restRequestsPerSecond": sum(used.requests.values()) / seconds,
        "restMemoryMiB": _memory(kubectl, installation),
    }


def _memory(kubectl: Kubectl, installation: Installation) -> float:
    return read_gauges(kubectl, installation)["process_resident_memory_bytes"] / 2**20


def _roll(
    kubectl: Kubectl, api: Api, installation: Installation, namespace: str, case: Case, sets: Sequence[str]
) -> dict[str, float]:
    """All sets of one namespace at the same time, beside all others at rest."""
    pods = len(sets) * case.pods
    with Journal(api, namespace) as journal:
        before, mark, began = read_cost(kubectl, installation), len(journal.changes), time.monotonic()
        objects = [build_stateful_set(case, version="2", name=name) for name in sets]
        kubectl.run("apply", "-n", namespace, "-f", "-", stdin=list_of(objects))

        def is_over() -> bool:
            found = ((journal.find(STATEFUL_SETS, name) or {}, journal.find(ROLLOUTS, name) or {}) for name in sets)
            return all(is_accepted(target, rollout) for target, rollout in found)

        journal.wait("all sets to be rolled out", is_over, _LONGEST_SECONDS, lambda: f"{len(sets)} sets roll")
        seconds = time.monotonic() - began
        used = read_cost(kubectl, installation).since(before)
        most = most_away(journal.history()[mark:])
    assert most <= case.budget, f"{most} pods of a set were away, {case.budget} may be"
    return {
        "rolledSets": len(sets),
        "rollSeconds": seconds,
        "rollCpuMillisecondsPerPod": 1000 * used.cpu_seconds / pods,
        "rollRequestsPerPod": sum(n for name, n in used.requests.items() if not name.endswith(" events")) / pods,
        "rollMostAway": most,
        "rolledMemoryMiB": _memory(kubectl, installation),
    }
