"""Requests that tests make of the simulated API server, as a user would."""

from __future__ import annotations

import pytest

from statefulrollout.api import names
from statefulrollout.errors import ApiError
from statefulrollout.kube.client import STRATEGIC_MERGE_PATCH, Kube
from tests.simulation.world.world import NAME, NAMESPACE, World

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
STATEFUL_SET = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/{NAME}"
ROLLOUT = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}/{names.PLURAL}/{NAME}"


async def refusal_of(world: World, method: str, path: str, **arguments: object) -> int:
    """The status code with which the API server refuses a request of the user."""
    with pytest.raises(ApiError) as caught:
        await world.user.call(method, path, **arguments)  # type: ignore[arg-type]
    return caught.value.status


async def mark(world: World, ordinal: int, kind: str, status: str, kube: Kube | None = None) -> None:
    """Write one condition of a pod, as the user or through another client."""
    pod = world.pod(ordinal)["metadata"]
    body = {"metadata": {"uid": pod["uid"]}, "status": {"conditions": [{"type": kind, "status": status}]}}
    path = f"{PODS}/{pod['name']}/status"
    await (kube or world.user).call("PATCH", path, body=body, content_type=STRATEGIC_MERGE_PATCH)
