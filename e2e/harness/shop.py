"""A shop: a store in a namespace of its own, its StatefulRollout, a client that never stops, and who watches them.

What a user does to it is a method named after the deed; what a scenario waits for is `await_…`. All waiting has a
deadline and says in the end what was awaited and what was seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from e2e.harness.api import Api, pod_path
from e2e.harness.completion import is_rolled_out
from e2e.harness.executioner import Executioner
from e2e.harness.invariants import broken_invariants, condition_is_true, is_observed
from e2e.harness.journal import EVENTS, LEDGERS, PODS, ROLLOUTS, STATEFUL_SETS, Change, Journal
from e2e.harness.kubectl import Json, Kubectl
from e2e.harness.load import LoadClient, complaints
from e2e.harness.pods import Pod
from e2e.kvstore.manifests import ADMIN_PORT, Kvstore, build_rollout, build_store
from e2e.load.manifests import build_load
from e2e.load.sampler import Event, absences, event_of, lowest_serving, serving_over_time
from statefulrollout.api import names

NAME = "kvstore"
LOAD = "load"
IMAGE = "kvstore:dev"
STOP_SECONDS = 5
PATIENCE_SECONDS = 120.0
"""How long a scenario waits for one thing; a machine with little to spare takes its time."""
LOAD_SETTINGS: Mapping[str, int] = {"keys": 2000, "rate": 60}

Found = TypeVar("Found")


@dataclass(frozen=True)
class Order:
    """What kind of shop is wanted; `rollout` is merged into the StatefulRollout's spec.

    `rolled` says whether there is a StatefulRollout at all. `stop_seconds` makes each pod take that long to stop,
    whatever it holds; `volume` puts the keys on volumes; `certificate` is the Secret with the certificate of its
    secure port, and `secrets` are those to make beforehand; `load_node` is where the load runs, where that matters.
    """

    replicas: int = 3
    policy: Literal["OrderedReady", "Parallel"] = "Parallel"
    rolled: bool = True
    rollout: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: int = 0
    volume: bool = False
    certificate: str = ""
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    load: bool = True
    load_node: str = ""


@dataclass
class Shop:
    """One shop."""

    kubectl: Kubectl
    api: Api
    journal: Journal
    order: Order
    deleted_by_user: set[str] = field(default_factory=set)

    @property
    def namespace(self) -> str:
        return self.journal.namespace

    @property
    def clients(self) -> LoadClient:
        """The load."""
        return LoadClient(self.api, self.namespace, LOAD)

    # What was seen.

    @property
    def rollout(self) -> Json:
        """The StatefulRollout."""
        return self.journal.find(ROLLOUTS, NAME) or {}

    @property
    def stateful_set(self) -> Json:
        """The StatefulSet."""
        return self.journal.find(STATEFUL_SETS, NAME) or {}

    @property
    def pods(self) -> list[Pod]:
        """The store's pods, by name."""
        return [pod for item in self.journal.items(PODS) if is_stores(PODS, (pod := Pod(item)).name)]

    def pod(self, ordinal: int) -> Pod | None:
        """The pod of an ordinal."""
        item = self.journal.find(PODS, pod_name(ordinal))
        return Pod(item) if item else None

    @property
    def message(self) -> str:
        """What the StatefulRollout says."""
        return str(self.rollout.get("status", {}).get("message", ""))

    def condition(self, kind: str) -> Json:
        """One of the StatefulRollout's conditions; empty where it is missing."""
        conditions = self.rollout.get("status", {}).get("conditions", ())
        return next((each for each in conditions if each["type"] == kind), {})

    def stages(self) -> dict[str, str]:
        """Where the status says that each pod stands."""
        return {each["name"]: each["stage"] for each in self.rollout.get("status", {}).get("pods", ())}

    def revisions(self) -> list[str]:
        """The revisions of the pods that exist."""
        return [pod.revision for pod in self.pods]

    @property
    def wanted(self) -> str:
        """The revision of the template."""
        return str(self.stateful_set.get("status", {}).get("updateRevision", ""))

    @property
    def accepted(self) -> str:
        """The revision that the StatefulSet goes back to."""
        return str(self.stateful_set.get("status", {}).get("currentRevision", ""))

    def departures(self) -> list[tuple[float, int]]:
        """When each pod was taken out of service, in that order, and its ordinal."""
        left: dict[str, tuple[float, int]] = {}
        for change in self.history_of(PODS):
            pod = Pod(change.item)
            if pod.leaves_for and is_stores(PODS, pod.name):
                left.setdefault(pod.uid, (change.at, pod.ordinal))
        return list(left.values())

    def was_said(self, words: str) -> bool:
        """Whether an event, of whomever about whatever in the namespace, has these words in it."""
        return any(words in item["message"] for item in self.journal.items(EVENTS))

    def describe(self) -> str:
        """All of it in a few lines, for a message."""
        status = self.rollout.get("status", {})
        strategy = self.stateful_set.get("spec", {}).get("updateStrategy")
        lines = [f"phase {status.get('phase')}: {status.get('message')}", f"stages {self.stages()}",
                 f"accepted {self.accepted} wanted {self.wanted} fence {json.dumps(strategy)}"]  # fmt: skip
        return "\n".join([*lines, *map(str, self.pods)])

    def lowest_serving(self, since: float) -> int:
        """The fewest pods that served at any moment since then (seconds since the epoch)."""
        return lowest_serving(self._pod_events(), since)

    def serving_over_time(self) -> list[tuple[float, int]]:
        """How many pods served from which moment on (seconds since the epoch)."""
        return serving_over_time(self._pod_events())

    def absences(self, since: float) -> list[float]:
        """How long each pod's place was without one that serves, since then (seconds since the epoch), in seconds."""
        return absences(self._pod_events(), since)

    def history_of(self, plural: str) -> list[Change]:
        """Every change of one kind of object, in the order of the writes."""
        return [change for change in self.journal.history() if change.plural == plural]

    # What a user does.

    def open(self) -> None:
        """Open the shop and wait until it is settled and its clients run."""
        order = self.order
        for name, values in order.secrets.items():
            metadata = {"name": name, "namespace": self.namespace}
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(values)}
            self.kubectl.apply(secret)
        if order.rolled:
            self.kubectl.apply(build_rollout(NAME, self.namespace, **build_spec(order.rollout)))
            self.wait("the StatefulRollout to be seen", lambda: self.rollout and is_observed(self.rollout))
        self.kubectl.apply(*build_objects(self.namespace, order))
        self.await_complete()
        if order.load:
            self.wait("the load to have its keys and run", lambda: Pod(self.journal.find(PODS, LOAD) or NO_POD).ready)

    def change_template(self, **env: str | None) -> str:
        """Set variables in the pod template, None removes one; return the revision once the StatefulSet has it."""
        before = self.wanted
        changes = env or {"VERSION": f"{time.time():.3f}"}
        assignments = [f"{name}-" if value is None else f"{name}={value}" for name, value in changes.items()]
        self.kubectl.run("set", "env", "statefulset", NAME, "-n", self.namespace, *assignments)
        return self.wait("the template's new revision", lambda: self.wanted if self.wanted != before else None)

    def change_containers(self, containers: list[Json], **pod: object) -> None:
        """Change containers of the pod template by name, and fields of its pods, by a strategic merge patch."""
        patch = json.dumps({"spec": {"template": {"spec": {**pod, "containers": containers}}}})
        before = self.wanted
        self.kubectl.run("patch", "statefulset", NAME, "-n", self.namespace, "-p", patch)
        self.wait("the template's new revision", lambda: self.wanted != before)

    def patch_rollout(self, spec: Json) -> None:
        """Change the StatefulRollout's spec, by a merge patch."""
        patch = json.dumps({"spec": spec})
        self.kubectl.run("patch", "sro", NAME, "-n", self.namespace, "--type=merge", "-p", patch)

    def apply_rollout_again(self, manager: str) -> None:
        """Apply the StatefulRollout as it was ordered, server-side, as this field manager."""
        manifest = json.dumps(build_rollout(NAME, self.namespace, **build_spec(self.order.rollout)))
        options = ("--server-side", "--force-conflicts", f"--field-manager={manager}", "-f", "-")
        self.kubectl.run("apply", *options, stdin=manifest)

    def patch_stateful_set(self, spec: Json) -> None:
        """Change the StatefulSet's spec, by a merge patch."""
        patch = json.dumps({"spec": spec})
        self.kubectl.run("patch", "statefulset", NAME, "-n", self.namespace, "--type=merge", "-p", patch)

    def pause(self, *, paused: bool = True) -> None:
        """Pause, or resume, and wait until the operator has seen it."""
        self.patch_rollout({"paused": paused})
        self.wait(f"paused={paused} to be seen", lambda: self.rollout["spec"]["paused"] is paused
                  and is_observed(self.rollout))  # fmt: skip

    def scale(self, replicas: int) -> None:
        """`kubectl scale`."""
        self.kubectl.run("scale", "statefulset", NAME, "-n", self.namespace, f"--replicas={replicas}")

    def delete_rollout(self) -> None:
        """Delete the StatefulRollout."""
        self.kubectl.run("delete", "sro", NAME, "-n", self.namespace)

    def delete_pod(self, ordinal: int) -> Pod:
        """`kubectl delete pod`, unplanned; returns the pod that came in its place."""
        victim = self.pod(ordinal)
        assert victim is not None, f"there is no pod {pod_name(ordinal)} to delete"
        self.deleted_by_user.add(victim.uid)
        self.kubectl.run("delete", "pod", victim.name, "-n", self.namespace, "--wait=false")
        return self.wait(f"another pod {victim.name}", lambda: self.newer(victim))

    def kill_container(self, ordinal: int, executioner: Executioner) -> Pod:
        """SIGKILL to the store's process in a pod; returns the pod as it was before."""
        victim = self.pod(ordinal)
        assert victim is not None, f"there is no pod {pod_name(ordinal)} to kill"
        executioner.kill(victim.node, victim.containers[NAME])
        return victim

    def set_faults(self, faults: Json, *ordinals: int) -> None:
        """Make hooks of running pods misbehave, of all of them where none is named; `{}` mends them."""
        for ordinal in ordinals or [pod.ordinal for pod in self.pods]:
            self.api.send("POST", pod_path(self.namespace, pod_name(ordinal), ADMIN_PORT, "/faults"), faults)

    def tell(self, what: str, value: object, *ordinals: int) -> None:
        """Tell running pods something about themselves, all of them where none is named; they answer with it."""
        for ordinal in ordinals or [pod.ordinal for pod in self.pods]:
            path = pod_path(self.namespace, pod_name(ordinal), ADMIN_PORT, f"/told/{what}")
            self.api.send("PUT", path, {"value": value})

    def told(self, what: str, ordinal: int) -> object:
        """What a pod says that it was told."""
        return self.api.get(pod_path(self.namespace, pod_name(ordinal), ADMIN_PORT, f"/told/{what}"))["value"]

    # What a scenario waits for.

    def wait(self, what: str, probe: Callable[[], Found | None], seconds: float = PATIENCE_SECONDS) -> Found:
        """Wait until `probe` is true, and return what it returned."""
        return self.journal.wait(what, probe, seconds, self.describe)

    def stays(self, what: str, holds: Callable[[], object], seconds: float) -> None:
        """Watch for so many seconds that something goes on to hold."""
        self.journal.stays(what, holds, seconds, self.describe)

    def await_complete(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until every pod is at the template's revision, soaked, accepted, and the status says so."""
        self.wait("the rollout to be complete", self.is_complete, seconds)

    def await_stage(self, ordinal: int, *stages: str) -> None:
        """Wait until the status shows a pod in one of these stages."""
        name = pod_name(ordinal)
        self.wait(f"{name} in stage {' or '.join(stages)}", lambda: self.stages().get(name) in stages)

    def await_replaced(self, pod: Pod) -> Pod:
        """Wait until another pod serves in the place of this one."""
        return self.wait(f"another {pod.name} that serves",
                         lambda: found if (found := self.newer(pod)) and found.ready else None)  # fmt: skip

    def await_stalled(self, *words: str, seconds: float = PATIENCE_SECONDS) -> Json:
        """Wait until Stalled is True with all these words in its message; return the condition."""

        def probe() -> Json | None:
            found = self.condition(names.STALLED)
            holds = condition_is_true(self.rollout, names.STALLED) if self.rollout else False
            return found if holds and all(word in found["message"] for word in words) else None

        return self.wait(f"Stalled=True with {words} in its message", probe, seconds)

    def newer(self, pod: Pod) -> Pod | None:
        """The pod that took this one's place, where there is one."""
        found = self.pod(pod.ordinal)
        return found if found is not None and found.uid != pod.uid else None

    def members_are_done(self, without: int) -> bool:
        """Whether the application has settled on members that this ordinal is not among."""
        declaration = (self.journal.find(LEDGERS, NAME) or {}).get("spec", {}).get("declaration", {})
        members = {member["name"] for member in declaration.get("members", ())}
        return bool(declaration.get("done")) and pod_name(without) not in members

    def is_complete(self) -> bool:
        """Whether the rollout of the template is over, by what everybody says."""
        if bool(self.rollout) != self.order.rolled:
            return False
        return is_rolled_out(self.stateful_set, self.pods, self.rollout if self.order.rolled else None)

    # What it comes to.

    def assert_nobody_noticed(self, *, keys_may_be_lost: bool = False) -> Json:
        """End the load: no request failed, and no key was lost or stale. Returns the figures."""
        stats = self.clients.finish()
        found = complaints(stats, keys_may_be_lost=keys_may_be_lost)
        assert not found, f"clients noticed: {'; '.join(found)}"
        return stats

    def assert_no_key_is_lost(self) -> Json:
        """End the load: whatever failed meanwhile, every key that was acknowledged is there. Returns the figures."""
        stats = self.clients.finish()
        missed = {each: stats[each] for each in ("keysMissing", "keysStale", "keysUnread") if stats[each]}
        assert not missed, f"clients miss: {missed} of {stats['keysWritten']} keys"
        return stats

    def assert_invariants(self) -> None:
        """Nothing that must never happen did."""
        assert not self.journal.trouble, self.journal.trouble
        broken = broken_invariants(self._own_history(), self.deleted_by_user, self.journal.gaps)
        assert not broken, "broken invariants:\n" + "\n".join(broken)

    def _pod_events(self) -> list[Event]:
        changes = [change for change in self._own_history() if change.plural == PODS]
        return [event_of(change.at, change.type, change.item) for change in changes]

    def _own_history(self) -> list[Change]:
        return [change for change in self.journal.history() if is_stores(change.plural, change.name)]


NO_POD: Json = {"metadata": {"name": "none-0", "uid": ""}, "spec": {}, "status": {}}


def is_stores(plural: str, name: str) -> bool:
    """Whether an object is the store's, and not the load's or a neighbour's."""
    return plural not in (PODS, STATEFUL_SETS, ROLLOUTS, LEDGERS) or name == NAME or name.startswith(f"{NAME}-")


def pod_name(ordinal: int) -> str:
    """The name of the store's pod at an ordinal."""
    return f"{NAME}-{ordinal}"


def build_spec(changes: Mapping[str, Any]) -> Json:
    """Fields of the StatefulRollout: impatient where that is not the point, with the scenario's changes merged in."""
    drain = {
        "apply": {"http": {"port": "admin", "path": "/drain"}},
        "undo": {"http": {"port": "admin", "path": "/drain", "method": "DELETE"}},
        "propagationSeconds": 1,
    }
    membership = {"apply": {"http": {"port": "admin", "path": "/members"}, "target": "AnyPeer"}}
    spec: Json = {"strategy": {"soakSeconds": 1}, "drain": drain, "membership": membership}
    for name, value in changes.items():
        base = spec.get(name)
        spec[name] = {**base, **value} if base is not None and isinstance(value, Mapping) else value
    return spec


def build_objects(namespace: str, order: Order) -> list[Json]:
    """The store's objects, and the load's."""
    store = Kvstore(
        NAME,
        namespace,
        IMAGE,
        replicas=order.replicas,
        pod_management_policy=order.policy,
        membership="declared" if order.rolled else "static",
        env={"VERSION": "1", **order.env},
        volume=order.volume,
        certificate=order.certificate,
        grace_seconds=STOP_SECONDS + order.stop_seconds,
    )
    objects = build_store(store)
    if order.stop_seconds:
        (container,) = objects[-1]["spec"]["template"]["spec"]["containers"]
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": order.stop_seconds}}}
    if order.load:
        load = build_load(LOAD, namespace, IMAGE, NAME, **LOAD_SETTINGS)
        objects.append({**load, "spec": {**load["spec"], "nodeName": order.load_node}} if order.load_node else load)
    return objects
