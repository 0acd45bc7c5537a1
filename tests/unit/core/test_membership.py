"""Whom the application shall consist of, under which generation, and who is told."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.api import names
from statefulrollout.core.asks import Answer
from statefulrollout.core.ledger import Absence, Ledger
from statefulrollout.core.membership import Roster, coordinator_of, declaration_of, document_of, member_of, roster_of
from statefulrollout.core.snapshot import PodView, Snapshot
from statefulrollout.core.stages import places_of
from tests.builders import MEMBERSHIP, NOW, a_ledger, a_pod, a_report, a_rolling_set, a_snapshot, a_spec, pods

LAST = a_pod("db-2")
NEW = LAST.at("v2")


def seen(*present: PodView, ledger: Ledger | None = None, reports: dict[str, Any] | None = None) -> Snapshot:
    spec = a_spec(membership={**MEMBERSHIP, "awaySeconds": 300, "unknownAfterSeconds": 60})
    isolated = {pod.uid: 60.0 for pod in present}
    return a_snapshot(a_rolling_set(), *present, spec=spec, ledger=ledger, reports=reports, isolated=isolated)


def roster(*present: PodView, restored: tuple[str, ...] = (), ledger: Ledger | None = None) -> Roster:
    snapshot = seen(*present, ledger=ledger)
    return roster_of(snapshot, places_of(snapshot, NOW), NOW, frozenset(restored))


def parts_of(roster: Roster) -> dict[str, list[str]]:
    """The names in each part that has any."""
    parts = {
        "serving": [pod.name for pod in roster.serving],
        "joining": [pod.name for pod in roster.joining],
        "leaving": [pod.name for pod in roster.leaving],
        "away": [absence.name for absence in roster.away],
        "unknown": list(roster.unknown),
    }
    return {part: listed for part, listed in parts.items() if listed}


@pytest.mark.parametrize("pod", [LAST.isolated("v2", stuck=True).failing_probe(), LAST.isolated("v2")])
def test_nobody_becomes_a_member_by_leaving(pod: PodView) -> None:
    others = pods(2)
    assert parts_of(roster(*others, pod, ledger=a_ledger(*others))) == {"serving": ["db-0", "db-1"]}
    was_one = roster(*others, pod, ledger=a_ledger(*others, pod))
    assert parts_of(was_one) == {"serving": ["db-0", "db-1", "db-2"]}


@pytest.mark.parametrize(
    ("part", "pod"),
    [
        ("serving", LAST),
        ("serving", LAST.failing_probe()),
        ("serving", LAST.isolated("v2")),
        ("serving", NEW.serving_since(3)),
        ("serving", LAST.condition("Ready", False, since=59)),
        ("unknown", LAST.condition("Ready", False, since=60)),
        ("serving", LAST.condition("Ready", False, since=600).condition(names.SERVING, True, since=59)),
        ("unknown", NEW.condition("Ready", False, since=60)),
        ("leaving", LAST.drained("v2")),
        ("leaving", LAST.deleted()),
        (None, LAST.isolated("v2", stuck=True).condition(names.DRAINED, True)),
        (None, LAST.let_go("v2")),
        (None, LAST.deleted().but(phase="Failed")),
        (None, NEW.starting()),
        (None, NEW.came_back()),
    ],
)
def test_a_pod_has_the_part_of_its_stage(part: str | None, pod: PodView) -> None:
    assert parts_of(roster(pod)) == ({part: ["db-2"]} if part else {})


@pytest.mark.parametrize("pod", [NEW.came_back(), LAST.isolated("v0")])
def test_a_pod_joins_once_its_own_part_is_done(pod: PodView) -> None:
    assert parts_of(roster(pod)) == {}
    assert parts_of(roster(pod, restored=(pod.uid,))) == {"joining": ["db-2"]}


def test_a_pod_that_was_named_with_these_containers_stays_in() -> None:
    pod = NEW.came_back()
    assert parts_of(roster(pod, ledger=a_ledger(pod))) == {"joining": ["db-2"]}
    assert parts_of(roster(pod.restarted(), ledger=a_ledger(pod))) == {"away": ["db-2"]}


@pytest.mark.parametrize(
    ("part", "pod"),
    [
        ("joining", NEW.came_back(since=90).condition("ContainersReady", False, since=59)),
        ("away", NEW.came_back(since=90).condition("ContainersReady", False, since=60)),
        ("away", NEW.came_back().restarted(ready=False)),
        ("away", NEW.came_back().waiting_in("CrashLoopBackOff")),
    ],
)
def test_a_pod_that_joined_and_fails_its_probe_stays_in_for_a_while(part: str, pod: PodView) -> None:
    assert parts_of(roster(pod, ledger=a_ledger(NEW.came_back()))) == {part: ["db-2"]}
    assert parts_of(roster(pod)) == {}


@pytest.mark.parametrize(
    ("away", "present"),
    [
        ([], pods(3)),
        (["db-2"], pods(2)),
        ([], (*pods(2), NEW.deleted())),
        ([], (*pods(2), LAST.let_go("v2"))),
        ([], (*pods(2), LAST.isolated("v2", stuck=True).condition(names.DRAINED, True))),
        (["db-2"], (*pods(2), NEW.starting())),
    ],
)
def test_a_member_that_vanished_is_away(away: list[str], present: tuple[PodView, ...]) -> None:
    assert [absence.name for absence in roster(*present, ledger=a_ledger(*pods(3))).away] == away


def test_whoever_was_no_member_is_not_away_and_neither_is_one_that_nobody_wants() -> None:
    assert roster(*pods(2), ledger=a_ledger(*pods(2))).away == ()
    assert roster(*pods(3), ledger=a_ledger(*pods(3), a_pod("db-3"))).away == ()


@pytest.mark.parametrize(("seconds", "away"), [(0, ["db-2"]), (299, ["db-2"]), (300, [])])
def test_absence_ends_when_its_time_is_over(seconds: float, away: list[str]) -> None:
    ledger = a_ledger(*pods(2))
    absent = (Absence(name="db-2", since=NOW - seconds),)
    ledger = ledger.model_copy(update={"declaration": ledger.declaration.model_copy(update={"away": absent})})
    assert [absence.name for absence in roster(*pods(2), ledger=ledger).away] == away


SETTLED = a_ledger(*pods(3))


def declared(snapshot: Snapshot, coordinator: str = "uid-db-0") -> Any:
    return declaration_of(snapshot, roster_of(snapshot, places_of(snapshot, NOW), NOW, frozenset()), coordinator, NOW)


def test_the_same_set_is_the_same_declaration() -> None:
    assert declared(seen(*pods(3), ledger=SETTLED)) == SETTLED.declaration


@pytest.mark.parametrize(
    "present",
    [
        pods(2),
        (*pods(2), LAST.drained("v2")),
        (*pods(2), a_pod("db-2", "another-uid")),
        (*pods(3), a_pod("db-3")),
        (*pods(2), LAST.condition("Ready", False, since=60)),
    ],
)
def test_another_set_supersedes_the_declaration_before_it(present: tuple[PodView, ...]) -> None:
    declaration = declared(seen(*present, ledger=SETTLED))
    assert declaration.generation > SETTLED.declaration.generation
    assert not declaration.done
    assert declaration.at == NOW


def test_a_restarted_container_is_another_member() -> None:
    before, after = (member_of(seen(pod), pod) for pod in (LAST, LAST.restarted()))
    assert before.uid == after.uid
    assert before != after


def test_who_returns_from_absence_makes_another_declaration() -> None:
    absent = seen(*pods(2), ledger=SETTLED)
    away = declared(absent)
    assert [absence.name for absence in away.away] == ["db-2"]
    ledger = a_ledger(declaration=away)
    assert declared(seen(*pods(2), ledger=ledger)) == away
    assert declared(seen(*pods(3), ledger=ledger)).away == ()


def generation_after(last: int, told: int | None) -> int:
    """The generation of another set, after the application has answered with one that it has seen."""
    ledger = a_ledger(*pods(3))
    ledger = ledger.model_copy(update={"declaration": ledger.declaration.model_copy(update={"generation": last})})
    reports = {f"membership/{last}/uid-db-0": a_report(Answer.NOT_NOW, generation=told)}
    generation = declared(seen(*pods(2), ledger=ledger, reports=reports)).generation
    assert isinstance(generation, int)
    return generation


MILLISECONDS = int(NOW * 1000)


@pytest.mark.parametrize(
    ("last", "told", "expected"),
    [
        (0, None, MILLISECONDS),
        (17, None, MILLISECONDS),
        (MILLISECONDS, None, MILLISECONDS + 1),
        (17, MILLISECONDS + 50, MILLISECONDS + 51),
        (MILLISECONDS + 9, MILLISECONDS + 3, MILLISECONDS + 10),
    ],
)
def test_a_generation_grows_whatever_the_ledger_and_the_clock_say(last: int, told: int | None, expected: int) -> None:
    assert generation_after(last, told) == expected


def test_a_higher_generation_that_the_application_has_seen_is_jumped_over_for_the_same_set() -> None:
    reports = {"membership/17/uid-db-0": a_report(Answer.NOT_NOW, generation=MILLISECONDS + 50)}
    assert declared(seen(*pods(3), ledger=SETTLED, reports=reports)).generation == MILLISECONDS + 51
    unrelated = {"check/calm/0": a_report(Answer.NOT_NOW, generation=MILLISECONDS + 50)}
    assert declared(seen(*pods(3), ledger=SETTLED, reports=unrelated)) == SETTLED.declaration


def test_another_coordinator_is_told_the_same_declaration() -> None:
    declaration = declared(seen(*pods(3), ledger=SETTLED), coordinator="uid-db-1")
    assert declaration == SETTLED.declaration.model_copy(update={"coordinator": "uid-db-1"})


@pytest.mark.parametrize(
    ("coordinator", "present"),
    [
        ("uid-db-0", pods(3)),
        ("uid-db-0", (a_pod("db-0").isolated("v2"), a_pod("db-1"), NEW)),
        ("uid-db-1", (a_pod("db-0").drained("v2"), a_pod("db-1"), LAST)),
        ("uid-db-1", (a_pod("db-0").failing_probe(), a_pod("db-1"), LAST)),
        ("uid-db-1", (a_pod("db-0").but(ip=""), a_pod("db-1"), LAST)),
        ("uid-db-2", (a_pod("db-0").drained("v2"), a_pod("db-1"), NEW)),
        ("uid-db-1", (a_pod("db-0").drained("v2"), a_pod("db-1"), NEW.came_back())),
        ("uid-db-2", (a_pod("db-0").drained("v2"), a_pod("db-1").drained("v2"), NEW.came_back())),
        ("", (a_pod("db-0").drained("v2"),)),
    ],
)
def test_the_coordinator_stays_while_it_can_answer_and_is_followed_by_the_steadiest(
    coordinator: str, present: tuple[PodView, ...]
) -> None:
    snapshot = seen(*present, ledger=SETTLED)
    places = places_of(snapshot, NOW)
    members = roster_of(snapshot, places, NOW, frozenset({NEW.uid}))
    assert coordinator_of(snapshot, places, members) == coordinator


def test_the_document_names_everybody_in_one_part() -> None:
    present = (a_pod("db-0"), a_pod("db-1").drained("v2"), NEW.came_back().condition(names.SERVING, False))
    snapshot = seen(*present, ledger=a_ledger(*pods(3)))
    members = roster_of(snapshot, places_of(snapshot, NOW), NOW, frozenset({NEW.uid}))
    document = document_of(snapshot, members, 18)
    assert document["generation"] == 18
    assert document["serving"] == [
        {"name": "db-0", "uid": "uid-db-0", "ip": "10.0.0.1", "ordinal": 0, "revision": "v1"}
    ]
    assert [entry["name"] for entry in document["leaving"]] == ["db-1"]
    assert [(entry["name"], entry["revision"]) for entry in document["joining"]] == [("db-2", "v2")]
    assert document["away"] == document["unknown"] == []


def test_who_is_away_or_unknown_is_told_by_name() -> None:
    lost = a_pod("db-1").condition("Ready", False, since=60)
    snapshot = seen(a_pod("db-0"), lost, ledger=a_ledger(*pods(3)))
    document = document_of(snapshot, roster_of(snapshot, places_of(snapshot, NOW), NOW, frozenset()), 18)
    assert (document["away"], document["unknown"]) == ([{"name": "db-2"}], [{"name": "db-1"}])
