"""Writes the status of a StatefulRollout: one PATCH, and only where something changed.

Times that merely say when a condition last changed are no change; who polls the object sees a version move only when
something happened.
"""

from __future__ import annotations

from typing import Any

from statefulrollout.api.v1alpha1 import Status
from statefulrollout.kube import paths
from statefulrollout.kube.client import MERGE_PATCH, Json, Kube


async def report(kube: Kube, raw: Json, status: Status) -> Json:
    """Write `status` to the StatefulRollout that was read as `raw`, and return it as it is then.

    Raises:
        Conflict: the object changed since it was read.
    """
    wire = wire_of(status)
    present = raw.get("status") or {}
    if {key: value for key, value in wire.items() if value is not None} == present:
        return raw
    metadata = raw["metadata"]
    body = {
        "metadata": {"resourceVersion": metadata["resourceVersion"], "uid": metadata["uid"]},
        "status": {**dict.fromkeys(present), **wire},
    }
    path = paths.statefulrollouts(metadata["namespace"], metadata["name"], "status")
    return await kube.call("PATCH", path, body=body, content_type=MERGE_PATCH)


def wire_of(status: Status) -> dict[str, Any]:
    """The status as JSON; what is not set is None at the top, so that a merge patch removes it, and absent below."""
    top = status.model_dump(mode="json", by_alias=True)
    return {**top, **status.model_dump(mode="json", by_alias=True, exclude_none=True)}
