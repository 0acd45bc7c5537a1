"""What is remembered of a StatefulSet from pass to pass."""

from __future__ import annotations

from dataclasses import dataclass, field

from statefulrollout.kube.anchors import Anchors
from statefulrollout.kube.budgets import FloorMemory
from statefulrollout.kube.isolation import Isolation
from statefulrollout.kube.known import Known
from statefulrollout.kube.report import Unsaid
from statefulrollout.kube.zones import Zones


@dataclass(frozen=True)
class Memory:
    """To forget it costs time and reads, never safety."""

    isolation: Isolation
    zones: Zones
    floor: FloorMemory
    anchors: Anchors = field(default_factory=Anchors)
    known: Known = field(default_factory=Known)
    unsaid: Unsaid = field(default_factory=Unsaid)
