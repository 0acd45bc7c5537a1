"""What is answered to whoever asks for the eviction of a pod, and what is noted on the pod."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from statefulrollout.api import names
from statefulrollout.core.timestamps import timestamp
from statefulrollout.errors import Unavailable
from statefulrollout.kube import evictions, paths
from statefulrollout.kube.client import STRATEGIC_MERGE_PATCH
from statefulrollout.kube.evictions import Decision, Evictions
from tests.builders import NOW
from tests.unit.kube.recorder import Json, RecordedKube, a_raw_pod

POD = paths.pods("shop", "db-2")
ROLLOUT = paths.statefulrollouts("shop", "database")
WAITS = {"name": "drain", "observed": "3 connections"}


def a_cluster(pod: Json | None = None, **status: Any) -> RecordedKube:
    rollout = {"metadata": {"name": "database"}, "status": status}
    return RecordedKube({POD: pod or a_raw_pod("db-2"), ROLLOUT: rollout})


def asked_at(seconds_ago: float) -> Json:
    return {"annotations": {names.EVICTION_ANNOTATION: timestamp(NOW - seconds_ago)}}


def a_judge(kube: RecordedKube) -> Evictions:
    def rollouts_of(namespace: str, stateful_set: str) -> list[str]:
        return ["database"] if (namespace, stateful_set) == ("shop", "db") else []

    return Evictions(kube, rollouts_of, lambda: NOW)


def asking(name: str = "db-2", uid: str = "", **fields: Any) -> Json:
    options = {"deleteOptions": {"preconditions": {"uid": uid}}} if uid else {}
    return {"uid": "review-1", "namespace": "shop", "name": name, "object": {"kind": "Eviction", **options}, **fields}


async def test_who_asks_is_told_what_is_awaited_and_the_wish_is_noted() -> None:
    waiting = a_raw_pod("db-2", metadata=asked_at(25))
    kube = a_cluster(waiting, pods=[{"name": "db-1"}, {"name": "db-2", "stage": "Draining", "waitingFor": WAITS}])
    assert await a_judge(kube).judge(asking()) == (
        Decision.HELD,
        "db-2 is drained before it may be evicted: "
        "it is Draining and waits for drain: 3 connections (StatefulRollout database)",
    )
    (note,) = kube.writes
    assert (note.method, note.path, note.content_type) == ("PATCH", POD, STRATEGIC_MERGE_PATCH)
    assert note.body == {"metadata": {"uid": "uid-db-2", **asked_at(0)}}


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("it is Migrating (StatefulRollout database)", {"pods": [{"name": "db-2", "stage": "Migrating"}]}),
        ("StatefulRollout database is told; it says: nothing yet", {}),
        ("StatefulRollout database is told; it says: spec.drain: wrong", {"message": "spec.drain: wrong"}),
    ],
)
async def test_what_is_awaited_is_what_the_status_says(said: str, status: Json) -> None:
    _, message = await a_judge(a_cluster(a_raw_pod("db-2", metadata=asked_at(5)), **status)).judge(asking())
    assert message == f"db-2 is drained before it may be evicted: {said}"


async def test_who_asks_first_is_not_told_what_the_status_said_before() -> None:
    for earlier in ({}, asked_at(90)):
        kube = a_cluster(a_raw_pod("db-2", metadata=earlier), pods=[{"name": "db-2", "stage": "Updated"}])
        _, message = await a_judge(kube).judge(asking())
        assert message == "db-2 is drained before it may be evicted: StatefulRollout database has just been told"
        assert ROLLOUT not in {call.path for call in kube.calls}


async def test_a_rollout_that_is_being_deleted_is_named() -> None:
    kube = a_cluster(a_raw_pod("db-2", metadata=asked_at(5)))
    del kube.objects[ROLLOUT]
    assert (await a_judge(kube).judge(asking()))[1].endswith("StatefulRollout database is being deleted")


@pytest.mark.parametrize(("ago", "noted"), [(0, False), (19, False), (20, True), (3600, True), (-5, True)])
async def test_a_wish_is_noted_again_when_the_note_is_old(ago: float, noted: bool) -> None:
    kube = a_cluster(a_raw_pod("db-2", metadata=asked_at(ago)))
    assert (await a_judge(kube).judge(asking()))[0] is Decision.HELD
    assert bool(kube.writes) is noted


async def test_a_dry_run_notes_nothing() -> None:
    kube = a_cluster()
    assert (await a_judge(kube).judge(asking(dryRun=True)))[0] is Decision.HELD
    assert kube.writes == []


RELEASED = {"conditions": [{"type": names.RELEASED, "status": "True"}]}


@pytest.mark.parametrize(
    ("pod", "uid"),
    [
        (a_raw_pod("db-2", status={"phase": "Succeeded"}), ""),
        (a_raw_pod("db-2", status={"phase": "Pending"}), ""),
        (a_raw_pod("db-2", metadata={"deletionTimestamp": "2027-01-15T07:00:00Z"}), ""),
        (a_raw_pod("db-2"), "of-another-pod"),
    ],
)
async def test_what_is_nothing_to_us_passes_without_a_note(pod: Json, uid: str) -> None:
    kube = a_cluster(pod)
    assert await a_judge(kube).judge(asking(uid=uid)) == (Decision.PASSED, "")
    assert kube.writes == []


async def test_a_released_pod_passes_and_is_still_wanted() -> None:
    kube = a_cluster(a_raw_pod("db-2", status=RELEASED))
    assert await a_judge(kube).judge(asking(uid="uid-db-2")) == (Decision.PASSED, "")
    assert len(kube.writes) == 1, "a disruption budget may refuse it yet"


async def test_other_pods_are_judged_without_a_look_at_the_cluster() -> None:
    kube = a_cluster()
    for name in ("web-2", "db", "x-db-2"):
        assert await a_judge(kube).judge(asking(name)) == (Decision.NOT_TARGETED, "")
    assert kube.calls == []


async def test_a_pod_that_only_has_the_name_of_one_of_the_set_passes() -> None:
    stray = a_raw_pod("db-2", metadata={"ownerReferences": None})
    assert await a_judge(a_cluster(stray)).judge(asking()) == (Decision.NOT_TARGETED, "")
    gone = a_cluster()
    del gone.objects[POD]
    assert await a_judge(gone).judge(asking()) == (Decision.PASSED, "")


async def test_a_note_on_a_pod_that_was_replaced_meanwhile_is_none() -> None:
    kube = a_cluster()
    kube.refuse("PATCH", POD, 409)
    assert (await a_judge(kube).judge(asking()))[0] is Decision.HELD


@pytest.fixture
async def kube() -> RecordedKube:
    return a_cluster()


@pytest.fixture
async def server(kube: RecordedKube) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    application = web.Application()
    application.router.add_post(Evictions.PATH, a_judge(kube).handle)
    async with TestClient(TestServer(application)) as client:
        yield client


async def test_the_answer_is_one_that_clients_ask_again_after(server: TestClient[Any, Any]) -> None:
    answer = await (await server.post(Evictions.PATH, json={"request": asking()})).json()
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = answer["response"]
    assert (response["uid"], response["allowed"]) == ("review-1", False)
    assert (response["status"]["code"], response["status"]["reason"]) == (429, "TooManyRequests")
    assert "details" not in response["status"], "with retryAfterSeconds clients would wait inside their request"
    answer = await (await server.post(Evictions.PATH, json={"request": asking("web-1")})).json()
    assert answer["response"] == {"uid": "review-1", "allowed": True}


async def said_by(server: TestClient[Any, Any], request: Json) -> Json:
    answer = await (await server.post(Evictions.PATH, json={"request": request})).json()
    response: Json = answer["response"]
    return response


async def test_what_cannot_be_judged_passes(server: TestClient[Any, Any], kube: RecordedKube) -> None:
    kube.refuse("GET", POD, 403)
    assert (await said_by(server, asking()))["allowed"] is True
    assert (await said_by(server, {"uid": "review-1"}))["allowed"] is True


@pytest.mark.parametrize("status", [429, 500, 504])
async def test_while_the_api_server_is_busy_evictions_wait(
    server: TestClient[Any, Any], kube: RecordedKube, status: int
) -> None:
    kube.refuse("GET", POD, status)
    response = await said_by(server, asking())
    assert response["status"]["code"] == 429
    assert response["status"]["message"].endswith("and could not be looked at just now")


async def test_what_takes_too_long_to_judge_is_asked_again(
    server: TestClient[Any, Any], kube: RecordedKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: Any, **__: Any) -> Json:
        await asyncio.sleep(60)
        raise Unavailable("GET", POD, "too late")

    monkeypatch.setattr(kube, "call", hang)
    monkeypatch.setattr(evictions, "SECONDS", 0.01)
    assert (await said_by(server, asking()))["status"]["code"] == 429
    assert (await said_by(server, asking("web-1")))["allowed"] is True


@pytest.mark.parametrize("text", ["", "hello", "[]", "{}", '{"request": null}'])
async def test_what_is_no_review_is_a_bad_request(server: TestClient[Any, Any], text: str) -> None:
    assert (await server.post(Evictions.PATH, data=text)).status == 400
