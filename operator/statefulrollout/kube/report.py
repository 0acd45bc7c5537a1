"""Writes the status of a StatefulRollout: one PATCH, and only where something changed.

Times that merely say when a condition last changed are no change; who polls the object sees a version move only when
something happened. Phase and conditions are told at once; how far the pods are is told when a moment has passed, so
that what is over by then is not written at all: between a pod and its successor, say, there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from statefulrollout.api.v1alpha1 import Status
from statefulrollout.kube import paths
from statefulrollout.kube.client import MERGE_PATCH, Json, Kube

MOMENT_SECONDS = 0.25
"""How long the status may lag behind the pods, as long as phase and conditions stay."""
OVERDUE_SECONDS = 1.0
"""And where pods are changed all the time."""


@dataclass
class Unsaid:
    """Since when the pods are further than the status says, seconds since the epoch; None where they are not."""

    since: float | None = None

    def is_overdue(self, now: float) -> bool:
        """Whether pods have been changed again and again since the status was last written."""
        return now >= self._note(now) + OVERDUE_SECONDS

    def due_in(self, raw: Json, status: Status, now: float) -> float | None:
        """Seconds until `status` is to be written to the StatefulRollout `raw`; None where that says it already."""
        wire = wire_of(status)
        if _is_told(raw, wire):
            self.since = None
            return None
        if _gist_of(raw.get("status") or {}) != _gist_of(wire):
            return 0.0
        return max(0.0, self._note(now) + MOMENT_SECONDS - now)

    def _note(self, now: float) -> float:
        """Since when, now at the latest, whatever the clock said before."""
        self.since = now if self.since is None else min(self.since, now)
        return self.since


async def report(kube: Kube, raw: Json, status: Status) -> Json:
    """Write `status` to the StatefulRollout that was read as `raw`, and return it as it is then.

    Raises:
        Conflict: the object changed since it was read.
    """
    wire = wire_of(status)
    if _is_told(raw, wire):
        return raw
    metadata = raw["metadata"]
    body = {
        "metadata": {"resourceVersion": metadata["resourceVersion"], "uid": metadata["uid"]},
        "status": {**dict.fromkeys(raw.get("status") or {}), **wire},
    }
    path = paths.statefulrollouts(metadata["namespace"], metadata["name"], "status")
    return await kube.call("PATCH", path, body=body, content_type=MERGE_PATCH)


def wire_of(status: Status) -> dict[str, Any]:
    """The status as JSON; what is not set is None at the top, so that a merge patch removes it, and absent below."""
    top = status.model_dump(mode="json", by_alias=True)
    return {**top, **status.model_dump(mode="json", by_alias=True, exclude_none=True)}


def _is_told(raw: Json, wire: Json) -> bool:
    return {key: value for key, value in wire.items() if value is not None} == (raw.get("status") or {})


def _gist_of(wire: Json) -> tuple[Any, ...]:
    """What scripts wait for."""
    conditions = wire.get("conditions") or ()
    return (
        wire.get("observedGeneration"),
        wire.get("phase"),
        [(each["type"], each["status"], each["reason"]) for each in conditions],
    )
