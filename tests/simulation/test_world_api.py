"""The simulated API server keeps Kubernetes' rules of writing, and the simulated application its own."""

from __future__ import annotations

import pytest

from statefulrollout.api import names
from statefulrollout.errors import ApiError
from statefulrollout.kube.client import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from tests.simulation.world.apiserver import USER
from tests.simulation.world.application import Silence
from tests.simulation.world.builders import HOLD, User, a_budget, a_world
from tests.simulation.world.network import Link
from tests.simulation.world.objects import condition_of, is_terminating, is_true
from tests.simulation.world.requests import PODS, ROLLOUT, STATEFUL_SET, mark, refusal_of
from tests.simulation.world.world import NAME, World


async def test_a_pod_status_patch_merges_conditions_and_is_bound_to_the_uid() -> None:
    world = await a_world(1)
    conditions = len(world.pod(0)["status"]["conditions"])
    await mark(world, 0, names.DRAINED, "True")
    assert len(world.pod(0)["status"]["conditions"]) == conditions + 1
    assert condition_of(world.pod(0), names.DRAINED) == {"type": names.DRAINED, "status": "True"}
    body = {"metadata": {"uid": "another", "annotations": {"a": "b"}}}
    path = f"{PODS}/kvstore-0/status"
    assert await refusal_of(world, "PATCH", path, body=body, content_type=STRATEGIC_MERGE_PATCH) == 409
    body["metadata"]["uid"] = world.pod(0)["metadata"]["uid"]
    await world.user.call("PATCH", path, body=body, content_type=STRATEGIC_MERGE_PATCH)
    assert world.pod(0)["metadata"]["annotations"] == {"a": "b"}


async def test_a_json_patch_tests_before_it_replaces() -> None:
    world = await a_world(1, targeted=False)
    judged = {"op": "test", "path": "/spec/updateStrategy", "value": HOLD}
    change = {"op": "replace", "path": "/spec/updateStrategy", "value": {"type": "OnDelete"}}
    path = STATEFUL_SET
    assert await refusal_of(world, "PATCH", path, body=[judged, change], content_type=JSON_PATCH) == 422
    judged["value"] = world.stateful_set()["spec"]["updateStrategy"]
    generation = world.stateful_set()["metadata"]["generation"]
    changed = await world.user.call("PATCH", path, body=[judged, change], content_type=JSON_PATCH)
    assert changed["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert changed["metadata"]["generation"] == generation + 1


async def test_status_and_spec_are_written_apart_and_only_the_spec_counts_as_a_generation() -> None:
    world = await a_world(1)
    body = {"status": {"phase": "Idle"}, "spec": {"paused": True}}
    changed = await world.user.call("PATCH", f"{ROLLOUT}/status", body=body, content_type=MERGE_PATCH)
    assert (changed["status"]["phase"], changed["spec"].get("paused"), changed["metadata"]["generation"]) == (
        "Idle",
        None,
        1,
    )
    changed = await world.user.call(
        "PATCH", ROLLOUT, body={**body, "status": {"phase": "No"}}, content_type=MERGE_PATCH
    )
    assert (changed["status"]["phase"], changed["spec"]["paused"], changed["metadata"]["generation"]) == (
        "Idle",
        True,
        2,
    )


async def test_a_stale_resource_version_is_a_conflict() -> None:
    world = await a_world(1)
    stale = await world.user.call("GET", ROLLOUT)
    User(world).pause()
    assert await refusal_of(world, "PUT", ROLLOUT, body=stale) == 409
    patch = {"metadata": {"resourceVersion": stale["metadata"]["resourceVersion"]}, "status": {"phase": "Idle"}}
    assert await refusal_of(world, "PATCH", f"{ROLLOUT}/status", body=patch, content_type=MERGE_PATCH) == 409


async def test_a_patch_that_changes_nothing_is_no_new_version() -> None:
    world = await a_world(1)
    before = await world.user.call("GET", ROLLOUT)
    after = await world.user.call("PATCH", ROLLOUT, body={"spec": {}}, content_type=MERGE_PATCH)
    assert before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]


async def test_what_exists_is_not_created_and_what_does_not_exist_not_found() -> None:
    world = await a_world(1)
    body = {"metadata": {"name": NAME}, "spec": {"targetRef": {"name": NAME}}}
    assert await refusal_of(world, "POST", ROLLOUT.removesuffix(f"/{NAME}"), body=body) == 409
    assert await refusal_of(world, "GET", f"{PODS}/nobody") == 404


