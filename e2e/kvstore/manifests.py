"""The Kubernetes objects of the sample application, as plain dicts. Pure: applies nothing.

The same pods serve under a plain StatefulSet (`membership="static"`) and under a StatefulRollout (`"declared"`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Manifest = dict[str, Any]

CLIENT_PORT = 8080
ADMIN_PORT = 8081
SECURE_PORT = 8443
DATA_DIR = "/data"
TLS_DIR = "/tls"
USER_ID = 65532


def labels_of(name: str) -> dict[str, str]:
    """The labels that every object of one application carries, and its Services select by."""
    return {"app.kubernetes.io/name": "kvstore", "app.kubernetes.io/instance": name}


def headless_service_name(name: str) -> str:
    """The Service that gives each pod a name of its own."""
    return f"{name}-peers"


@dataclass(frozen=True)
class Kvstore:
    """One running store. `env` changes the template: VERSION harmlessly, CRASH, READY_DELAY or FAULTS not so."""

    name: str
    namespace: str
    image: str
    replicas: int = 5
    membership: Literal["declared", "static"] = "declared"
    pod_management_policy: Literal["OrderedReady", "Parallel"] = "OrderedReady"
    env: Mapping[str, str] = field(default_factory=dict)
    volume: bool = False
    certificate: str = ""
    """Name of the Secret with tls.crt and tls.key."""
    grace_seconds: int = 10


def build_store(store: Kvstore) -> list[Manifest]:
    """Everything a running store needs."""
    return [
        build_headless_service(store.name, store.namespace),
        build_client_service(store.name, store.namespace),
        build_statefulset(store),
    ]


def build_statefulset(store: Kvstore) -> Manifest:
    """The StatefulSet."""
    peers = headless_service_name(store.name)
    settings = {
        "MEMBERSHIP": store.membership,
        **({"DATA_DIR": DATA_DIR} if store.volume else {}),
        **({"TLS_DIR": TLS_DIR} if store.certificate else {}),
        **({"SERVICE": peers, "REPLICAS": str(store.replicas)} if store.membership == "static" else {}),
        **store.env,
    }
    container: Manifest = {
        "name": "kvstore",
        "image": store.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["e2e.kvstore"],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            *({"name": variable, "value": value} for variable, value in settings.items()),
        ],
        "ports": [
            {"name": "client", "containerPort": CLIENT_PORT},
            {"name": "admin", "containerPort": ADMIN_PORT},
        ],
        "readinessProbe": {"httpGet": {"port": "admin", "path": "/readyz"}, "periodSeconds": 1, "timeoutSeconds": 2},
        "livenessProbe": {"httpGet": {"port": "admin", "path": "/healthz"}, "periodSeconds": 10, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": build_container_security(),
        **({"volumeMounts": [{"name": "data", "mountPath": DATA_DIR}]} if store.volume else {}),
    }
    if store.certificate:
        container["ports"].append({"name": "secure", "containerPort": SECURE_PORT})
        container.setdefault("volumeMounts", []).append({"name": "tls", "mountPath": TLS_DIR, "readOnly": True})
    pod: Manifest = {
        "terminationGracePeriodSeconds": store.grace_seconds,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": build_pod_security(),
        "containers": [container],
    }
    if store.certificate:
        pod["volumes"] = [{"name": "tls", "secret": {"secretName": store.certificate, "defaultMode": 0o444}}]
    spec: Manifest = {
        "serviceName": peers,
        "replicas": store.replicas,
        "podManagementPolicy": store.pod_management_policy,
        "selector": {"matchLabels": labels_of(store.name)},
        "template": {"metadata": {"labels": labels_of(store.name)}, "spec": pod},
    }
    if store.volume:
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}}
        spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": _metadata(store.name, store.namespace, store.name),
        "spec": spec,
    }


def build_headless_service(name: str, namespace: str) -> Manifest:
    """Names for the pods, ready or not: members must find each other while a pod is out of the client Service."""
    return _build_service(
        headless_service_name(name),
        namespace,
        name,
        {"clusterIP": "None", "publishNotReadyAddresses": True, "ports": [_port("admin", ADMIN_PORT)]},
    )


def build_client_service(name: str, namespace: str) -> Manifest:
    """Where clients connect: any ready pod answers for any key."""
    return _build_service(name, namespace, name, {"ports": [_port("client", CLIENT_PORT)]})


def build_disruption_budget(name: str, namespace: str, max_unavailable: int = 1) -> Manifest:
    """A PodDisruptionBudget over the store's pods."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(name, namespace, name),
        "spec": {"maxUnavailable": max_unavailable, "selector": {"matchLabels": labels_of(name)}},
    }


def build_rollout(name: str, namespace: str, **fields: Any) -> Manifest:
    """The StatefulRollout for the store; `fields` replace or add to its spec, None leaves one out."""
    spec: Manifest = {
        "targetRef": {"name": name},
        "drain": {
            "apply": {"http": {"port": "admin", "path": "/drain"}},
            "undo": {"http": {"port": "admin", "path": "/drain", "method": "DELETE"}},
        },
        "membership": {"apply": {"http": {"port": "admin", "path": "/members"}, "target": "AnyPeer"}},
        **fields,
    }
    return {
        "apiVersion": "statefulrollout.dev/v1alpha1",
        "kind": "StatefulRollout",
        "metadata": _metadata(name, namespace, name),
        "spec": {field: value for field, value in spec.items() if value is not None},
    }


def build_pod_security() -> Manifest:
    """What the restricted Pod Security Standard asks of a pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        "runAsGroup": USER_ID,
        "fsGroup": USER_ID,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def build_container_security() -> Manifest:
    """What it asks of a container, and a root file system that cannot be written to."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _metadata(object_name: str, namespace: str, name: str) -> Manifest:
    return {"name": object_name, "namespace": namespace, "labels": labels_of(name)}


def _port(name: str, number: int) -> Manifest:
    return {"name": name, "port": number, "targetPort": name}


def _build_service(object_name: str, namespace: str, name: str, spec: Manifest) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(object_name, namespace, name),
        "spec": {"selector": labels_of(name), **spec},
    }
