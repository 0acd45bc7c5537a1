"""The pod that puts load on a store from inside the cluster, as a plain dict. Pure: applies nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from e2e.kvstore.manifests import CLIENT_PORT, build_container_security, build_pod_security

CONTROL_PORT = 8090


def build_load(
    name: str, namespace: str, image: str, service: str, *, keys: int = 50_000, rate: int = 300
) -> dict[str, Any]:
    """The load pod; ready once its keys are preloaded. `rate` is in requests per second.

    Its endpoints (`run.py`) are on port 8090, reachable through the API server's pod proxy.
    """
    args = ["e2e.load", "--host", service, "--port", CLIENT_PORT, "--control-port", CONTROL_PORT]
    args += ["--keys", keys, "--rate", rate]
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
    return build_client(name, namespace, "kvstore-load", image, [str(arg) for arg in args], resources)


def build_client(
    name: str, namespace: str, label: str, image: str, args: Sequence[str], resources: Mapping[str, Any]
) -> dict[str, Any]:
    """A pod of clients, labelled as the application `label`, that is followed by its control port 8090.

    It answers `GET /readyz` (200 once the clients run), `GET /stats` and `POST /finish` there.
    """
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": list(args),
        "ports": [{"name": "control", "containerPort": CONTROL_PORT}],
        "readinessProbe": {"httpGet": {"port": "control", "path": "/readyz"}, "periodSeconds": 1, "timeoutSeconds": 5},
        "resources": dict(resources),
        "securityContext": build_container_security(),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": label}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 2,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": build_pod_security(),
            "containers": [container],
        },
    }
