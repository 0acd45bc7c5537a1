"""What a choice is made on: everything that guards look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from statefulrollout.core.budget import pods_of, unavailable_ordinals
from statefulrollout.core.judging import Judgement
from statefulrollout.core.measuring import Carried, carried
from statefulrollout.core.ordering import foremost_in_zones, zone_in_the_way
from statefulrollout.core.pacing import Pacing, moved_by_now
from statefulrollout.core.snapshot import Snapshot, StatefulSetView
from statefulrollout.core.stages import IN_MOTION, Place, Stage
from statefulrollout.core.wording import name_some


@dataclass(frozen=True)
class Scene:
    """What guards look at: the pods, and what the hooks and checks said.

    `chosen` are the UIDs already chosen, in this pass or before, but for the one that is judged, and `chosen_at` when
    the last of them was; `troubles` name what holds the whole rollout, and `unprepared` what must be done before it
    begins. Times are seconds since the epoch.

    What is said of all pods together is worked out once per scene: of a thousand candidates most see the same one. A
    scene with one more chosen is made by `choosing`, for a thousand may be chosen in one pass.
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

    def choosing(self, place: Place) -> Self:
        """The same scene once this pod is chosen, now."""
        away = self.away | {place.pod.ordinal} if place.pod.ordinal in self.target.ordinals else self.away
        scene = replace(self, chosen=self.chosen | {place.pod.uid}, chosen_at=self.now)
        return self._hand_on(scene, away)

    def sparing(self, place: Place) -> Self:
        """The same scene, were this pod not chosen."""
        away = self.away - {place.pod.ordinal} if place.available else self.away
        return self._hand_on(replace(self, chosen=self.chosen - {place.pod.uid}), away)

    def _hand_on(self, scene: Self, away: frozenset[int]) -> Self:
        """Save a scene that differs in who is chosen from working out anew what is the same, or known."""
        vars(scene).update({name: vars(self)[name] for name in _CHOSEN_OR_NOT if name in vars(self)}, away=away)
        return scene

    def moves_forward(self, candidate: Place) -> bool:
        """Whether it leaves for the wanted revision: not because of a scale-down, nor on the way back."""
        return candidate.leaves_for == self.target.update_revision

    @property
    def limit(self) -> int:
        """Pods that may be unavailable at a time."""
        return pods_of(self.snapshot.rollout.spec.strategy.max_unavailable, self.target.replicas)

    @cached_property
    def away(self) -> frozenset[int]:
        """The wanted ordinals without an available pod, as if those that are chosen were gone."""
        return unavailable_ordinals(self.target, self.places, self.chosen)

    @cached_property
    def away_named(self) -> str:
        """Who that is, in words."""
        return name_some([f"{self.target.name}-{ordinal}" for ordinal in sorted(self.away)])

    @cached_property
    def condemned_away(self) -> int:
        """How many pods are unavailable, or leave for good: one that is broken for good moves no state any more."""
        leaving = sum(place.stage in IN_MOTION for place in self._condemned)
        return len(self.away - self._broken) + leaving + sum(place.pod.uid in self.chosen for place in self._condemned)

    @cached_property
    def moved(self) -> int:
        """How many of the wanted ordinals have gone to the wanted revision, or are about to."""
        return moved_by_now(self.target, self.places, self.chosen)

    @cached_property
    def unsettled(self) -> tuple[Place, ...]:
        """Pods that are on their way out or in, or chosen to go."""
        stages = IN_MOTION | {Stage.STARTING, Stage.RESTORING, Stage.TERMINATING}
        return tuple(place for place in self.places if place.stage in stages or place.pod.uid in self.chosen)

    @cached_property
    def available(self) -> frozenset[str]:
        """UIDs of the pods that carry load now, and are not chosen."""
        return frozenset(place.pod.uid for place in self.places if place.available) - self.chosen

    @cached_property
    def resting(self) -> bool:
        """Whether a pod has come back, and is looked at or accepted."""
        return any(place.stage in (Stage.SOAKING, Stage.UPDATED) for place in self.places)

    @cached_property
    def load(self) -> Carried:
        """What all of them have to carry."""
        return carried(self.snapshot, self.places, self.now)

    def zone_in_the_way(self, candidate: Place) -> str:
        """Why the candidate's zone may not be disturbed now, in words."""
        return zone_in_the_way(self.snapshot, self._foremost, self._missing, self.chosen, candidate)

    @cached_property
    def _broken(self) -> frozenset[int]:
        return frozenset(place.pod.ordinal for place in self.places if place.stuck)

    @cached_property
    def _condemned(self) -> tuple[Place, ...]:
        return tuple(place for place in self.places if place.condemned)

    @cached_property
    def _foremost(self) -> tuple[Place, ...]:
        return foremost_in_zones(self.snapshot, self.places, self.chosen)

    @cached_property
    def _missing(self) -> tuple[int, ...]:
        present = {place.pod.ordinal for place in self.places}
        return tuple(ordinal for ordinal in self.target.ordinals if ordinal not in present)


_CHOSEN_OR_NOT = ("resting", "load", "_broken", "_condemned", "_missing")
"""What is the same whoever is chosen."""
