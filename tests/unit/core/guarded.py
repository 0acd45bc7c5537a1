"""A candidate among other pods, as guards see it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from statefulrollout.core.asks import Report
from statefulrollout.core.guards import GUARDS
from statefulrollout.core.judging import Judgement
from statefulrollout.core.pacing import pacing_of
from statefulrollout.core.scene import Scene
from statefulrollout.core.snapshot import BudgetView, PodView, StatefulSetView
from statefulrollout.core.stages import Place, places_of
from tests.builders import NOW, a_ledger, a_pod, a_rolling_set, a_snapshot, a_spec, pods

CANDIDATE = a_pod("db-2")
CONDEMNED = a_pod("db-3")
STUCK = CANDIDATE.waiting_in("CrashLoopBackOff")
SET = a_rolling_set(3)
ORDERED = a_rolling_set(3, ordered=True)


def scene_of(
    candidate: PodView = CANDIDATE,
    others: tuple[PodView, ...] = pods(2),
    target: StatefulSetView = SET,
    *,
    failed: str = "",
    budgets: tuple[BudgetView, ...] = (),
    chosen: frozenset[str] = frozenset(),
    answers: dict[str, Judgement] | None = None,
    troubles: tuple[str, ...] = (),
    remembered: dict[str, Any] | None = None,
    zones: dict[str, str] | None = None,
    reports: dict[str, Report] | None = None,
    unprepared: str = "",
    anchors: dict[str, str] | None = None,
    cordoned: frozenset[str] = frozenset(),
    templates: dict[str, dict[str, Any]] | None = None,
    **spec: Any,
) -> tuple[Scene, Place]:
    """The candidate among others that are healthy, unless told otherwise."""
    ledger = a_ledger(failed=failed, **(remembered or {}))
    snapshot = a_snapshot(target, candidate, *others, spec=a_spec(**spec), ledger=ledger, budgets=budgets)
    snapshot = replace(snapshot, zones=zones or {}, reports=reports or {}, templates=templates or {})
    snapshot = replace(snapshot, anchors=anchors or {}, cordoned=cordoned)
    places = places_of(snapshot, NOW)
    place = next(place for place in places if place.pod.uid == candidate.uid)
    pacing = pacing_of(snapshot, target, places, NOW)
    scene = Scene(
        snapshot=snapshot,
        target=target,
        places=places,
        chosen=chosen,
        checks=answers or {},
        troubles=troubles,
        pacing=pacing,
        chosen_at=ledger.chosen_at,
        unprepared=unprepared,
        now=NOW,
    )
    return scene, place


def said(guard: str, *arguments: Any, **named: Any) -> str:
    """What the guard says; nothing where it agrees."""
    rules = {rule.__name__: rule for rule in GUARDS}
    return rules[guard](*scene_of(*arguments, **named))
