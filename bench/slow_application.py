"""The application that fake pods cannot be: one real pod behind a Service answers the hooks of all of them.

The server itself is `slow_server.py`, from a ConfigMap; this is how it is put there, called and asked what it saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e2e.harness.api import Api, pod_path
from e2e.harness.kubectl import Json, Kubectl

NAME = "application"
IMAGE = "kvstore:dev"
PORT = 9000
SERVER = Path(__file__).with_name("slow_server.py")
DEADLINE_SECONDS = 3600


@dataclass(frozen=True)
class Pace:
    """Every answer takes so many seconds, and so many of them say "in progress" before one says "done"."""

    answer_seconds: float
    unfinished_answers: int

    @property
    def drain_seconds(self) -> float:
        """What the application takes over one drain, were it asked again at once."""
        return self.answer_seconds * (self.unfinished_answers + 1)


def start(kubectl: Kubectl, namespace: str, pace: Pace) -> None:
    """Put it into the namespace, and return once it answers. Raises CommandFailedError."""
    kubectl.apply(*({**each, "metadata": {**each["metadata"], "namespace": namespace}} for each in build(pace)))
    kubectl.run("wait", "--for=condition=Ready", "-n", namespace, f"pod/{NAME}", "--timeout=60s")


def read_figures(api: Api, namespace: str) -> Json:
    """What it saw: `requests`, and the most that were in flight at one time (`mostInFlight`)."""
    return api.get(pod_path(namespace, NAME, PORT, "/figures"))


def build_drain() -> Json:
    """The hook. Nothing sends traffic to fake pods, so nobody has to hear that they are out of service."""
    call = {"http": {"port": PORT, "path": "/drain"}, "target": "Service", "service": {"name": NAME}}
    return {"apply": call, "propagationSeconds": 0, "deadlineSeconds": DEADLINE_SECONDS}


def build(pace: Pace) -> list[Json]:
    """The pod, its program and its Service."""
    container = {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", f"/program/{SERVER.name}"],
        "args": [str(PORT), str(pace.answer_seconds), str(pace.unfinished_answers)],
        "readinessProbe": {"httpGet": {"port": PORT, "path": "/figures"}, "periodSeconds": 1},
        "volumeMounts": [{"name": "program", "mountPath": "/program"}],
    }
    pod = {
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "program", "configMap": {"name": NAME}}],
    }
    labels = {"app": NAME}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME},
            "data": {SERVER.name: SERVER.read_text(encoding="utf-8")},
        },
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "labels": labels}, "spec": pod},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME},
            "spec": {"selector": labels, "ports": [{"port": PORT, "targetPort": PORT}]},
        },
    ]
