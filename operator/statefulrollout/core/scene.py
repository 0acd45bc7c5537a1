"""What a choice is made on: everything that guards look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from statefulrollout.core.budget import pods_of
from statefulrollout.core.judging import Judgement
from statefulrollout.core.pacing import Pacing
from statefulrollout.core.snapshot import Snapshot, StatefulSetView
from statefulrollout.core.stages import Place


@dataclass(frozen=True)
class Scene:
    """What guards look at: the pods, and what the hooks and checks said.

    `chosen` are the UIDs already chosen, in this pass or before, but for the one that is judged, and `chosen_at` when
    the last of them was; `troubles` name what holds the whole rollout, and `unprepared` what must be done before it
    begins. Times are seconds since the epoch.
    """

    snapshot: Snapshot
    target: StatefulSetView
    places: Sequence[Place]
    chosen: frozenset[str]
    checks: Mapping[str, Judgement]
    troubles: Sequence[str]
    pacing: Pacing
    chosen_at: float | None
    unprepared: str
    now: float

    def moves_forward(self, candidate: Place) -> bool:
        """Whether it leaves for the wanted revision: not because of a scale-down, nor on the way back."""
        return candidate.leaves_for == self.target.update_revision

    @property
    def limit(self) -> int:
        """Pods that may be unavailable at a time."""
        return pods_of(self.snapshot.rollout.spec.strategy.max_unavailable, self.target.replicas)
