"""The StatefulSet controller.

Follows `stateful_set_control.go` and `stateful_set_utils.go` of Kubernetes 1.35 (default feature gates) branch by
branch: which pod is created, waited for or deleted, at which revision a missing one comes back, and when the update
revision becomes the current one. It reads only its own lagging caches, deletes by name alone, and retries what the
API server refuses. Volume claims are in `claims.py`, the objects it writes in `podtemplate.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from statefulrollout.errors import ApiError, Conflict, NotFound
from tests.simulation.world.apiserver import STATEFULSET_CONTROLLER, ApiServer, Change
from tests.simulation.world.claims import Claims
from tests.simulation.world.informer import Informer
from tests.simulation.world.objects import Json, controller_of, is_terminating, ordinal_of
from tests.simulation.world.podtemplate import (
    build_pod,
    identity_matches,
    is_available,
    is_created,
    is_ready,
    revision_of,
)
from tests.simulation.world.revisions import History
from tests.simulation.world.timeline import Timeline, Worker

STATUS_TRIES = 5
"""How often a status write that met a conflict is tried again (client-go's DefaultRetry)."""


class Blocked(Exception):
    """Nothing more can be done in this pass (`shouldExit` of the original)."""


@dataclass
class Pass:
    """One look at one set: what the caches said, and the revisions."""

    stateful_set: Json
    pods: list[Json]
    current: Json
    update: Json
    now: float

    @property
    def spec(self) -> Json:
        """The set's spec."""
        spec: Json = self.stateful_set["spec"]
        return spec

    @property
    def monotonic(self) -> bool:
        """Whether one pod at a time is worked on (OrderedReady)."""
        return bool(self.spec["podManagementPolicy"] == "OrderedReady")

    @property
    def start(self) -> int:
        """The first ordinal."""
        return int(self.spec.get("ordinals", {}).get("start", 0))

    def is_unavailable(self, pod: Json) -> bool:
        """Whether the pod is missing, not available, or going."""
        return not is_available(pod, self.spec.get("minReadySeconds", 0), self.now) or is_terminating(pod)

    def is_unhealthy(self, pod: Json) -> bool:
        """Whether the pod is not running, ready and available."""
        return not is_available(pod, self.spec.get("minReadySeconds", 0), self.now)


class StatefulSetController:
    """Makes pods be what StatefulSets say. `sets` and `pods` are its caches, which tests may hold back."""

    def __init__(self, server: ApiServer, timeline: Timeline, lag: float = 0.003) -> None:
        self._server = server
        self._timeline = timeline
        self._history = History(server)
        self._claims = Claims(server)
        self._worker = Worker(timeline, "statefulset controller", self._sync)
        self.sets = Informer(server, timeline, "statefulsets", lag, self._enqueue)
        self.pods = Informer(server, timeline, "pods", lag, self._enqueue_owner)
        self.failures: list[tuple[float, str, str]] = []

    def _enqueue(self, change: Change) -> None:
        meta = change.item["metadata"]
        self._worker.add(f"{meta['namespace']}/{meta['name']}")

    def _enqueue_owner(self, change: Change) -> None:
        owner = controller_of(change.item)
        if owner is not None and owner["kind"] == "StatefulSet":
            self._worker.add(f"{change.item['metadata']['namespace']}/{owner['name']}")

    def _sync(self, key: str) -> bool | None:
        namespace, name = key.split("/")
        found = self.sets.get(namespace, name)
        if found is None:
            return True
        uid = found["metadata"]["uid"]
        pods = [pod for pod in self.pods.list(namespace) if (controller_of(pod) or {}).get("uid") == uid]
        current, update = self._history.current_and_update(found)
        look = Pass(found, pods, current, update, self._timeline.now)
        deleted_for_update, succeeded = 0, True
        try:
            deleted_for_update = self._act(look)
        except ApiError as error:
            succeeded = False
            self.failures.append((self._timeline.now, key, error.message))
        status = _status_of(look, deleted_for_update)
        live = {revision_of(pod) for pod in pods} | {update["metadata"]["name"], status["currentRevision"]}
        self._history.truncate(found, live)
        minimum = found["spec"].get("minReadySeconds", 0)
        if minimum and status["readyReplicas"] != status["availableReplicas"]:
            self._worker.add_after(key, minimum)
        return self._write_status(key, found, status, succeeded, STATUS_TRIES)

    def _write_status(self, key: str, found: Json, status: Json, succeeded: bool, tries: int) -> bool | None:
        """Write a status that was computed some time ago: after a conflict, onto whatever the cache then holds."""
        if not _is_inconsistent(found["status"], status):
            return succeeded
        meta = found["metadata"]
        wanted = {**found, "status": {**found["status"], **status}}
        try:
            self._server.update(
                "statefulsets", meta["namespace"], meta["name"], lambda _: wanted, STATEFULSET_CONTROLLER, "status"
            )
        except NotFound:
            return False
        except Conflict:
            if tries == 1:
                return False
            self._timeline.soon(0.01, f"status of {key} again", lambda: self._retry(key, status, succeeded, tries - 1))
            return None
        return succeeded

    def _retry(self, key: str, status: Json, succeeded: bool, tries: int) -> None:
        namespace, name = key.split("/")
        found = self.sets.get(namespace, name)
        outcome = False if found is None else self._write_status(key, found, status, succeeded, tries)
        if outcome is not None:
            self._worker.finish(key, succeeded=outcome)

    def _act(self, look: Pass) -> int:
        """Create, wait for and delete pods; returns how many were deleted to update them."""
        count = look.spec["replicas"]
        by_ordinal = {ordinal_of(pod["metadata"]["name"]): pod for pod in look.pods}
        valid = range(look.start, look.start + count)
        replicas = [
            by_ordinal[ordinal]
            if ordinal in by_ordinal
            else build_pod(look.stateful_set, look.current, look.update, ordinal)
            for ordinal in valid
        ]
        condemned = [by_ordinal[ordinal] for ordinal in sorted(by_ordinal, reverse=True) if ordinal not in valid]
        unavailable = [pod for pod in [*replicas, *reversed(condemned)] if look.is_unavailable(pod)]
        if is_terminating(look.stateful_set):
            return 0
        try:
            _run_for_all(replicas, lambda pod: self._process_replica(look, pod), look.monotonic)
            first_unavailable = unavailable[0] if unavailable else None
            for pod in condemned:
                self._claims.set_owners(look.stateful_set, pod, in_range=False)
            _run_for_all(condemned, lambda pod: self._process_condemned(look, pod, first_unavailable), look.monotonic)
        except Blocked:
            return 0
        return self._update(look, replicas)

    def _process_replica(self, look: Pass, pod: Json) -> None:
        if is_created(pod) and pod["status"]["phase"] in ("Failed", "Succeeded"):
            if not is_terminating(pod):
                self._delete(pod)
            raise Blocked
        if not is_created(pod):
            if self._claims.are_stale(look.stateful_set, pod):
                raise Blocked
            self._claims.create(look.stateful_set, pod)
            self._server.create("pods", pod["metadata"]["namespace"], pod, STATEFULSET_CONTROLLER)
            if look.monotonic:
                raise Blocked
        elif pod["status"]["phase"] == "Pending":
            self._claims.create(look.stateful_set, pod)
        if look.monotonic and (is_terminating(pod) or look.is_unhealthy(pod)):
            raise Blocked
        self._claims.set_owners(look.stateful_set, pod, in_range=True)
        if not identity_matches(look.stateful_set, pod):
            raise AssertionError(f"pod {pod['metadata']['name']} lost its identity labels, which is not simulated")

    def _process_condemned(self, look: Pass, pod: Json, first_unavailable: Json | None) -> None:
        if is_terminating(pod):
            if look.monotonic:
                raise Blocked
            return
        if look.monotonic and look.is_unhealthy(pod) and pod is not first_unavailable:
            raise Blocked
        self._delete(pod)
        raise Blocked

    def _update(self, look: Pass, replicas: list[Json]) -> int:
        strategy = look.spec["updateStrategy"]
        if strategy["type"] == "OnDelete":
            return 0
        if self._server.several_at_once:
            return self._update_several(look, replicas)
        for pod in reversed(replicas[strategy["rollingUpdate"]["partition"] :]):
            if revision_of(pod) != look.update["metadata"]["name"] and not is_terminating(pod):
                self._delete(pod)
                return 1
            if look.is_unavailable(pod):
                return 0
        return 0

    def _update_several(self, look: Pass, replicas: list[Json]) -> int:
        """The same with the feature gate MaxUnavailableStatefulSet."""
        rolling = look.spec["updateStrategy"]["rollingUpdate"]
        limit = rolling["maxUnavailable"] - sum(map(look.is_unavailable, replicas))
        outdated = [
            pod
            for pod in reversed(replicas[rolling["partition"] :])
            if revision_of(pod) != look.update["metadata"]["name"] and not is_terminating(pod)
        ]
        for pod in outdated[: max(limit, 0)]:
            self._delete(pod)
        return len(outdated[: max(limit, 0)])

    def _delete(self, pod: Json) -> None:
        self._server.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"], STATEFULSET_CONTROLLER)


def _run_for_all(pods: list[Json], work: Callable[[Json], None], monotonic: bool) -> None:
    """One after the other until one blocks, or in batches of 1, 2, 4 … of which each must succeed as a whole."""
    if monotonic:
        for pod in pods:
            work(pod)
        return
    done, size = 0, 1
    while done < len(pods):
        errors = []
        for pod in pods[done : done + size]:
            try:
                work(pod)
            except Blocked:
                pass
            except ApiError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        done, size = done + size, size * 2


def _status_of(look: Pass, deleted_for_update: int) -> Json:
    current, update = look.current["metadata"]["name"], look.update["metadata"]["name"]
    staying = [pod for pod in look.pods if not is_terminating(pod)]
    ready = [pod for pod in look.pods if is_ready(pod)]
    status: Json = {
        "observedGeneration": look.stateful_set["metadata"]["generation"],
        "replicas": len(look.pods),
        "readyReplicas": len(ready),
        "availableReplicas": sum(not look.is_unhealthy(pod) for pod in ready),
        "currentReplicas": sum(revision_of(pod) == current for pod in staying) - deleted_for_update,
        "updatedReplicas": sum(revision_of(pod) == update for pod in staying),
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": 0,
    }
    counts = {status["updatedReplicas"], status["readyReplicas"], status["replicas"]}
    if look.spec["updateStrategy"]["type"] == "RollingUpdate" and counts == {look.spec["replicas"]}:
        status["currentReplicas"], status["currentRevision"] = status["updatedReplicas"], update
    return status


def _is_inconsistent(old: Json, new: Json) -> bool:
    compared = set(new) - {"observedGeneration", "collisionCount"}
    return new["observedGeneration"] > old.get("observedGeneration", 0) or any(
        old.get(k, 0) != new[k] for k in compared
    )
