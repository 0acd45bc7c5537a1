"""What runs of a pod on its node, how it behaves, and the status that a kubelet writes of it.

How a pod behaves is read from its annotations, so a new template is what brings bad pods. `Ready` needs
`ContainersReady` and every readiness gate, as in Kubernetes' `pkg/kubelet/status/generate.go`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.world.objects import Json, condition_of, timestamp

ANNOTATION = "sim/"


@dataclass(frozen=True)
class Behaviour:
    """What a pod's template makes of it; each field is an annotation `sim/<field with dashes>`.

    Attributes:
        start_seconds: from the container's start until it is ready.
        stop_seconds: from the deletion until the containers have stopped; the grace period cuts it short.
        crash: the application exits soon after each start.
        crash_after: it exits that many seconds after it became ready, every time (0: never).
        never_ready: it runs and never gets ready.
        bad_image: its image cannot be pulled.
        unschedulable: no node takes it.
    """

    start_seconds: float = 2.0
    stop_seconds: float = 1.0
    crash: bool = False
    crash_after: float = 0.0
    never_ready: bool = False
    bad_image: bool = False
    unschedulable: bool = False

    @classmethod
    def of(cls, pod: Json, default: Behaviour) -> Behaviour:
        """The behaviour that the pod's annotations ask for, on top of the default."""
        notes = pod["metadata"].get("annotations", {})

        def told(name: str) -> str | None:
            found: str | None = notes.get(ANNOTATION + name.replace("_", "-"))
            return found

        numbers = {name: float(value) for name in ("start_seconds", "stop_seconds", "crash_after")
                   if (value := told(name)) is not None}  # fmt: skip
        flags = {name: value == "true" for name in ("crash", "never_ready", "bad_image", "unschedulable")
                 if (value := told(name)) is not None}  # fmt: skip
        return cls(**{**default.__dict__, **numbers, **flags})


@dataclass
class Container:
    """One container of a pod; `id` changes with every start."""

    name: str
    application: bool
    image: str = ""
    id: str = ""
    running: bool = False
    ready: bool = False
    restarts: int = 0
    waiting: str = "ContainerCreating"
    exit_code: int | None = None
    started: float = 0.0


@dataclass
class Sandbox:
    """What runs of one pod on its node."""

    name: str
    namespace: str
    uid: str
    node: str
    ip: str
    behaviour: Behaviour
    containers: list[Container]
    stopping: bool = False
    finished: str = ""
    noticed: bool = field(default=False, repr=False)
    seen: int = field(default=0, repr=False)
    """The version of the pod that the kubelet has seen last."""


def build_status(pod: Json, sandbox: Sandbox, now: float, seen: Json) -> Json:
    """What the kubelet writes of a pod: phase, address, container statuses and its own conditions.

    Its gates are as the kubelet has `seen` them.
    """
    started = all(container.id for container in sandbox.containers)
    ready = all(container.ready for container in sandbox.containers) and not sandbox.finished
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates", [])]
    shut = [gate for gate in gates if (condition_of(seen, gate) or {}).get("status") != "True"]
    verdicts = {
        "PodScheduled": (True, ""),
        "Initialized": (True, ""),
        "ContainersReady": (ready, "ContainersNotReady"),
        "Ready": (ready and not shut, "ReadinessGatesNotReady" if ready else "ContainersNotReady"),
    }
    status: Json = {
        "phase": sandbox.finished or ("Running" if started else "Pending"),
        "conditions": [_condition(pod, kind, *verdict, now) for kind, verdict in verdicts.items()],
        "containerStatuses": [_container_status(container) for container in sandbox.containers],
        "hostIP": "192.0.2.1",
    }
    if any(container.id for container in sandbox.containers):
        status |= {"podIP": sandbox.ip, "podIPs": [{"ip": sandbox.ip}]}
    return status


def _condition(pod: Json, kind: str, value: bool, reason: str, now: float) -> Json:
    status = "True" if value else "False"
    old = condition_of(pod, kind)
    since = old["lastTransitionTime"] if old and old["status"] == status else timestamp(now)
    return {"type": kind, "status": status, "lastTransitionTime": since, "reason": None if value else reason}


def _container_status(container: Container) -> Json:
    if container.running:
        state: Json = {"running": {"startedAt": timestamp(container.started)}}
    elif container.waiting:
        state = {"waiting": {"reason": container.waiting}}
    else:
        state = {"terminated": {"exitCode": container.exit_code, "containerID": container.id}}
    last = {"terminated": {"exitCode": container.exit_code, "containerID": container.id}}
    return {
        "name": container.name,
        "ready": container.ready,
        "started": container.running,
        "restartCount": container.restarts,
        "containerID": container.id,
        "state": state,
        "lastState": last if container.waiting and container.exit_code is not None else {},
    }
