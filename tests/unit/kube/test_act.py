"""Each action as it goes out: its body, its precondition, its event; and what a refusal means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from statefulrollout.api import names
from statefulrollout.core.actions import (
    Action,
    Announcement,
    Change,
    LimitBudget,
    MakeBudget,
    MarkPod,
    Motion,
    RemoveBudget,
    RemovePod,
    SetFence,
    UpdateInPlace,
    WriteLedger,
)
from statefulrollout.core.snapshot import Facts, Restart
from statefulrollout.errors import ApiError, NotLeader
from statefulrollout.kube import paths
from statefulrollout.kube.act import Actor
from statefulrollout.kube.client import JSON_PATCH, STRATEGIC_MERGE_PATCH
from statefulrollout.kube.known import Known
from statefulrollout.kube.views import facts_of
from tests.builders import NOW, a_ledger, a_pod, a_rolling_set
from tests.unit.kube.recorder import VERSION, Json, RecordedEvents, RecordedKube, Word

POD = a_pod("db-2")
STATUS = paths.pods("shop", "db-2", "status")
DELETION = paths.pods("shop", "db-2")
FENCE = paths.statefulsets("shop", "db")
LEDGERS = paths.statefulrolloutledgers("shop")

ISOLATE = MarkPod(
    POD,
    "PodIsolated",
    "out of service: leaves for v2",
    {names.SERVING: False, names.DRAINED: False},
    facts=Facts("v2", {"store": "c://1"}),
    fenced=True,
)
FORWARD = SetFence({"type": "OnDelete"}, "RolloutMoves", "it moves")
DELETE = RemovePod(POD, "PodRemoved", "makes room for v2")
UPDATE = UpdateInPlace(
    POD,
    "v2",
    Change({"store": "db:2"}, {"tier": None}, {"note": "2"}),
    Facts(restart=Restart({"store": "c://1"}, NOW)),
    "PodUpdatedInPlace",
    "becomes v2 in place (store: db:2)",
    otherwise=(DELETE,),
)
LEDGER = WriteLedger(a_ledger())
JUDGED = {"uid": "uid-db-2", "resourceVersion": "72"}


class Stage:
    """An actor before recording fakes."""

    def __init__(self, kube: RecordedKube | None = None, leader_check: Callable[[], None] = lambda: None) -> None:
        self.kube = kube or RecordedKube()
        self.events = RecordedEvents()
        self.taken_in: list[Json] = []
        self.known = Known()
        self.actor = Actor(
            kube=self.kube,
            events=self.events,
            namespace="shop",
            target=a_rolling_set(),
            regarding={
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "namespace": "shop",
                "name": "db",
                "uid": "u",
            },
            leader_check=leader_check,
            clock=lambda: NOW,
            known=self.known,
            take_in=self.taken_in.append,
        )

    async def act(self, *actions: Action) -> bool:
        return await self.actor.act(actions)

    @property
    def sent(self) -> list[tuple[str, str]]:
        return [(call.method, call.path) for call in self.kube.calls]


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_a_mark_is_one_patch_of_the_status_bound_to_the_uid_and_the_version(stage: Stage) -> None:
    assert await stage.act(ISOLATE)
    (call,) = stage.kube.calls
    assert (call.method, call.path, call.content_type) == ("PATCH", STATUS, STRATEGIC_MERGE_PATCH)
    assert call.body == {
        "metadata": {
            "uid": "uid-db-2",
            "resourceVersion": "72",
            "annotations": {names.FACTS_ANNOTATION: '{"containers":{"store":"c://1"},"stuck":false,"wanted":"v2"}'},
            "labels": {names.FENCED_LABEL: "true"},
        },
        "status": {
            "conditions": [
                {
                    "type": names.SERVING,
                    "status": "False",
                    "reason": "PodIsolated",
                    "message": "out of service: leaves for v2",
                    "lastTransitionTime": "2027-01-15T08:00:00Z",
                }
            ]
        },
    }


@pytest.mark.parametrize(
    ("motion", "value"), [(Motion.IN_MOTION, "db"), (Motion.AT_REST, None), (Motion.RELEASED, "Released")]
)
async def test_a_mark_says_whether_the_pod_is_in_motion_and_whether_it_may_be_taken(
    stage: Stage, motion: Motion, value: str | None
) -> None:
    await stage.act(replace(ISOLATE, fenced=None, motion=motion))
    assert stage.kube.calls[0].body["metadata"]["labels"] == {names.IN_MOTION_LABEL: value}


async def test_a_budget_of_ours_goes_with_the_ledger(stage: Stage) -> None:
    budget = MakeBudget("db-floor", "uid-ledger", {"maxUnavailable": 0})
    assert await stage.act(budget, ISOLATE)
    (call, _) = stage.kube.calls
    assert (call.method, call.path) == ("POST", paths.poddisruptionbudgets("shop"))
    owner = {"apiVersion": names.API_VERSION, "kind": names.LEDGER_KIND, "name": "db", "uid": "uid-ledger"}
    assert call.body == {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "db-floor", "ownerReferences": [owner]},
        "spec": {"maxUnavailable": 0},
    }
    stage.kube.refuse("POST", paths.poddisruptionbudgets("shop"), 409)
    stage.kube.calls.clear()
    assert not await stage.act(budget, ISOLATE)
    assert len(stage.kube.calls) == 1


async def test_the_limit_of_a_budget_of_ours_is_changed_by_its_uid(stage: Stage) -> None:
    await stage.act(LimitBudget("db-floor", "uid-floor", 4))
    (call,) = stage.kube.calls
    assert (call.method, call.path) == ("PATCH", paths.poddisruptionbudgets("shop", "db-floor"))
    assert call.body == {"metadata": {"uid": "uid-floor"}, "spec": {"minAvailable": 4}}


async def test_a_budget_of_ours_is_removed_by_its_uid(stage: Stage) -> None:
    assert await stage.act(RemoveBudget("db-floor", "uid-floor"))
    (call,) = stage.kube.calls
    assert (call.method, call.path) == ("DELETE", paths.poddisruptionbudgets("shop", "db-floor"))
    assert call.body["preconditions"] == {"uid": "uid-floor"}


async def test_a_mark_is_said_on_the_rollout_and_on_the_pod(stage: Stage) -> None:
    await stage.act(ISOLATE)
    note = "db-2: out of service: leaves for v2"
    assert stage.events.words == [
        Word("StatefulRollout/db", "Normal", "PodIsolated", note),
        Word("Pod/db-2", "Normal", "PodIsolated", note),
    ]


async def test_a_pod_is_taken_over_in_silence_and_with_a_reason_that_the_api_accepts(stage: Stage) -> None:
    fresh = POD.ungated().untouched()
    await stage.act(MarkPod(fresh, "", "", {names.SERVING: True}, fenced=True))
    (condition,) = stage.kube.calls[0].body["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("True", "TakenOver")
    assert stage.events.words == []


async def test_a_mark_without_conditions_or_facts_touches_neither(stage: Stage) -> None:
    await stage.act(MarkPod(POD, "", "", fenced=True))
    assert stage.kube.calls[0].body == {
        "metadata": {"uid": "uid-db-2", "resourceVersion": "72", "labels": {names.FENCED_LABEL: "true"}},
        "status": {},
    }


async def test_the_label_of_the_lid_is_taken_off_with_null(stage: Stage) -> None:
    await stage.act(MarkPod(POD, "PodSetFree", "free", {}, fenced=False))
    assert stage.kube.calls[0].body["metadata"]["labels"] == {names.FENCED_LABEL: None}


@pytest.mark.parametrize(
    ("written", "conditions"),
    [
        ({names.SERVING}, {names.SERVING: False}),
        (set(), {names.SERVING: True}),
        (set(), {names.DRAINED: False}),
        ({names.DRAINED, names.RELEASED}, {names.DRAINED: True, names.RELEASED: True, names.MIGRATED: False}),
    ],
)
async def test_only_conditions_that_change_are_written(
    stage: Stage, written: set[str], conditions: dict[str, bool]
) -> None:
    await stage.act(MarkPod(POD, "x", "x", conditions))
    status = stage.kube.calls[0].body["status"]
    assert {condition["type"] for condition in status.get("conditions", ())} == written


async def test_a_gate_that_was_never_written_is_written_even_as_false(stage: Stage) -> None:
    await stage.act(MarkPod(POD.came_back(), "x", "x", {names.SERVING: False, names.DRAINED: False}))
    (condition,) = stage.kube.calls[0].body["status"]["conditions"]
    assert (condition["type"], condition["status"]) == (names.SERVING, "False")


async def test_a_long_message_is_cut(stage: Stage) -> None:
    await stage.act(MarkPod(POD, "x", "y" * 1000, {names.SERVING: False}))
    assert len(stage.kube.calls[0].body["status"]["conditions"][0]["message"]) == 256


async def test_a_fence_is_replaced_only_on_the_very_version_that_was_judged(stage: Stage) -> None:
    assert await stage.act(FORWARD)
    (call,) = stage.kube.calls
    assert (call.method, call.path, call.content_type) == ("PATCH", FENCE, JSON_PATCH)
    assert call.body == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "700"},
        {"op": "replace", "path": "/spec/updateStrategy", "value": {"type": "OnDelete"}},
    ]
    assert stage.events.words == [Word("StatefulRollout/db", "Normal", "RolloutMoves", "it moves")]


async def test_a_deletion_carries_the_uid_and_the_version(stage: Stage) -> None:
    assert await stage.act(DELETE)
    (call,) = stage.kube.calls
    assert (call.method, call.path) == ("DELETE", DELETION)
    assert call.body == {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": JUDGED}
    assert [word.reason for word in stage.events.words] == ["PodRemoved", "PodRemoved"]


async def test_a_pod_released_in_this_pass_is_removed_at_the_version_of_its_release(stage: Stage) -> None:
    assert await stage.act(ISOLATE, DELETE)
    assert stage.kube.calls[1].body["preconditions"] == {"uid": "uid-db-2", "resourceVersion": f"{VERSION + 1}"}


async def test_it_knows_the_latest_version_of_a_pod_that_it_made(stage: Stage) -> None:
    assert stage.actor.wrote == ""
    assert await stage.act(FORWARD)
    assert stage.actor.wrote == ""
    assert await stage.act(ISOLATE)
    assert stage.actor.wrote == f"{VERSION + 2}"
    assert await stage.act(DELETE)
    assert stage.actor.wrote == f"{VERSION + 3}"


async def test_a_pod_that_is_gone_already_is_no_news(stage: Stage) -> None:
    stage.kube.refuse("DELETE", DELETION, 404)
    assert await stage.act(DELETE, ISOLATE)
    assert stage.sent[-1] == ("PATCH", STATUS)
    assert "PodRemoved" not in [word.reason for word in stage.events.words]


@pytest.mark.parametrize(
    ("action", "method", "path"),
    [
        (LEDGER, "PUT", f"{LEDGERS}/db"),
        (FORWARD, "PATCH", FENCE),
        (ISOLATE, "PATCH", STATUS),
        (DELETE, "DELETE", DELETION),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_the_first_conflict_ends_the_pass(stage: Stage, action: Action, method: str, path: str) -> None:
    stage.kube.refuse(method, path, 409)
    another = MarkPod(a_pod("db-1"), "PodServing", "serves", {names.SERVING: True})
    assert not await stage.act(action, another)
    assert stage.sent == [(method, path)]
    assert stage.events.words == []


@pytest.mark.parametrize(("action", "path"), [(FORWARD, FENCE), (ISOLATE, STATUS)])
async def test_what_is_gone_before_it_could_be_written_ends_the_pass(stage: Stage, action: Action, path: str) -> None:
    stage.kube.refuse("PATCH", path, 404)
    assert not await stage.act(action, DELETE)
    assert stage.sent == [("PATCH", path)]


async def test_a_fence_that_somebody_else_wrote_meanwhile_ends_the_pass(stage: Stage) -> None:
    stage.kube.refuse("PATCH", FENCE, 422)
    assert not await stage.act(FORWARD, ISOLATE)
    assert stage.sent == [("PATCH", FENCE)]


async def test_a_mark_that_is_invalid_is_our_mistake(stage: Stage) -> None:
    stage.kube.refuse("PATCH", STATUS, 422)
    with pytest.raises(ApiError):
        await stage.act(ISOLATE)


async def test_actions_go_out_in_the_order_of_the_plan(stage: Stage) -> None:
    assert await stage.act(LEDGER, FORWARD, ISOLATE, DELETE)
    assert stage.sent == [
        ("PUT", f"{LEDGERS}/db"),
        ("PATCH", FENCE),
        ("PATCH", STATUS),
        ("DELETE", DELETION),
    ]


async def test_whoever_leads_no_more_writes_no_more() -> None:
    left = [None, None]

    def leader_check() -> None:
        if not left:
            raise NotLeader
        left.pop()

    stage = Stage(leader_check=leader_check)
    with pytest.raises(NotLeader):
        await stage.act(LEDGER, FORWARD, ISOLATE, DELETE)
    assert stage.sent == [("PUT", f"{LEDGERS}/db"), ("PATCH", FENCE)]


@pytest.mark.parametrize(("warning", "kind"), [(True, "Warning"), (False, "Normal")])
async def test_words_that_belong_to_no_action_are_said_too(stage: Stage, warning: bool, kind: Any) -> None:
    stage.actor.announce(
        [Announcement("RevisionFailed", "v2 failed", warning=warning), Announcement("Word", "on it", pod=POD)]
    )
    assert stage.events.words == [
        Word("StatefulRollout/db", kind, "RevisionFailed", "v2 failed"),
        Word("StatefulRollout/db", "Normal", "Word", "on it"),
        Word("Pod/db-2", "Normal", "Word", "on it"),
    ]
    assert stage.kube.calls == []


async def test_an_update_in_place_is_one_write_on_the_version_that_was_judged(stage: Stage) -> None:
    await stage.act(UPDATE)
    (call,) = stage.kube.calls
    assert (call.method, call.path, call.content_type) == ("PATCH", DELETION, STRATEGIC_MERGE_PATCH)
    metadata = call.body["metadata"]
    assert {name: metadata[name] for name in JUDGED} == JUDGED
    assert metadata["labels"] == {"tier": None, names.REVISION_LABEL: "v2"}
    assert metadata["annotations"]["note"] == "2"
    assert facts_of(metadata["annotations"][names.FACTS_ANNOTATION]) == UPDATE.facts
    assert call.body["spec"] == {"containers": [{"name": "store", "image": "db:2"}]}
    note = "db-2: becomes v2 in place (store: db:2)"
    assert Word("Pod/db-2", "Normal", "PodUpdatedInPlace", note) in stage.events.words


@pytest.mark.parametrize("status", [400, 403, 422])
async def test_an_update_in_place_that_is_refused_is_said_and_the_pod_goes_as_usual(stage: Stage, status: int) -> None:
    stage.kube.refuse("PATCH", DELETION, status, "images are signed")
    await stage.act(UPDATE)
    assert stage.kube.calls[-1].path == DELETION
    note = "db-2: the update in place was refused (images are signed); it is re-created instead"
    assert Word("Pod/db-2", "Warning", "InPlaceRefused", note) in stage.events.words


async def test_an_update_in_place_that_comes_late_changes_nothing(stage: Stage) -> None:
    stage.kube.refuse("PATCH", DELETION, 409)
    assert await stage.act(UPDATE) is False
    assert stage.sent == [("PATCH", DELETION)]


async def test_the_set_and_the_ledger_are_known_as_they_were_written(stage: Stage) -> None:
    assert await stage.act(LEDGER, FORWARD)
    assert stage.known.ledger == a_ledger().model_copy(update={"uid": "uid-new", "resource_version": "1001"})
    assert stage.known.stateful_set is not None
    assert stage.known.stateful_set["metadata"]["resourceVersion"] == "1002"


async def test_every_pod_is_told_of_as_it_was_written(stage: Stage) -> None:
    assert await stage.act(LEDGER, ISOLATE, DELETE, UPDATE)
    assert [pod["metadata"]["resourceVersion"] for pod in stage.taken_in] == ["1002", "1003", "1004"]
