"""What is measured before a pod is chosen: the roles of those that may go, and the load that the pods carry.

A measurement is asked again and again while somebody waits to leave, and is good for a few seconds only. One that is
missing or old is unknown, and unknown never counts as good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from statefulrollout.api.v1alpha1 import Call, Load, RoleQuestion, Target
from statefulrollout.core.asks import Ask, Measure, Measured, Report
from statefulrollout.core.containers import identity_of
from statefulrollout.core.questions import Surroundings, digest_of, document_of, pod_document_of, request_of
from statefulrollout.core.snapshot import PodView, Snapshot
from statefulrollout.core.stages import Place, Stage

FRESH_SECONDS = 5.0
"""How old a value may be, beside the time that one request may take."""
LOOK_SECONDS = 2.0
"""Until the next look at what was measured: it changes without an event."""

CARRYING = (Stage.SERVING, Stage.SOAKING, Stage.UPDATED)


@dataclass(frozen=True)
class Carried:
    """The whole load, None where it is not known; `why` says then what is missing."""

    total: float | None
    why: str = ""


def wait_to_leave(places: Sequence[Place]) -> tuple[Place, ...]:
    """The pods that serve and shall go for another revision: what is measured, is measured for them."""
    return tuple(
        place
        for place in places
        if place.leaves_for is not None and not place.condemned and place.stage is Stage.SERVING and not place.stuck
    )


def asks_of_measures(around: Surroundings) -> tuple[Ask, ...]:
    """The questions that shall be open now."""
    spec, waiting = around.snapshot.rollout.spec, wait_to_leave(around.places)
    if not waiting or spec.paused:
        return ()
    role, asks = spec.strategy.order.role, list[Ask]()
    if role is not None and role.ask is not None:
        asks += [_ask_of_role(around, role.ask, place) for place in waiting]
    if spec.capacity is not None:
        load = spec.capacity.load
        asks += [_ask_of_load(around, load, pod) for pod in _asked_for_load(load.call, around.places)]
    return tuple(asks)


def role_of(snapshot: Snapshot, pod: PodView, now: float) -> str | None:
    """The pod's role, empty where it has none; None where it is not known."""
    role = snapshot.rollout.spec.strategy.order.role
    if role is None:
        return ""
    if role.ask is None:
        return pod.labels.get(role.label or "", "")
    value = _fresh(snapshot.reports.get(role_id_of(snapshot, pod)), role.ask.call, now)
    return value if isinstance(value, str) else None


def why_role_is_unknown(snapshot: Snapshot, pod: PodView) -> str:
    """What is known about a role that is not known."""
    report = snapshot.reports.get(role_id_of(snapshot, pod))
    return report.text if report else "not answered yet"


def carried(snapshot: Snapshot, places: Sequence[Place], now: float) -> Carried:
    """The load that all pods carry together, as just measured."""
    capacity = snapshot.rollout.spec.capacity
    if capacity is None:
        return Carried(0.0)
    total = 0.0
    for pod in _asked_for_load(capacity.load.call, places):
        report = snapshot.reports.get(load_id_of(pod))
        value = _fresh(report, capacity.load.call, now)
        if not isinstance(value, float):
            who = f"{pod.name}: " if pod else ""
            return Carried(None, f"{who}{report.text if report else 'not answered yet'}")
        total += value
    return Carried(total)


def _asked_for_load(call: Call, places: Sequence[Place]) -> tuple[PodView | None, ...]:
    """Every pod that takes load; or None, alone, where one answer is for all."""
    if call.target is not Target.POD:
        return (None,)
    return tuple(place.pod for place in places if place.stage in CARRYING)


def _fresh(report: Report | None, call: Call, now: float) -> Measured | None:
    if report is None or now > report.at + FRESH_SECONDS + call.timeout_seconds:
        return None
    return report.value


def role_id_of(snapshot: Snapshot, pod: PodView) -> str:
    """Identity of the question for a pod's role."""
    return f"role/{pod.uid}/{digest_of(sorted(identity_of(snapshot, pod).values()))}"


def _ask_of_role(around: Surroundings, question: RoleQuestion, place: Place) -> Ask:
    """The question for a pod's role."""
    identity = role_id_of(around.snapshot, place.pod)
    document = document_of(around, "role", identity, None, place.pod)
    return Ask(
        id=identity,
        title="role",
        request=request_of(around, question.call, place.pod, document),
        measure=Measure(question.value, "text"),
        repeats=True,
        variables={"pod": pod_document_of(place.pod), "members": document["members"]},
    )


def load_id_of(pod: PodView | None) -> str:
    """Identity of the question for the load, of one pod or of all."""
    return f"load/{pod.uid}" if pod else "load"


def _ask_of_load(around: Surroundings, load: Load, pod: PodView | None) -> Ask:
    """The question for the load, of one pod or of all."""
    identity = load_id_of(pod)
    document = document_of(around, "load", identity, None, pod)
    return Ask(
        id=identity,
        title="load",
        request=request_of(around, load.call, None, document, to=[pod] if pod else None),
        measure=Measure(load.value, "number"),
        repeats=True,
        variables={"pod": {}, "members": document["members"]},
    )
