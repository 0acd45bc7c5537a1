"""Whom the application is asked, what it is told, and under which identity."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from statefulrollout.api.v1alpha1 import Call, Exec, Http
from statefulrollout.core.asks import Address, Ask
from statefulrollout.core.ledger import Ledger
from statefulrollout.core.membership import roster_of
from statefulrollout.core.questions import (
    Surroundings,
    addressed_anew,
    ask_of_check,
    ask_of_hook,
    ask_of_membership,
    ask_of_undo,
    fill_in,
    hook_id_of,
    open_hook_of,
    undo_reaches_others,
)
from statefulrollout.core.snapshot import PodView, ServiceView
from statefulrollout.core.stages import Place, places_of
from tests.builders import (
    DRAIN,
    NOW,
    a_call,
    a_check,
    a_hook,
    a_ledger,
    a_pod,
    a_rolling_set,
    a_snapshot,
    a_spec,
    pods,
)

HOOKS_PAGE = Path(__file__).parents[3] / "docs" / "hooks.md"
LEAVING = a_pod("db-2").isolated("v2")
THREE = (*pods(2), LEAVING)
SERVICES = {"front": ServiceView("front", "10.9.9.9", {"admin": 81}, selects_pods=True)}


def around(*present: PodView, ledger: Ledger | None = None, **spec: Any) -> Surroundings:
    isolated = {pod.uid: 60.0 for pod in present}
    snapshot = a_snapshot(
        a_rolling_set(), *present, spec=a_spec(**spec), ledger=ledger, services=SERVICES, isolated=isolated
    )
    places = places_of(snapshot, NOW)
    return Surroundings(snapshot, places, roster_of(snapshot, places, NOW, frozenset()))


def place_in(where: Surroundings, name: str = "db-2") -> Place:
    return next(place for place in where.places if place.pod.name == name)


def drain_ask(*present: PodView, begun: float = 0, **drain: Any) -> Ask:
    """The question of a drain begun so many seconds ago."""
    where = around(*(present or THREE), drain={**DRAIN, **drain})
    hook = where.snapshot.rollout.spec.drain
    assert hook is not None
    return ask_of_hook(where, place_in(where), "drain", hook, NOW - begun)


def asked(ask: Ask) -> list[str]:
    return [address.name for address in ask.request.to]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("/drain", "/drain"),
        ("/${pod.name}/${pod.ordinal}?ip=${pod.ip}", "/db-2/2?ip=10.0.0.3"),
        ("${pod.uid} $pod.name ${name}", "${pod.uid} $pod.name ${name}"),
        ("${pod.name}${pod.name}", "db-2db-2"),
    ],
)
def test_three_templates_are_filled_in_and_nothing_else(text: str, filled: str) -> None:
    assert fill_in(text, LEAVING) == filled
    assert fill_in(text, None) == text


def test_the_pod_itself_is_asked_at_its_named_port() -> None:
    ask = drain_ask()
    assert ask.request.to == (Address("db-2", "10.0.0.3", 8081, "uid-db-2"),)
    assert ask.request.label == "POST /drain on port admin of db-2"


def test_a_numbered_port_is_asked_as_it_is() -> None:
    assert drain_ask(apply=a_call("/drain", port=9999)).request.to == (Address("db-2", "10.0.0.3", 9999, "uid-db-2"),)


@pytest.mark.parametrize(
    ("target", "present", "expected"),
    [
        ("Peers", THREE, ["db-0", "db-1"]),
        ("AnyPeer", THREE, ["db-0"]),
        ("AnyPeer", (a_pod("db-0"), a_pod("db-1").at("v2"), LEAVING), ["db-1"]),
        ("AnyPeer", (a_pod("db-0").drained("v2"), a_pod("db-1"), LEAVING), ["db-1"]),
        ("Peers", (a_pod("db-0").failing_probe(), a_pod("db-1"), LEAVING), ["db-1"]),
        ("Peers", (a_pod("db-0").but(ip=""), LEAVING), []),
    ],
)
def test_peers_are_all_others_that_are_up_the_steadiest_first(
    target: str, present: tuple[PodView, ...], expected: list[str]
) -> None:
    assert asked(drain_ask(*present, apply=a_call("/drain", target))) == expected


@pytest.mark.parametrize(("port", "number"), [("admin", 81), (8443, 8443)])
def test_a_service_is_asked_at_its_own_port(port: int | str, number: int) -> None:
    call = {**a_call("/drain", "Service", port=port), "service": {"name": "front"}}
    assert drain_ask(apply=call).request.to == (Address("service front", "10.9.9.9", number),)


def test_a_service_that_is_gone_leaves_nobody_to_ask() -> None:
    call = {**a_call("/drain", "Service"), "service": {"name": "gone"}}
    assert drain_ask(apply=call).request.to == ()


@pytest.mark.parametrize(
    ("method", "own", "sent"),
    [
        ("POST", None, "document"),
        ("PUT", None, "document"),
        ("PATCH", None, "document"),
        ("DELETE", None, None),
        ("GET", None, None),
        ("POST", "bye ${pod.name}", "bye db-2"),
        ("DELETE", "bye", "bye"),
        ("POST", "", ""),
    ],
)
def test_a_body_is_the_users_or_our_document(method: str, own: str | None, sent: str | None) -> None:
    http = {"method": method, **({"body": own} if own is not None else {})}
    body = drain_ask(apply=a_call("/drain", **http)).request.body
    if sent == "document":
        assert json.loads(body or "")["hook"] == "drain"
    else:
        assert body == sent


def test_a_command_is_filled_in_and_finds_the_document_on_its_input() -> None:
    command = {"exec": {"container": "store", "command": ["ctl", "drain", "--self=${pod.name}"]}}
    request = drain_ask(apply=command).request
    assert request.what == Exec(container="store", command=["ctl", "drain", "--self=db-2"])
    assert request.to == (Address("db-2", "10.0.0.3", 0, "uid-db-2"),)
    assert json.loads(request.body or "")["hook"] == "drain"
    assert request.label == "`ctl drain --self=db-2` in container store of db-2"


def test_the_label_of_a_long_command_is_short() -> None:
    command = {"exec": {"container": "store", "command": ["sh", "-c", "x" * 2000]}}
    assert len(drain_ask(apply=command).request.label) < 100


def test_headers_and_path_are_filled_in() -> None:
    http = drain_ask(apply=a_call("/drain/${pod.ordinal}", headers={"X-Pod": "${pod.name}"})).request.what
    assert isinstance(http, Http)
    assert (http.path, http.headers) == ("/drain/2", {"X-Pod": "db-2"})


def document_in_the_docs() -> dict[str, Any]:
    found = re.search(r"```json\n(.*?)```", HOOKS_PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    document: dict[str, Any] = json.loads(found[1])
    return document


def fields_of(document: Any, path: str = "") -> set[str]:
    """The paths of all fields; of a list those of its first entry."""
    if isinstance(document, list):
        return fields_of(document[0], f"{path}[]") if document else set()
    if not isinstance(document, dict):
        return set()
    deeper = [fields_of(value, f"{path}.{name}") for name, value in document.items()]
    return {f"{path}.{name}" for name in document}.union(*deeper)


def test_every_field_that_the_docs_promise_is_sent() -> None:
    sent = json.loads(drain_ask().request.body or "")
    assert fields_of(document_in_the_docs()) - fields_of(sent) == set()


def test_the_document_says_what_it_is_about() -> None:
    document = json.loads(drain_ask(begun=60, deadlineSeconds=300).request.body or "")
    assert document["apiVersion"] == "hooks.statefulrollout.dev/v1"
    assert document["id"] == "uid-db-2/v2/drain"
    assert document["deadline"] == "2027-01-15T08:04:00Z"
    assert document["rollout"] == {"namespace": "shop", "name": "db", "revision": "v2"}
    assert (document["pod"]["name"], document["pod"]["revision"]) == ("db-2", "v1")
    assert [member["name"] for member in document["members"]["serving"]] == ["db-0", "db-1", "db-2"]


def test_expressions_see_the_pod_and_the_members_of_the_document() -> None:
    ask = drain_ask()
    document = json.loads(ask.request.body or "")
    assert ask.variables == {"pod": document["pod"], "members": document["members"]}


def test_done_is_asked_as_the_user_wrote_it() -> None:
    done = {"call": a_call("/drain", "Peers", method="GET"), "expect": "json.left == 0", "stableForSeconds": 2}
    ask = drain_ask(done=done, settleSeconds=3, expect="json.ok", progress="json.left")
    assert (ask.stable_for_seconds, ask.settle_seconds) == (2, 3)
    assert (ask.expect, ask.progress) == ("json.ok", "json.left")
    assert ask.done_request is not None
    assert [address.name for address in ask.done_request.to] == ["db-0", "db-1"]
    assert ask.done_request.body is None
    assert not ask.repeats


def identity(pod: PodView) -> str:
    where = around(*pods(2), pod)
    return hook_id_of(where.snapshot, place_in(where), "drain")


@pytest.mark.parametrize(
    "other",
    [
        LEAVING.restarted(),
        a_pod("db-2").isolated("v3"),
        a_pod("db-2"),
        a_pod("db-2", "another-uid").isolated("v2"),
    ],
)
def test_another_pod_purpose_or_container_is_another_question(other: PodView) -> None:
    assert identity(LEAVING).startswith("uid-db-2/v2/drain/")
    assert identity(LEAVING) == identity(LEAVING.condition("Ready", True).but(ip="10.0.0.9"))
    assert identity(other) != identity(LEAVING)


def open_drain(**drain: Any) -> Any:
    where = around(*THREE, drain={"apply": a_call("/drain"), **drain})
    hook = where.snapshot.rollout.spec.drain
    assert hook is not None
    return open_hook_of(where, place_in(where), "drain", hook, NOW)


def test_the_ledger_remembers_the_whole_call_that_undoes_a_hook() -> None:
    entry = open_drain(undo=a_call("/drain?pod=${pod.name}", method="DELETE"))
    assert (entry.hook, entry.pod, entry.uid, entry.since) == ("drain", "db-2", "uid-db-2", NOW)
    stored = Ledger.model_validate_json(Ledger(open_hooks=(entry,)).model_dump_json(by_alias=True)).open_hooks[0]
    ask = ask_of_undo(stored)
    assert ask is not None
    assert (ask.id, ask.title) == (f"undo/{entry.id}", "undo of drain")
    assert ask.request.label == "DELETE /drain?pod=db-2 on port admin of db-2"
    assert ask.request.to == (Address("db-2", "10.0.0.3", 8081, "uid-db-2"),)
    assert ask.request.body is None


def test_the_document_of_an_undo_says_that_it_is_one() -> None:
    entry = open_drain(undo=a_call("/undrain"))
    ask = ask_of_undo(entry)
    assert ask is not None
    assert json.loads(ask.request.body or "")["hook"] == "undo-drain"


@pytest.mark.parametrize(
    ("others", "undo"),
    [(False, None), (False, a_call("/undo")), (True, a_call("/undo", "Peers")), (True, a_call("/undo", "AnyPeer"))],
)
def test_an_undo_reaches_others_or_the_pod_alone(others: bool, undo: dict[str, Any] | None) -> None:
    entry = open_drain(**({"undo": undo} if undo else {}))
    assert (ask_of_undo(entry) is None) is (undo is None)
    assert undo_reaches_others(entry) is others


REPLACED = a_pod("db-1", "uid-of-another")


@pytest.mark.parametrize(
    ("asked_now", "target", "present", "still_in_spec"),
    [
        (["uid-db-0", "uid-db-1"], "Peers", THREE, True),
        (["uid-db-0", "uid-of-another"], "Peers", (a_pod("db-0"), REPLACED, LEAVING), True),
        (["uid-db-0"], "Peers", (a_pod("db-0"), REPLACED, LEAVING), False),
        (["uid-of-another"], "AnyPeer", (REPLACED, LEAVING), True),
        (None, "Peers", (LEAVING,), False),
        (None, "Peers", (LEAVING,), True),
        (None, "AnyPeer", (LEAVING,), True),
        (["uid-db-0", "uid-db-1"], "Peers", (), True),
        (["uid-db-0", "uid-db-1"], "Peers", (a_pod("db-7").starting(), LEAVING), True),
        (["uid-db-2"], "Pod", THREE, True),
        (None, "Pod", pods(2), True),
    ],
)
def test_an_undo_goes_to_nobody_who_is_gone(
    asked_now: list[str] | None, target: str, present: tuple[PodView, ...], still_in_spec: bool
) -> None:
    told = open_drain(undo=a_call("/undo", target)).undo
    call = Call.model_validate(a_call("/undo", target)) if still_in_spec else None
    pod = next((pod for pod in present if pod.uid == LEAVING.uid), None)
    undo = addressed_anew(around(*present), told, call, pod)
    assert (undo and [address["uid"] for address in undo["to"]]) == asked_now


def test_an_undo_by_a_service_that_was_not_there_goes_to_it_once_it_is() -> None:
    call = {**a_call("/undo", "Service"), "service": {"name": "front"}}
    told = open_drain(undo=call).undo
    assert told is not None
    undo = addressed_anew(around(*THREE), {**told, "to": []}, Call.model_validate(call), LEAVING)
    assert undo == told
    nameless = Call.model_validate({**call, "service": {"name": "not-there"}})
    assert addressed_anew(around(*THREE), {**told, "to": []}, nameless, LEAVING) == {**told, "to": []}


def membership_ask(*present: PodView, target: str = "AnyPeer", coordinator: str = "uid-db-1") -> Ask:
    where = around(*present, membership=a_hook("/members", target), ledger=a_ledger(*pods(3)))
    rules = where.snapshot.rollout.spec.membership
    assert rules is not None
    declaration = where.snapshot.ledger.declaration.model_copy(
        update={"generation": 18, "coordinator": coordinator, "at": NOW}
    )
    return ask_of_membership(where, rules, declaration)


def test_a_membership_is_told_to_its_coordinator() -> None:
    ask = membership_ask(*pods(3))
    assert (ask.id, asked(ask)) == ("membership/18/uid-db-1", ["db-1"])
    document = json.loads(ask.request.body or "")
    assert (document["hook"], document["members"]["generation"]) == ("membership", 18)
    assert document["deadline"] == "2027-01-15T08:05:00Z"
    assert "pod" not in document


def test_all_members_are_told_and_no_leaving_pod() -> None:
    assert asked(membership_ask(*pods(2), LEAVING.condition("x", True), target="Peers")) == ["db-0", "db-1", "db-2"]
    assert asked(membership_ask(*pods(2), a_pod("db-2").drained("v2"), target="Peers")) == ["db-0", "db-1"]


def check_ask(*present: PodView, **check: Any) -> Ask:
    where = around(*present, checks=[a_check(**check)])
    return ask_of_check(where, where.snapshot.rollout.spec.checks[0])


@pytest.mark.parametrize(
    ("target", "expected"), [("Pod", ["db-0", "db-1"]), ("Peers", ["db-0", "db-1"]), ("AnyPeer", ["db-1"])]
)
def test_a_check_asks_who_serves(target: str, expected: list[str]) -> None:
    present = (a_pod("db-0"), a_pod("db-1").at("v2"), LEAVING)
    assert asked(check_ask(*present, call=a_call("/health", target, method="GET"))) == expected


def test_a_check_is_asked_again_and_again_and_anew_when_others_serve() -> None:
    ask = check_ask(*pods(3), failWhen="json.red", stableForSeconds=5)
    assert ask.repeats
    assert (ask.fail_when, ask.stable_for_seconds, ask.title) == ("json.red", 5, "check calm")
    assert check_ask(*reversed(pods(3))).id == ask.id
    assert check_ask(*pods(2)).id != ask.id


def test_a_membership_is_about_no_pod() -> None:
    assert membership_ask(*pods(3)).variables["pod"] == {}
