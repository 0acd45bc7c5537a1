"""Each invariant speaks up when an operator breaks it: here a bad one writes by hand what ours must never write."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable

import pytest

from statefulrollout.api import names
from statefulrollout.kube.client import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from tests.simulation.world.apiserver import OPERATOR
from tests.simulation.world.builders import HOLD, User, a_world
from tests.simulation.world.invariants import every_invariant
from tests.simulation.world.network import Link
from tests.simulation.world.objects import Json
from tests.simulation.world.requests import PODS, STATEFUL_SET, mark
from tests.simulation.world.world import NAME, NAMESPACE, InvariantBroken, World

ROLLOUTS = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}/{names.PLURAL}"
LEDGERS = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}/{names.LEDGER_PLURAL}"

Deed = Callable[[World], Awaitable[None]]


async def set_strategy(world: World, strategy: Json) -> None:
    patch = [{"op": "replace", "path": "/spec/updateStrategy", "value": strategy}]
    await world.kube.call("PATCH", STATEFUL_SET, body=patch, content_type=JSON_PATCH)


async def close_two_gates(world: World) -> None:
    for ordinal in (2, 1):
        await mark(world, ordinal, names.SERVING, "False", world.kube)


async def close_a_gate_while_another_pod_is_missing(world: World) -> None:
    User(world).delete_pod(0)
    await world.run(limit_seconds=2)
    await mark(world, 1, names.SERVING, "False", world.kube)


async def take_the_next_before_the_last_has_soaked(world: World) -> None:
    await mark(world, 2, names.SERVING, "False", world.kube)
    await asyncio.sleep(5)
    await mark(world, 2, names.SERVING, "True", world.kube)
    await asyncio.sleep(1)
    await mark(world, 1, names.SERVING, "False", world.kube)


async def release_undrained(world: World) -> None:
    await mark(world, 2, names.SERVING, "False", world.kube)
    await asyncio.sleep(1)
    await mark(world, 2, names.RELEASED, "True", world.kube)


async def release_drained_with_keys(world: World) -> None:
    await mark(world, 2, names.SERVING, "False", world.kube)
    world.application.answer(world.pod(2)["status"]["podIP"], "POST", "/drain", "")
    await asyncio.sleep(5)
    await mark(world, 2, names.RELEASED, "True", world.kube)


async def delete_by_name_alone(world: World) -> None:
    await world.kube.call("DELETE", f"{PODS}/{NAME}-2")


async def delete_right_after_the_fence(world: World) -> None:
    body = {"preconditions": {"uid": world.pod(2)["metadata"]["uid"]}}
    world.stateful_set_controller.sets.hold()
    await set_strategy(world, {"type": "OnDelete"})
    await world.kube.call("DELETE", f"{PODS}/{NAME}-2", body=body)


async def leave_the_fence_open_while_paused(world: World) -> None:
    await set_strategy(world, {"type": "OnDelete"})
    User(world).roll_out("kvstore:2")
    User(world).pause()
    await world.kube.list_all(ROLLOUTS)
    await asyncio.sleep(20)
    User(world).delete_pod(2)
    await asyncio.sleep(5)


async def read_all(world: World) -> None:
    await world.kube.list_all(ROLLOUTS)
    await world.kube.call("GET", STATEFUL_SET)


async def isolate(world: World, ordinal: int, wanted: str) -> None:
    pod = world.pod(ordinal)["metadata"]
    facts = json.dumps({"wanted": wanted, "containers": {}, "stuck": False})
    body = {
        "metadata": {"uid": pod["uid"], "annotations": {names.FACTS_ANNOTATION: facts}},
        "status": {"conditions": [{"type": names.SERVING, "status": "False"}]},
    }
    await world.kube.call("PATCH", f"{PODS}/{pod['name']}/status", body=body, content_type=STRATEGIC_MERGE_PATCH)


async def take_a_pod_while_paused(world: World) -> None:
    User(world).roll_out("kvstore:2")
    User(world).pause()
    await asyncio.sleep(1)
    await read_all(world)
    await isolate(world, 2, world.stateful_set()["status"]["updateRevision"])


async def take_a_pod_that_nobody_rolls(world: World) -> None:
    User(world).delete_rollout()
    User(world).roll_out("kvstore:2")
    await asyncio.sleep(1)
    await read_all(world)
    await isolate(world, 2, world.stateful_set()["status"]["updateRevision"])


async def take_a_pod_that_is_not_outdated(world: World) -> None:
    await read_all(world)
    await isolate(world, 2, world.stateful_set()["status"]["updateRevision"])


async def let_a_pod_serve_that_still_drains(world: World) -> None:
    User(world).patch(names.PLURAL, {"spec": {"drain": {"undo": {"http": {"port": "admin", "path": "/drain"}}}}})
    await mark(world, 2, names.SERVING, "False", world.kube)
    world.application.answer(world.pod(2)["status"]["podIP"], "POST", "/drain", "")
    await asyncio.sleep(5)
    await mark(world, 2, names.SERVING, "True", world.kube)


async def write_status(world: World, message: str = "all is well", **true: str) -> None:
    conditions = [
        {"type": kind, "status": true.get(kind, "False"), "observedGeneration": 1} for kind in names.CONDITIONS
    ]
    status = {"observedGeneration": 1, "phase": "Any", "message": message, "conditions": conditions}
    path = f"{ROLLOUTS}/{NAME}/status"
    await world.kube.call("PATCH", path, body={"status": status}, content_type=MERGE_PATCH)


async def say_nothing(world: World) -> None:
    await write_status(world, "", Reconciling="True")


async def be_neither_ready_nor_busy(world: World) -> None:
    await write_status(world)


async def be_busy_and_stalled(world: World) -> None:
    await write_status(world, Reconciling="True", Stalled="True")


async def be_ready_while_a_pod_leaves(world: World) -> None:
    User(world).roll_out("kvstore:2")
    await asyncio.sleep(1)
    await read_all(world)
    await isolate(world, 2, world.stateful_set()["status"]["updateRevision"])
    await write_status(world, Ready="True")


async def write_without_leading(world: World) -> None:
    link = Link(OPERATOR, leads=lambda: False)
    await mark(world, 2, names.SERVING, "True", world.network.connect(link))


async def let_a_generation_fall(world: World) -> None:
    body = {"metadata": {"name": NAME}, "spec": {"declaration": {"generation": 5}}}
    await world.kube.call("POST", LEDGERS, body=body)
    patch = {"spec": {"declaration": {"generation": 4}}}
    await world.kube.call("PATCH", f"{LEDGERS}/{NAME}", body=patch, content_type=MERGE_PATCH)


async def accept_at_once(world: World) -> None:
    await set_strategy(world, {"type": "OnDelete"})
    User(world).roll_out("kvstore:2")
    for ordinal in range(3):
        User(world).delete_pod(ordinal, grace=0)
        await asyncio.sleep(5)
        await mark(world, ordinal, names.SERVING, "True", world.kube)
    await asyncio.sleep(0.2)
    await set_strategy(world, HOLD)
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("invariant", "deed"),
    [
        ("I1Budget", close_two_gates),
        ("I1Budget", close_a_gate_while_another_pod_is_missing),
        ("I1Budget", take_the_next_before_the_last_has_soaked),
        ("I2Drained", release_undrained),
        ("I2Drained", release_drained_with_keys),
        ("I3Judged", delete_by_name_alone),
        ("I3Judged", delete_right_after_the_fence),
        ("I4Paused", take_a_pod_while_paused),
        ("I4Paused", take_a_pod_that_nobody_rolls),
        ("I5Revision", leave_the_fence_open_while_paused),
        ("I6Explained", say_nothing),
        ("I6Explained", be_neither_ready_nor_busy),
        ("I8Undone", let_a_pod_serve_that_still_drains),
        ("I9Generations", let_a_generation_fall),
        ("I10Status", be_busy_and_stalled),
        ("I10Status", be_ready_while_a_pod_leaves),
        ("I11Outdated", take_a_pod_that_is_not_outdated),
        ("I12OneLeader", write_without_leading),
        ("I13Soaked", accept_at_once),
    ],
)
async def test_a_broken_invariant_ends_the_run(invariant: str, deed: Deed) -> None:
    world = await a_world(3, "Parallel")
    world.watch(*every_invariant(world, lambda: 1))
    await deed(world)
    with pytest.raises(InvariantBroken, match=f"^{invariant}: "):
        await world.run(limit_seconds=1)


@pytest.mark.parametrize(("leaders", "seconds", "broken"), [(1, 0.0, True), (None, 0.0, False), (None, 5.0, True)])
async def test_of_two_replicas_that_ask_one_may_begin_what_the_other_has_just_undone(
    leaders: int | None, seconds: float, broken: bool
) -> None:
    world = await a_world(3, "Parallel")
    world.watch(*every_invariant(world, None if leaders is None else lambda: 1))
    (address,) = (found.ip for found in world.kubelet.sandboxes.values() if found.name == "kvstore-2")
    world.application.answer(address, "DELETE", "/drain", "")
    await world.run(limit_seconds=seconds)
    await let_a_pod_serve_that_still_drains(world)
    with pytest.raises(InvariantBroken, match=r"^I8Undone: ") if broken else contextlib.nullcontext():
        await world.run(limit_seconds=1)


async def test_the_lid_alone_keeps_the_controller_from_breaking_any() -> None:
    world = await a_world(3, "Parallel")
    world.watch(*every_invariant(world, lambda: 1))
    await set_strategy(world, {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    User(world).roll_out("kvstore:2")
    User(world).scale(2)
    await world.run(limit_seconds=60)
    assert world.lost_keys == set()
    assert {change.who for change in world.server.log if change.plural == "pods" and change.type == "DELETED"} == set()
