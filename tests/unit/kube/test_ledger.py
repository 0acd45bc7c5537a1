"""The ledger's object: made once, replaced only as it was read, and the same after a round trip."""

from __future__ import annotations

import json

import pytest

from statefulrollout.core.ledger import Absence, Declaration, Ledger, OpenHook
from statefulrollout.errors import Conflict
from statefulrollout.kube import paths
from statefulrollout.kube.ledger import fetch_ledger, write_ledger
from tests.builders import a_ledger, a_set, pods
from tests.unit.kube.recorder import Call, Json, RecordedKube

LIST = paths.statefulrolloutledgers("shop")
PATH = paths.statefulrolloutledgers("shop", "db")
UNDO = {"what": {"port": "admin", "path": "/drain", "method": "DELETE", "headers": {}, "body": None}, "to": []}
FULL = a_ledger(
    *pods(2),
    failed="v2",
    open_hooks=(
        OpenHook(id="a", hook="drain", pod="db-2", uid="u", since=1.5, stalled=3.0, undo=UNDO),
        OpenHook(id="b", hook="migrate", pod="db-2", uid="u", since=1.5, completed=True),
    ),
    original_strategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
)


def stored(call: Call) -> Json:
    body: Json = json.loads(json.dumps(call.body))
    return {**body, "metadata": {**body["metadata"], "uid": "uid-ledger"}}


async def sent(ledger: Ledger) -> Call:
    kube = RecordedKube()
    await write_ledger(kube, "shop", a_set(), ledger)
    (call,) = kube.calls
    return call


async def test_where_there_is_none_it_is_empty() -> None:
    assert await fetch_ledger(RecordedKube(), "shop", "db") == Ledger()


async def test_the_first_one_is_created_and_owned_by_the_stateful_set() -> None:
    call = await sent(FULL.model_copy(update={"resource_version": ""}))
    assert (call.method, call.path) == ("POST", LIST)
    assert call.body["metadata"] == {
        "name": "db",
        "namespace": "shop",
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "uid-db"}],
    }
    assert (call.body["apiVersion"], call.body["kind"]) == ("statefulrollout.dev/v1alpha1", "StatefulRolloutLedger")


async def test_every_other_replaces_the_very_one_that_was_read() -> None:
    call = await sent(FULL)
    assert (call.method, call.path) == ("PUT", PATH)
    assert call.body["metadata"]["resourceVersion"] == "41"
    assert "resourceVersion" not in call.body["spec"]


@pytest.mark.parametrize("ledger", [FULL, a_ledger(), a_ledger(original_strategy=None)])
async def test_what_was_written_is_what_is_read(ledger: Ledger) -> None:
    found = await fetch_ledger(RecordedKube({PATH: stored(await sent(ledger))}), "shop", "db")
    assert found.model_dump(exclude={"open_hooks"}) == ledger.model_dump(exclude={"open_hooks"})
    assert [hook.model_copy(update={"undo": None}) for hook in found.open_hooks] == [
        hook.model_copy(update={"undo": None}) for hook in ledger.open_hooks
    ]


async def test_absences_and_stalls_are_remembered() -> None:
    declaration = Declaration(generation=18, away=(Absence(name="db-1", since=7.5),), stalled=9.0)
    written = stored(await sent(a_ledger(declaration=declaration)))
    found = await fetch_ledger(RecordedKube({PATH: written}), "shop", "db")
    assert found.declaration == declaration


async def test_what_a_newer_operator_wrote_is_kept_out_of_the_way() -> None:
    raw = {
        "metadata": {"uid": "uid-ledger", "resourceVersion": "9"},
        "spec": {"rolloutUid": "r", "fromTheFuture": {"x": 1}},
    }
    assert await fetch_ledger(RecordedKube({PATH: raw}), "shop", "db") == Ledger(
        uid="uid-ledger", resource_version="9", rollout_uid="r"
    )


async def test_a_ledger_without_content_is_an_empty_page() -> None:
    kube = RecordedKube({PATH: {"metadata": {"uid": "uid-ledger", "resourceVersion": "9"}}})
    assert await fetch_ledger(kube, "shop", "db") == Ledger(uid="uid-ledger", resource_version="9")


@pytest.mark.parametrize(("method", "path", "ledger"), [("PUT", PATH, FULL), ("POST", LIST, Ledger())])
async def test_whoever_is_slower_learns_it(method: str, path: str, ledger: Ledger) -> None:
    kube = RecordedKube()
    kube.refuse(method, path, 409)
    with pytest.raises(Conflict):
        await write_ledger(kube, "shop", a_set(), ledger)