async def test_a_delete_is_bound_to_uid_and_version() -> None:
    world = await a_world(1)
    for wrong in ({"uid": "another"}, {"resourceVersion": "1"}):
        assert await refusal_of(world, "DELETE", f"{PODS}/kvstore-0", body={"preconditions": wrong}) == 409
    right = {"uid": world.pod(0)["metadata"]["uid"]}
    await world.user.call("DELETE", f"{PODS}/kvstore-0", body={"preconditions": right})
    assert is_terminating(world.pod(0))


async def test_an_eviction_needs_the_budget() -> None:
    world = await a_world(3, targeted=False, budget=a_budget(maxUnavailable=1))

    async def evict(ordinal: int) -> None:
        meta = world.pod(ordinal)["metadata"]
        options = {"preconditions": {"uid": meta["uid"]}}
        body = {"kind": "Eviction", "metadata": {"name": meta["name"]}, "deleteOptions": options}
        await world.user.call("POST", f"{PODS}/{meta['name']}/eviction", body=body)

    await evict(2)
    assert is_terminating(world.pod(2))
    with pytest.raises(ApiError) as caught:
        await evict(1)
    assert (caught.value.status, caught.value.retry_after) == (429, 10)
    await world.run(limit_seconds=10)
    assert all(is_true(pod, "Ready") for pod in world.pods())
    await evict(1)
    assert is_terminating(world.pod(1))


def members_of(world: World, generation: int, *ordinals: int) -> str:
    serving = [
        f'{{"name": "{pod["metadata"]["name"]}", "uid": "{pod["metadata"]["uid"]}"}}'
        for pod in world.pods()
        if int(pod["metadata"]["name"][-1]) in ordinals
    ]
    return f'{{"members": {{"generation": {generation}, "serving": [{", ".join(serving)}], "joining": []}}}}'


async def test_a_membership_moves_keys_until_nobody_else_holds_any() -> None:
    world = await a_world(3)
    application, address = world.application, world.pod(0)["status"]["podIP"]
    leaving = world.pod(2)["metadata"]["uid"]
    held = application.keys_of(leaving)
    assert application.answer(address, "POST", "/members", members_of(world, 7, 0, 1)) == (202, {"progress": held})
    await world.run(limit_seconds=application.seconds_per_move * held / 2)
    reply = application.answer(address, "POST", "/members", members_of(world, 7, 0, 1))
    assert isinstance(reply, tuple)
    assert 0 < reply[1]["progress"] < held
    assert application.settled_members() is None
    await world.run(limit_seconds=application.seconds_per_move * held)
    assert application.answer(address, "POST", "/members", members_of(world, 7, 0, 1)) == (200, {})
    assert application.keys_of(leaving) == 0
    assert application.answer(address, "POST", "/members", members_of(world, 6, 0, 1, 2)) == (409, {"generation": 7})
    assert world.lost_keys == set()


async def test_a_drain_takes_its_time_and_can_be_undone() -> None:
    world = await a_world(1)
    uid, address = world.pod(0)["metadata"]["uid"], world.pod(0)["status"]["podIP"]
    assert world.application.answer(address, "POST", "/drain", "") == (202, {"progress": 1.0})
    await world.run(limit_seconds=1)
    assert world.application.is_drained(uid)
    assert world.application.answer(address, "POST", "/drain", "") == (200, {})
    world.application.answer(address, "DELETE", "/drain", "")
    assert not world.application.is_drained(uid)


async def test_answers_follow_the_script() -> None:
    world = await a_world(2)
    world.application.script("drain", 503, Silence.HANG, 404, pod="kvstore-1", forever=True)
    addresses = [pod["status"]["podIP"] for pod in world.pods()]
    replies = [world.application.answer(addresses[1], "POST", "/drain", "") for _ in range(4)]
    assert replies == [(503, {}), Silence.HANG, (404, {}), (404, {})]
    assert world.application.answer(addresses[0], "POST", "/drain", "") == (202, {"progress": 1.0})


async def test_a_cache_that_lags_answers_with_nothing_older_than_was_asked_for() -> None:
    world = await a_world(1)
    late = world.network.connect(Link(USER, cache_seconds=60.0))
    versions = []
    for status in ("True", "False", "True"):
        await mark(world, 0, "Whatever", status)
        versions.append(world.pod(0)["metadata"]["resourceVersion"])
        await world.run(limit_seconds=0.1)

    async def version_since(version: str) -> str:
        (pod,) = await late.list_all(PODS, since=version)
        return str(pod["metadata"]["resourceVersion"])

    assert [await version_since(version) for version in versions] == versions
    assert await version_since("") == versions[-1]
    assert await version_since("999999") == versions[-1]
    params = {"resourceVersion": "999999", "resourceVersionMatch": "NotOlderThan"}
    assert await refusal_of(world, "GET", PODS, params=params) == 504
