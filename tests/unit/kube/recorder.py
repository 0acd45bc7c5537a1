"""Recording fakes for whoever talks to the API server: every call as it would be sent, and answers as they are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from statefulrollout.api import names
from statefulrollout.core.floor import ALL
from statefulrollout.errors import ApiError, api_error_of
from statefulrollout.kube import paths
from statefulrollout.kube.client import METADATA_ONLY, Kube
from statefulrollout.kube.events import Events
from statefulrollout.kube.paths import resource_of

Json = dict[str, Any]

VERSION = 1000
"""The version of every list; that of a write is as much higher as there were calls before it."""


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    body: Any = None
    content_type: str = "application/json"
    params: Mapping[str, str] = field(default_factory=dict)


class RecordedKube(Kube):
    """Answers reads from `objects`, by path; a write is answered with a new version, or refused as `refusals` says."""

    def __init__(self, objects: Mapping[str, Json] | None = None) -> None:
        self.objects: dict[str, Json] = dict(objects or {})
        self.refusals: dict[tuple[str, str], ApiError] = {}
        self.calls: list[Call] = []

    def refuse(self, method: str, path: str, status: int, message: str = "") -> None:
        self.refusals[method, path] = api_error_of(status, {"reason": "Refused", "message": message})

    @property
    def writes(self) -> list[Call]:
        return [call for call in self.calls if call.method != "GET"]

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
        timeout: float = 5.0,
    ) -> Json:
        del timeout
        self.calls.append(Call(method, path, body, content_type, dict(params or {})))
        if refusal := self.refusals.get((method, path)):
            raise refusal
        if method != "GET":
            return self._written(method, path, body)
        if path in self.objects:
            return self.objects[path]
        if resource_of(path)[1]:
            raise api_error_of(404, {"reason": "NotFound"})
        field, _, name = (params or {}).get("fieldSelector", "").partition("=")
        items = [item for item in self._below(path) if field != "metadata.name" or item["metadata"]["name"] == name]
        if content_type == METADATA_ONLY:
            items = [{"metadata": item["metadata"]} for item in items]
        return {"items": items, "metadata": {"resourceVersion": str(VERSION)}}

    def _written(self, method: str, path: str, body: Any) -> Json:
        written = body if method in ("POST", "PUT") else self.objects.get(path.removesuffix("/status"), {})
        metadata = {"uid": "uid-new", **written.get("metadata", {}), "resourceVersion": str(VERSION + len(self.calls))}
        return {**written, "metadata": metadata}

    def _below(self, path: str) -> list[Json]:
        resource = resource_of(path)[0]
        scoped = "/namespaces/" in path
        return [
            item
            for where, item in self.objects.items()
            if resource_of(where)[0] == resource and (not scoped or where.startswith(f"{path}/"))
        ]


@dataclass(frozen=True)
class Word:
    """One event: on the object of this kind and name."""

    on: str
    type: str
    reason: str
    note: str


class RecordedEvents(Events):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.words: list[Word] = []

    def record(
        self,
        involved: Mapping[str, str],
        *,
        type: Literal["Normal", "Warning"],  # noqa: A002 - the API's own word
        reason: str,
        action: str,
        note: str,
    ) -> None:
        assert action
        assert involved["uid"]
        self.words.append(Word(f"{involved['kind']}/{involved['name']}", type, reason, note))


def a_raw_pod(name: str = "db-2", **fields: Any) -> Json:
    """A pod as the API server sends it; `fields` are merged over metadata, spec and status."""
    pod: Json = {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "resourceVersion": "900",
            "creationTimestamp": "2027-01-15T07:00:00Z",
            "labels": {"app": "db", names.REVISION_LABEL: "db-v1", names.FENCED_LABEL: "true"},
            "annotations": {
                names.FACTS_ANNOTATION: '{"containers":{"store":"containerd://1"},"stuck":false,"wanted":""}'
            },
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "uid-db", "controller": True}
            ],
        },
        "spec": {
            "nodeName": "node-2",
            "readinessGates": [{"conditionType": "another/gate"}, {"conditionType": names.SERVING}],
            "containers": [
                {
                    "name": "store",
                    "ports": [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 8081}],
                },
                {"name": "log"},
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.3",
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2027-01-15T07:30:00Z"},
                {"type": "ContainersReady", "status": "True", "lastTransitionTime": "2027-01-15T07:29:00Z"},
                {
                    "type": names.SERVING,
                    "status": "True",
                    "reason": "PodServing",
                    "lastTransitionTime": "2027-01-15T07:30:00Z",
                },
            ],
            "containerStatuses": [
                {
                    "name": "store",
                    "containerID": "containerd://1",
                    "ready": True,
                    "restartCount": 2,
                    "state": {"running": {"startedAt": "2027-01-15T07:29:00Z"}},
                    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                }
            ],
        },
    }
    for part, changes in fields.items():
        pod[part] = {**pod[part], **changes}
    return pod


def raw_floor(kept: int = 2) -> tuple[Json, Json]:
    """Our own PodDisruptionBudgets, counted, over pods in motion and over those at rest, of which so many are kept."""
    status = {"observedGeneration": 1}
    in_motion = {"name": "db-statefulrollout-in-motion", "generation": 1, "uid": "uid-in-motion"}
    at_rest = {"name": "db-statefulrollout-at-rest", "generation": 1, "uid": "uid-at-rest"}
    selector = {"matchLabels": {names.IN_MOTION_LABEL: "db"}}
    return (
        {"metadata": in_motion, "spec": {"minAvailable": ALL, "selector": selector}, "status": status},
        {"metadata": at_rest, "spec": {"minAvailable": kept, "selector": {}}, "status": status},
    )


def a_raw_set(**spec: Any) -> Json:
    """A StatefulSet as the API server sends it, in the midst of a rollout; `spec` overrides its fields."""
    return {
        "metadata": {"name": "db", "namespace": "shop", "uid": "uid-db", "generation": 7, "resourceVersion": "60"},
        "spec": {
            "replicas": 3,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "db"}},
            "updateStrategy": {"type": "OnDelete"},
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "store",
                            "ports": [{"name": "admin", "containerPort": 8081}, {"containerPort": 9090}],
                        },
                        {"name": "log", "ports": [{"name": "metrics", "containerPort": 9090}]},
                    ]
                }
            },
            **spec,
        },
        "status": {"observedGeneration": 7, "currentRevision": "db-v1", "updateRevision": "db-v2"},
    }


def a_raw_rollout(name: str = "db", created: str = "2027-01-15T06:00:00Z", **spec: Any) -> Json:
    """A StatefulRollout as the API server sends it in a list; `spec` adds to its spec."""
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-rollout-{name}",
            "generation": 3,
            "resourceVersion": "55",
            "creationTimestamp": created,
        },
        "spec": {"targetRef": {"name": "db"}, **spec},
    }


ROLLOUT = paths.statefulrollouts("shop", "db")
SET = paths.statefulsets("shop", "db")
LEDGER = paths.statefulrolloutledgers("shop", "db")
PODS = paths.pods("shop")


def read_by(kube: RecordedKube) -> list[str]:
    return [call.path for call in kube.calls]


def a_cluster(*pods: Json, **spec: Any) -> RecordedKube:
    objects = {SET: a_raw_set(**spec), LEDGER: {"metadata": {"uid": "uid-ledger", "resourceVersion": "9"}, "spec": {}}}
    objects[ROLLOUT] = a_raw_rollout()
    objects |= {f"{PODS}/{pod['metadata']['name']}": pod for pod in pods}
    return RecordedKube(objects)
