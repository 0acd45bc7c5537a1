"""Scheduler and kubelets: containers that start, get ready, crash, are killed and stop.

Restarts back off 10 s, 20 s … 300 s (the first is immediate); a stopped pod ends Failed or Succeeded before its object
is removed, by UID. What a pod is like and what its status says is in `sandbox.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

from statefulrollout.errors import ApiError
from tests.simulation.world.apiserver import KUBELET, ApiServer, Change
from tests.simulation.world.objects import Json, is_terminating, ordinal_of, strategic_merge_patched, timestamp
from tests.simulation.world.sandbox import Behaviour, Container, Sandbox, build_status
from tests.simulation.world.timeline import Timeline
from tests.simulation.world.volumes import LocalVolumes

LONGEST_BACKOFF = 300.0
SECONDS_TO_SCHEDULE = 0.02
SECONDS_TO_CREATE = 0.1
SECONDS_TO_CRASH = 0.5
SECONDS_TO_NOTICE = 0.01


class Kubelet:
    """All kubelets and the scheduler.

    Attributes:
        nodes: names of the nodes, which pods take in turn by ordinal.
        down: nodes whose kubelet does nothing any more.
        deaf: no kubelet notices another image.
        default: behaviour of pods that say nothing.
        lag: seconds from a change of a pod until what the kubelet saw of it is in the pod's status; 0 for at once.
        ended: called with (pod uid, container ID) when an application container has ended.
    """

    def __init__(self, server: ApiServer, timeline: Timeline) -> None:
        self._server = server
        self._timeline = timeline
        self._numbers = itertools.count(1)
        self.nodes = ("node-a", "node-b", "node-c")
        self.down: set[str] = set()
        self.deaf = False
        self.default = Behaviour()
        self.lag = 0.0
        self.volumes = LocalVolumes(server)
        self.sandboxes: dict[str, Sandbox] = {}
        self.ended: list[Callable[[str, str], None]] = []
        server.subscribers.append(self._hear)

    def of(self, pod: Json) -> Sandbox | None:
        """What runs of this pod."""
        return self.sandboxes.get(pod["metadata"]["uid"])

    def is_running(self, pod: Json) -> bool:
        """Whether the application's container of the pod runs."""
        sandbox = self.of(pod)
        return sandbox is not None and any(item.application and item.running for item in sandbox.containers)

    def kill_container(self, pod: Json, name: str = "") -> None:
        """A container of the pod (the application's, if none is named) is killed; the kubelet restarts it."""
        sandbox = self.sandboxes[pod["metadata"]["uid"]]
        container = next(item for item in sandbox.containers if item.name == name or (not name and item.application))
        self._exit(sandbox, container, 137)

    def finish(self, pod: Json, phase: str) -> None:
        """All containers of the pod end for good: it becomes Failed or Succeeded."""
        sandbox = self.sandboxes[pod["metadata"]["uid"]]
        sandbox.finished = phase
        for container in sandbox.containers:
            self._end(sandbox, container, 0 if phase == "Succeeded" else 1)
        self._report(sandbox)

    def lose(self, node: str) -> None:
        """The node's power is cut: everything on it ends, and nobody reports it."""
        self.down.add(node)
        for sandbox in self._on(node):
            for container in sandbox.containers:
                self._end(sandbox, container, 137)

    def restore(self, node: str) -> None:
        """The node is back: it stops what was deleted meanwhile, and starts the rest again."""
        self.down.discard(node)
        for sandbox in self._on(node):
            pod = self._server.find("pods", sandbox.namespace, sandbox.name)
            if pod is None or is_terminating(pod):
                sandbox.stopping = True
                self._timeline.soon(SECONDS_TO_NOTICE, f"{sandbox.name} is over", partial(self._stop, sandbox))
                continue
            self._report(sandbox)
            for container in sandbox.containers:
                self._plan(sandbox, SECONDS_TO_CREATE, "starts again", partial(self._start, sandbox, container))

    def _on(self, node: str) -> list[Sandbox]:
        return [sandbox for sandbox in list(self.sandboxes.values()) if sandbox.node == node]

    def _hear(self, change: Change) -> None:
        if change.plural == "nodes" and change.type == "MODIFIED":
            self._schedule_those_left()
        if change.plural != "pods":
            return
        uid = change.item["metadata"]["uid"]
        sandbox = self.sandboxes.get(uid)
        if change.after is None:
            self.sandboxes.pop(uid, None)
            for container in sandbox.containers if sandbox else ():
                assert sandbox is not None
                self._end(sandbox, container, 137)
        elif change.type == "ADDED":
            self._plan_schedule(change.item)
        elif sandbox is not None:
            self._follow_images(sandbox, change.item)
            if is_terminating(change.item) and not sandbox.stopping and sandbox.node not in self.down:
                sandbox.stopping = True
                grace = float(change.item["metadata"]["deletionGracePeriodSeconds"])
                seconds = min(sandbox.behaviour.stop_seconds, grace)
                self._timeline.after(seconds, f"{sandbox.name} stops", lambda: self._stop(sandbox))
            if change.who != KUBELET and self.lag:
                self._timeline.after(
                    self.lag, f"kubelet looks at {sandbox.name}", partial(self._look, sandbox, change.item)
                )
            elif change.who != KUBELET and not sandbox.noticed:
                sandbox.noticed = True
                self._timeline.soon(SECONDS_TO_NOTICE, f"kubelet looks at {sandbox.name}", partial(self._look, sandbox))

    def _follow_images(self, sandbox: Sandbox, pod: Json) -> None:
        """Containers whose image is another are stopped, with their grace, and started with it."""
        for container in sandbox.containers:
            image = image_of(pod, container.name)
            if image == container.image or sandbox.stopping or self.deaf:
                continue
            container.image = image
            grace = float(pod["spec"].get("terminationGracePeriodSeconds", 30))
            seconds = SECONDS_TO_NOTICE + min(sandbox.behaviour.stop_seconds, grace)
            self._plan(sandbox, seconds, f"replaces {container.name}", partial(self._replace, sandbox, container))

    def _replace(self, sandbox: Sandbox, container: Container) -> None:
        pod = self._server.find("pods", sandbox.namespace, sandbox.name)
        if pod is None or sandbox.stopping:
            return
        sandbox.behaviour = Behaviour.of(pod, self.default)
        container.waiting = "ContainerCreating"
        self._end(sandbox, container, 0)
        self._report(sandbox)
        self._plan(sandbox, SECONDS_TO_CREATE, "starts", partial(self._start, sandbox, container))

    def _schedule_those_left(self) -> None:
        for pod in self._server.list("pods"):
            if not pod["spec"].get("nodeName") and not is_terminating(pod):
                self._plan_schedule(pod)

    def _plan_schedule(self, pod: Json) -> None:
        meta = pod["metadata"]
        act = partial(self._schedule, meta["uid"], meta["namespace"], meta["name"])
        self._timeline.soon(SECONDS_TO_SCHEDULE, f"schedule {meta['name']}", act)

    def _schedule(self, uid: str, namespace: str, name: str) -> None:
        pod = self._server.find("pods", namespace, name)
        if pod is None or pod["metadata"]["uid"] != uid or uid in self.sandboxes:
            return
        behaviour = Behaviour.of(pod, self.default)
        bound = self.volumes.node_of(pod)
        fit = [
            node for node in self.nodes if node not in self.down and not self._is_cordoned(node) and bound in ("", node)
        ]
        if behaviour.unschedulable or not fit:
            self._refuse(pod)
            return
        node = fit[ordinal_of(name) % len(fit)]
        self.volumes.provision(pod, node)
        names = [container["name"] for container in pod["spec"]["containers"]]
        number = next(self._numbers)
        sandbox = Sandbox(
            name, namespace, uid, node, f"10.0.{number // 250}.{number % 250 + 1}", behaviour,
            [Container(name, application=name == names[0], image=image_of(pod, name)) for name in names],
        )  # fmt: skip
        self.sandboxes[uid] = sandbox
        placed = {**pod["spec"], "nodeName": node}
        self._server.update("pods", namespace, name, lambda old: {**old, "spec": placed}, KUBELET)
        self._report(sandbox)
        for container in sandbox.containers:
            self._plan(sandbox, SECONDS_TO_CREATE, "starts", partial(self._start, sandbox, container))

    def _is_cordoned(self, node: str) -> bool:
        found = self._server.find("nodes", "", node)
        return found is not None and bool(found["spec"].get("unschedulable"))

    def _refuse(self, pod: Json) -> None:
        now = timestamp(self._timeline.now)
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": now}
        self._write(pod, {"conditions": [{**condition, "message": "no node takes the pod"}]})

    def _plan(self, sandbox: Sandbox, seconds: float, what: str, action: Callable[[], None]) -> None:
        def act() -> None:
            if sandbox.uid in self.sandboxes and sandbox.node not in self.down and not sandbox.finished:
                action()

        self._timeline.after(seconds, f"{sandbox.name} {what}", act)

    def _start(self, sandbox: Sandbox, container: Container) -> None:
        if sandbox.stopping or container.running:
            return
        if sandbox.behaviour.bad_image and container.application:
            container.waiting = "ImagePullBackOff" if container.waiting == "ErrImagePull" else "ErrImagePull"
            self._plan(sandbox, 10.0, "pulls again", lambda: self._start(sandbox, container))
            self._report(sandbox)
            return
        if container.exit_code is not None:
            container.restarts += 1
        container.id = f"containerd://{next(self._numbers):012x}"
        container.running, container.waiting, container.exit_code = True, "", None
        container.started = self._timeline.now
        self._report(sandbox)
        this = container.id
        behaviour = sandbox.behaviour if container.application else Behaviour(start_seconds=0.0)
        if behaviour.crash:
            self._plan(sandbox, SECONDS_TO_CRASH, "crashes", lambda: self._exit_if(sandbox, container, this))
        elif not behaviour.never_ready:
            self._plan(sandbox, behaviour.start_seconds, "is ready", lambda: self._get_ready(sandbox, container, this))

    def _get_ready(self, sandbox: Sandbox, container: Container, this: str) -> None:
        if container.id == this and container.running:
            container.ready = True
            self._report(sandbox)
            if container.application and sandbox.behaviour.crash_after:
                seconds = sandbox.behaviour.crash_after
                self._plan(sandbox, seconds, "crashes", lambda: self._exit_if(sandbox, container, this))

    def _exit_if(self, sandbox: Sandbox, container: Container, this: str) -> None:
        if container.id == this and container.running:
            self._exit(sandbox, container, 1)

    def _exit(self, sandbox: Sandbox, container: Container, code: int) -> None:
        self._end(sandbox, container, code)
        self._report(sandbox)
        if sandbox.stopping:
            return
        backoff = 0.0 if container.restarts == 0 else min(10.0 * 2 ** (container.restarts - 1), LONGEST_BACKOFF)
        if backoff:
            container.waiting = "CrashLoopBackOff"
            self._plan(sandbox, SECONDS_TO_CREATE, "backs off", lambda: self._report(sandbox))
        self._plan(sandbox, backoff + SECONDS_TO_CREATE, "restarts", lambda: self._start(sandbox, container))

    def _end(self, sandbox: Sandbox, container: Container, code: int) -> None:
        if not container.running:
            return
        container.running, container.ready, container.exit_code = False, False, code
        if container.application:
            for tell in self.ended:
                tell(sandbox.uid, container.id)

    def _stop(self, sandbox: Sandbox) -> None:
        if sandbox.uid not in self.sandboxes or sandbox.node in self.down:
            return
        started = any(container.id for container in sandbox.containers)
        sandbox.finished = "Succeeded" if started else "Failed"
        for container in sandbox.containers:
            self._end(sandbox, container, 0)
        self._report(sandbox)
        self._timeline.soon(SECONDS_TO_NOTICE, f"remove {sandbox.name}", lambda: self._remove(sandbox))

    def _remove(self, sandbox: Sandbox) -> None:
        try:
            self._server.delete("pods", sandbox.namespace, sandbox.name, KUBELET, uid=sandbox.uid, grace=0)
        except ApiError:
            self.sandboxes.pop(sandbox.uid, None)

    def _look(self, sandbox: Sandbox, seen: Json | None = None) -> None:
        sandbox.noticed = False
        version = int(seen["metadata"]["resourceVersion"] if seen else self._server.version)
        if sandbox.node not in self.down and version >= sandbox.seen:
            sandbox.seen = version
            self._report(sandbox, seen)

    def _report(self, sandbox: Sandbox, seen: Json | None = None) -> None:
        """Write the status of a pod, with its gates as they were when they were `seen`, or as they are."""
        pod = self._server.find("pods", sandbox.namespace, sandbox.name)
        if pod is not None and pod["metadata"]["uid"] == sandbox.uid:
            self._write(pod, build_status(pod, sandbox, self._timeline.now, seen or pod))

    def _write(self, pod: Json, status: Json) -> None:
        meta = pod["metadata"]
        self._server.update(
            "pods", meta["namespace"], meta["name"],
            lambda old: dict(strategic_merge_patched(old, {"status": status})), KUBELET, "status",
        )  # fmt: skip


def image_of(pod: Json, container: str) -> str:
    """The image that a container of the pod shall have."""
    return next(str(each["image"]) for each in pod["spec"]["containers"] if each["name"] == container)
