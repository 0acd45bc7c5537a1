"""A story as data: one set, one operator, and what happens to them. Small values first, so that failures shrink."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Value = int | float | str


@dataclass(frozen=True)
class Deed:
    """Something that somebody does, so many seconds after the deed before it: an enemy by name, and its arguments."""

    after: float
    what: str
    arguments: tuple[Value, ...] = ()

    def __repr__(self) -> str:
        words = ", ".join(map(repr, self.arguments))
        return f"+{self.after:g}s {self.what}({words})"


@dataclass(frozen=True)
class Story:
    """Everything that decides how a run goes.

    Attributes:
        replicas: pods of the StatefulSet.
        ordered: whether its pods are managed one after the other (OrderedReady).
        spec: merged into the StatefulRollout's default spec, as on the wire.
        budget: `maxUnavailable` of a PodDisruptionBudget, None for none.
        several_at_once: the cluster's feature gate MaxUnavailableStatefulSet.
        operators: replicas of the operator.
        bold: each of them believes that it leads, whatever the Lease says.
        local: its pods have local volumes, and can come back on their own node alone.
        order: seed of the order of simultaneous events; None for a fixed one.
        deeds: in the order of time.
    """

    replicas: int = 3
    ordered: bool = False
    spec: Mapping[str, Any] = field(default_factory=dict)
    budget: int | None = None
    several_at_once: bool = False
    operators: int = 1
    bold: bool = False
    local: bool = False
    order: int | None = None
    deeds: tuple[Deed, ...] = ()
