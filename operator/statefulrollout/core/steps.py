"""The next step of one pod, by its stage: actions, asks, and what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from statefulrollout.core import arrival, departure
from statefulrollout.core.stages import LEAVING, Place, Stage
from statefulrollout.core.step import Stand, Step


def step_of(stand: Stand, place: Place) -> Step:
    """The next step of this pod."""
    facts = place.pod.facts
    if place.stage in LEAVING and place.pod.containers_ready and facts is not None and facts.stuck:
        return departure.revive(place, facts)
    step = _STEPS[place.stage](stand, place)
    if not step.actions and not place.pod.terminating and (mark := arrival.take_over(stand, place)):
        return replace(step, actions=(mark,))
    return step


_STEPS: Mapping[Stage, Callable[[Stand, Place], Step]] = {
    Stage.SERVING: arrival.rest,
    Stage.SOAKING: arrival.rest,
    Stage.UPDATED: arrival.rest,
    Stage.ISOLATING: departure.isolate,
    Stage.DRAINING: departure.drain,
    Stage.MIGRATING: departure.migrate,
    Stage.RELEASED: departure.see_off,
    Stage.TERMINATING: departure.lose,
    Stage.STARTING: arrival.start,
    Stage.RESTORING: arrival.restore,
    Stage.RETURNING: arrival.give_back,
}
