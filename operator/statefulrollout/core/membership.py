"""Whom the application shall consist of: the declarative form of moving state.

Members are defined by stage, not by readiness: a pod that drains is still a member if it was one, one that migrates is
not, one that came back joins before it serves. The operator declares the whole set, under a generation that only grows,
one declaration at a time; a changed set supersedes the one before at once, so a member that dies cannot block the next.

A member that vanished without our doing is *away* for a while: its state may come back with its volume. One that
still runs but is not ready for long, behind open gates, is *unknown*: its node has stopped answering. One that has
joined and fails its readiness probe before it serves has lost nothing, and stays in for as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from statefulrollout.api import names
from statefulrollout.api.v1alpha1 import Membership
from statefulrollout.core.containers import are_running, identity_of
from statefulrollout.core.goal import goal_of
from statefulrollout.core.ledger import Absence, Declaration, Member
from statefulrollout.core.snapshot import PodView, Snapshot
from statefulrollout.core.stages import LEAVING, Place, Stage

STAYING = frozenset({Stage.SERVING, Stage.ISOLATING, Stage.DRAINING, Stage.SOAKING, Stage.UPDATED})
JOINING = frozenset({Stage.RESTORING, Stage.RETURNING})


@dataclass(frozen=True)
class Roster:
    """The pods of the set by their part in the membership."""

    serving: tuple[PodView, ...]
    joining: tuple[PodView, ...]
    leaving: tuple[PodView, ...]
    away: tuple[Absence, ...]
    unknown: tuple[str, ...]

    @property
    def members(self) -> tuple[PodView, ...]:
        """The pods the application shall consist of."""
        return (*self.serving, *self.joining)


def roster_of(snapshot: Snapshot, places: Sequence[Place], now: float, restored: frozenset[str]) -> Roster:
    """Who is what now.

    `restored` are the UIDs of the pods whose own restore (or undo) is done: only these join. A pod that an earlier
    declaration named with these very containers stays in, so that a restart of the operator changes nothing; nobody
    becomes a member by leaving, as a broken pod would that is to be replaced.
    """
    rules = snapshot.rollout.spec.membership
    last = snapshot.ledger.declaration
    named = {(member.uid, member.containers) for member in last.members}
    serving: list[PodView] = []
    joining: list[PodView] = []
    leaving: list[PodView] = []
    unknown: list[str] = []
    gone: set[str] = set()
    for place in places:
        pod = place.pod
        is_named = bool(named) and (pod.uid, member_of(snapshot, pod).containers) in named
        was_member = is_named or rules is None or not last.generation
        is_out = place.stage in (Stage.MIGRATING, Stage.RELEASED) or (place.stage in LEAVING and not was_member)
        if is_out:
            gone.add(pod.name)
        if place.stage in STAYING and not is_out:
            if rules is not None and _is_unreachable(pod, rules, now):
                unknown.append(pod.name)
            else:
                serving.append(pod)
        elif place.stage in JOINING or (is_named and _is_there_again_soon(snapshot, place, now)):
            if pod.uid in restored or is_named:
                joining.append(pod)
        elif _has_state_to_hand_over(place):
            leaving.append(pod)
    present = {pod.name for pod in (*serving, *joining, *leaving)} | set(unknown) | gone
    away = _away(snapshot, last, present, now) if rules is not None else ()
    return Roster(tuple(serving), tuple(joining), tuple(leaving), away, tuple(unknown))


def _is_there_again_soon(snapshot: Snapshot, place: Place, now: float) -> bool:
    """Whether its containers run and merely fail their readiness probe, for no longer than an unknown pod may."""
    pod, rules = place.pod, snapshot.rollout.spec.membership
    if rules is None or place.stage is not Stage.STARTING or pod.awaits_restart or not are_running(snapshot, pod):
        return False
    return now < pod.unready_since + rules.unknown_after_seconds


def _has_state_to_hand_over(place: Place) -> bool:
    """One that was released has handed over all it had; one that was chosen because it is dead cannot."""
    if place.stage is Stage.MIGRATING:
        return not (place.pod.facts is not None and place.pod.facts.stuck)
    return place.stage is Stage.TERMINATING and not place.pod.finished


def _is_unreachable(pod: PodView, rules: Membership, now: float) -> bool:
    """Containers ready and our gate open, yet not Ready: only a node that stopped reporting looks like this."""
    since = dark_since(pod)
    return pod.containers_ready and since is not None and now >= since + rules.unknown_after_seconds


def dark_since(pod: PodView) -> float | None:
    """Since when the pod is not Ready although our gate is open; None where it is Ready, or not to serve.

    When the gate has just been opened, the pod is not Ready yet, and has not been for as long as it was out of service.
    """
    unready, opened = pod.since("Ready"), pod.since(names.SERVING)
    if not pod.serving or pod.ready or unready is None:
        return None
    return max(unready, opened or 0.0)


def _away(snapshot: Snapshot, last: Declaration, present: set[str], now: float) -> tuple[Absence, ...]:
    target, rules = snapshot.target, snapshot.rollout.spec.membership
    if target is None or rules is None:
        return ()
    expected = {f"{target.name}-{ordinal}" for ordinal in target.ordinals}
    known = {absence.name: absence.since for absence in last.away}
    candidates = [member.name for member in last.members] + list(known)
    missing = [name for name in dict.fromkeys(candidates) if name in expected and name not in present]
    absences = (Absence(name=name, since=known.get(name, now)) for name in missing)
    return tuple(absence for absence in absences if now < absence.since + rules.away_seconds)


def member_of(snapshot: Snapshot, pod: PodView) -> Member:
    """The pod as the ledger remembers it: a restarted container makes it another member."""
    return Member(name=pod.name, uid=pod.uid, containers=tuple(sorted(identity_of(snapshot, pod).values())))


def declaration_of(snapshot: Snapshot, roster: Roster, coordinator: str, now: float) -> Declaration:
    """The declaration that shall stand: the last one where it says the same, or its successor.

    A generation is at least the time in milliseconds, so that it grows even where the ledger was lost, and jumps
    past any higher one that the application says it has seen.
    """
    last = snapshot.ledger.declaration
    seen = max(
        (report.generation or 0 for ask_id, report in snapshot.reports.items() if ask_id.startswith("membership/")),
        default=0,
    )
    members = tuple(sorted((member_of(snapshot, pod) for pod in roster.members), key=lambda member: member.name))
    same = (
        last.generation > 0
        and seen <= last.generation
        and members == last.members
        and {absence.name for absence in roster.away} == {absence.name for absence in last.away}
    )
    if same:
        return last if coordinator == last.coordinator else last.model_copy(update={"coordinator": coordinator})
    return Declaration(
        generation=max(last.generation + 1, seen + 1, int(now * 1000)),
        members=members,
        away=roster.away,
        coordinator=coordinator,
        at=now,
    )


def coordinator_of(snapshot: Snapshot, places: Sequence[Place], roster: Roster) -> str:
    """Who is told, where one member tells the others: the same pod as long as it can answer.

    Otherwise a serving one, first of the revision that all shall be at; with nobody serving, any whose containers are
    ready.
    """
    members = {pod.uid for pod in roster.members}
    able = [place for place in places if place.pod.uid in members and place.pod.containers_ready and place.pod.ip]
    if any(place.pod.uid == snapshot.ledger.declaration.coordinator for place in able):
        return snapshot.ledger.declaration.coordinator

    def rank(place: Place) -> tuple[bool, bool, int]:
        wanted = place.pod.revision == goal_of(snapshot)
        steady = place.stage in (Stage.SERVING, Stage.SOAKING, Stage.UPDATED)
        return (not steady, not wanted, place.pod.ordinal)

    return min(able, key=rank).pod.uid if able else ""


def document_of(snapshot: Snapshot, roster: Roster, generation: int) -> dict[str, Any]:
    """The `members` part of the hook document."""

    def entry(pod: PodView) -> dict[str, Any]:
        return {"name": pod.name, "uid": pod.uid, "ip": pod.ip, "ordinal": pod.ordinal, "revision": pod.revision}

    return {
        "generation": generation,
        "serving": [entry(pod) for pod in roster.serving],
        "joining": [entry(pod) for pod in roster.joining],
        "leaving": [entry(pod) for pod in roster.leaving],
        "away": [{"name": absence.name} for absence in roster.away],
        "unknown": [{"name": name} for name in roster.unknown],
    }
