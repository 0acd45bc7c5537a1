"""The simulated cluster behaves as Kubernetes does: without the operator, one rule of the real thing a test."""

from __future__ import annotations

import pytest

from statefulrollout.api import names
from tests.simulation.world.builders import HOLD, User, a_world
from tests.simulation.world.loop import simulate
from tests.simulation.world.objects import Json, is_terminating, is_true
from tests.simulation.world.podtemplate import revision_of
from tests.simulation.world.requests import STATEFUL_SET, mark
from tests.simulation.world.world import NotReached, World


def status_of(world: World) -> Json:
    status: Json = world.stateful_set()["status"]
    return status


def is_complete(world: World) -> bool:
    status, meta = status_of(world), world.stateful_set()["metadata"]
    return bool(
        status["observedGeneration"] == meta["generation"] and status["currentRevision"] == status["updateRevision"]
    )


def revisions_of(world: World) -> list[str]:
    return [revision_of(pod) for pod in world.pods()]


def deletions_in(world: World) -> list[str]:
    return [words.split()[1] for _, words in world.history.lines if "deleted by" in words]


def creations_in(world: World) -> list[str]:
    return [words.split()[1] for _, words in world.history.lines if " created at " in words]


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
async def test_a_rolling_update_goes_one_by_one_from_the_highest_ordinal(policy: str) -> None:
    world = await a_world(3, policy, targeted=False)
    old = status_of(world)["updateRevision"]
    User(world).roll_out("kvstore:2")
    away: list[int] = []
    while not is_complete(world) or status_of(world)["updateRevision"] == old:
        await world.step()
        away.append(sum(not is_true(pod, "Ready") or is_terminating(pod) for pod in world.pods()))
    assert deletions_in(world) == ["kvstore-2", "kvstore-1", "kvstore-0"]
    assert max(away) == 1
    assert revisions_of(world) == [status_of(world)["updateRevision"]] * 3
    assert len(world.lost_keys) == 100, "nothing was drained: every key has died with its pod"


async def test_the_current_revision_advances_only_when_all_are_updated_and_ready() -> None:
    world = await a_world(3, targeted=False)
    old = status_of(world)["currentRevision"]
    User(world).roll_out("kvstore:2")
    await world.run(
        until=lambda: status_of(world)["updatedReplicas"] == 3 and status_of(world)["updateRevision"] != old
    )
    assert status_of(world)["readyReplicas"] < 3
    assert status_of(world)["currentRevision"] == old
    await world.run(until=lambda: is_complete(world))
    assert status_of(world)["readyReplicas"] == 3


async def test_behind_the_highest_partition_nothing_moves_and_pods_come_back_as_they_were() -> None:
    world = await a_world(3, targeted=False, stateful_set={"updateStrategy": HOLD})
    old = status_of(world)["currentRevision"]
    User(world).roll_out("kvstore:2")
    await world.run(limit_seconds=60)
    assert deletions_in(world) == []
    User(world).delete_pod(2)
    await world.run(until=lambda: len(creations_in(world)) == 1 and is_true(world.pod(2), "Ready"))
    assert revisions_of(world) == [old] * 3
    assert status_of(world)["updateRevision"] != old


async def test_a_partition_is_updated_from_above() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    world = await a_world(4, targeted=False, stateful_set={"updateStrategy": strategy})
    old = status_of(world)["currentRevision"]
    User(world).roll_out("kvstore:2")
    await world.run(limit_seconds=60)
    new = status_of(world)["updateRevision"]
    assert revisions_of(world) == [old, old, new, new]
    User(world).delete_pod(0)
    User(world).delete_pod(3)
    await world.run(limit_seconds=60)
    assert revisions_of(world) == [old, old, new, new]
    assert status_of(world)["currentRevision"] == old


async def test_on_delete_moves_nothing_brings_back_the_new_and_never_completes() -> None:
    world = await a_world(3, targeted=False, stateful_set={"updateStrategy": {"type": "OnDelete"}})
    old = status_of(world)["currentRevision"]
    User(world).roll_out("kvstore:2")
    await world.run(limit_seconds=30)
    assert revisions_of(world) == [old] * 3
    for ordinal in range(3):
        User(world).delete_pod(ordinal)
        await world.run(limit_seconds=10)
    assert revisions_of(world) == [status_of(world)["updateRevision"]] * 3
    assert status_of(world)["currentRevision"] == old
    User(world).set_strategy(HOLD)
    await world.run(until=lambda: is_complete(world), limit_seconds=1)


async def test_a_template_that_comes_back_gets_its_old_revision_back() -> None:
    world = await a_world(2, targeted=False, stateful_set={"updateStrategy": HOLD})
    first = status_of(world)["updateRevision"]
    User(world).roll_out("kvstore:2")
    await world.run(limit_seconds=1)
    assert status_of(world)["updateRevision"] != first
    User(world).roll_out("kvstore:1")
    await world.run(limit_seconds=1)
    assert status_of(world)["updateRevision"] == first


async def test_status_lags_behind_the_spec() -> None:
    world = await a_world(2, targeted=False)
    User(world).scale(3)
    generation = world.stateful_set()["metadata"]["generation"]
    assert status_of(world)["observedGeneration"] == generation - 1
    await world.run(until=lambda: bool(status_of(world)["observedGeneration"] == generation), limit_seconds=1)


@pytest.mark.parametrize(("policy", "together"), [("OrderedReady", False), ("Parallel", True)])
async def test_scaling_up_is_in_order_or_at_once(policy: str, together: bool) -> None:
    world = await a_world(1, policy, targeted=False)
    User(world).scale(4)
    await world.run(until=lambda: len(creations_in(world)) == 3)
    assert creations_in(world) == ["kvstore-1", "kvstore-2", "kvstore-3"]
    assert is_true(world.pod(1), "Ready") is not together


@pytest.mark.parametrize(("policy", "most"), [("OrderedReady", 1), ("Parallel", 3)])
async def test_scaling_down_is_from_the_highest_ordinal(policy: str, most: int) -> None:
    world = await a_world(4, policy, targeted=False)
    User(world).scale(1)
    going: list[int] = []
    while len(world.pods()) > 1:
        await world.step()
        going.append(sum(is_terminating(pod) for pod in world.pods()))
    assert deletions_in(world) == ["kvstore-3", "kvstore-2", "kvstore-1"]
    assert max(going) == most


async def test_a_failed_pod_is_replaced() -> None:
    world = await a_world(2, targeted=False)
    uid = world.pod(1)["metadata"]["uid"]
    world.kubelet.finish(world.pod(1), "Failed")
    await world.run(until=lambda: len(creations_in(world)) == 1 and is_true(world.pod(1), "Ready"))
    assert world.pod(1)["metadata"]["uid"] != uid


async def test_claims_outlive_pods_unless_scaled_down_under_delete() -> None:
    claims = [{"metadata": {"name": "data"}, "spec": {}}]
    retention = {"whenScaled": "Delete", "whenDeleted": "Retain"}
    spec = {"volumeClaimTemplates": claims, "persistentVolumeClaimRetentionPolicy": retention}
    world = await a_world(2, targeted=False, stateful_set=spec)
    User(world).delete_pod(1)
    await world.run(limit_seconds=20)
    assert [claim["metadata"]["name"] for claim in world.server.list("persistentvolumeclaims")] == [
        "data-kvstore-0",
        "data-kvstore-1",
    ]
    User(world).scale(1)
    await world.run(limit_seconds=20)
    assert [claim["metadata"]["name"] for claim in world.server.list("persistentvolumeclaims")] == ["data-kvstore-0"]


async def test_the_webhook_adds_gate_and_label_only_while_it_is_up() -> None:
    world = await a_world(2)
    assert world.pod(1)["spec"]["readinessGates"] == [{"conditionType": names.SERVING}]
    assert world.pod(1)["metadata"]["labels"][names.FENCED_LABEL] == "true"
    world.webhook.up = False
    User(world).delete_pod(1)
    await world.run(until=lambda: len(creations_in(world)) == 1 and is_true(world.pod(1), "Ready"))
    assert "readinessGates" not in world.pod(1)["spec"]


async def test_a_pod_of_a_set_that_nobody_targets_is_left_alone() -> None:
    world = await a_world(1, targeted=False)
    assert "readinessGates" not in world.pod(0)["spec"]
    assert names.FENCED_LABEL not in world.pod(0)["metadata"]["labels"]


async def test_a_gated_pod_is_ready_only_while_its_gate_is_open() -> None:
    world = await a_world(1)
    await mark(world, 0, names.SERVING, "False")
    await world.run(until=lambda: not is_true(world.pod(0), "Ready"), limit_seconds=1)
    assert is_true(world.pod(0), "ContainersReady")


async def test_the_lid_denies_the_controller_until_the_pod_is_released() -> None:
    world = await a_world(2)
    User(world).roll_out("kvstore:2")
    await world.run(limit_seconds=120)
    assert deletions_in(world) == []
    denials = [message for _, _, message in world.stateful_set_controller.failures]
    assert denials[0] == "pod kvstore-1 is not drained yet: StatefulRollout releases it when it is"
    assert len(denials) > 10, "it tries again and again"
    released = world.clock()
    await mark(world, 1, names.RELEASED, "True")
    await world.run(until=lambda: deletions_in(world) == ["kvstore-1"], limit_seconds=60)
    assert world.clock() - released < 0.1, "the patch wakes the controller at once"


async def test_the_lid_holds_a_scale_down_but_no_user() -> None:
    world = await a_world(2)
    User(world).scale(1)
    await world.run(limit_seconds=30)
    assert deletions_in(world) == []
    User(world).delete_pod(0)
    assert is_terminating(world.pod(0))


async def test_the_lid_lets_a_finished_pod_go() -> None:
    world = await a_world(2)
    world.kubelet.finish(world.pod(1), "Failed")
    await world.run(until=lambda: len(creations_in(world)) == 1, limit_seconds=10)


async def test_endpoints_follow_late() -> None:
    world = await a_world(2)
    world.endpoints.lag = 3.0
    await mark(world, 1, names.SERVING, "False")
    (endpoints,) = world.server.list("endpointslices")
    await world.run(until=lambda: not is_true(world.pod(1), "Ready"))
    await world.run(limit_seconds=2)
    (endpoints,) = world.server.list("endpointslices")
    assert [item["conditions"]["ready"] for item in endpoints["endpoints"]] == [True, True]
    await world.run(limit_seconds=2)
    (endpoints,) = world.server.list("endpointslices")
    assert [item["conditions"]["ready"] for item in endpoints["endpoints"]] == [True, False]
    assert endpoints["endpoints"][1]["targetRef"]["uid"] == world.pod(1)["metadata"]["uid"]


async def test_a_crash_loop_backs_off() -> None:
    world = await a_world(1, targeted=False)
    User(world).roll_out("kvstore:2", crash=True)

    def state() -> Json:
        statuses = world.pod(0)["status"].get("containerStatuses") or [{"restartCount": 0, "state": {}}]
        found: Json = statuses[0]
        return found

    await world.run(until=lambda: creations_in(world) == ["kvstore-0"])
    await world.run(until=lambda: bool(state()["restartCount"] == 3))
    started = world.clock()
    await world.run(until=lambda: state()["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff")
    await world.run(until=lambda: bool(state()["restartCount"] == 4))
    assert 40 < world.clock() - started < 41
    assert not is_true(world.pod(0), "Ready")


@pytest.mark.parametrize(
    ("behaviour", "phase"), [("bad_image", "Pending"), ("unschedulable", "Pending"), ("never_ready", "Running")]
)
async def test_a_bad_template_makes_pods_that_never_get_ready(behaviour: str, phase: str) -> None:
    world = await a_world(1, targeted=False)
    User(world).roll_out("kvstore:2", **{behaviour: True})
    with pytest.raises(NotReached):
        await world.run(until=lambda: creations_in(world) != [] and is_true(world.pod(0), "Ready"), limit_seconds=300)
    assert world.pod(0)["status"]["phase"] == phase


async def test_a_killed_container_comes_back_under_another_id_and_without_its_keys() -> None:
    world = await a_world(2)
    before = world.pod(1)["status"]["containerStatuses"][0]
    User(world).kill_container(1)
    assert not is_true(world.pod(1), "Ready")
    await world.run(until=lambda: is_true(world.pod(1), "Ready"))
    after = world.pod(1)["status"]["containerStatuses"][0]
    assert after["containerID"] != before["containerID"]
    assert after["restartCount"] == before["restartCount"] + 1
    assert world.application.keys_of(world.pod(1)["metadata"]["uid"]) == 0
    assert world.lost_keys


async def test_addresses_are_never_used_twice() -> None:
    world = await a_world(2, targeted=False)
    seen = {pod["status"]["podIP"] for pod in world.pods()}
    User(world).roll_out("kvstore:2")
    await world.run(limit_seconds=60)
    assert not seen & {pod["status"]["podIP"] for pod in world.pods()}


async def test_what_a_deleted_set_owned_is_collected() -> None:
    world = await a_world(2, targeted=False)
    await world.user.call("DELETE", STATEFUL_SET)
    await world.run(limit_seconds=10)
    assert world.pods() == []


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_gives_the_same_history(seed: int) -> None:
    async def story() -> list[tuple[float, str]]:
        world = await a_world(3, "Parallel", targeted=False, seed=seed)
        User(world).roll_out("kvstore:2")
        await world.run(limit_seconds=60)
        return world.history.lines

    first = simulate(story())
    assert first
    assert simulate(story()) == first


async def test_with_its_feature_gate_several_pods_are_updated_at_once() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}
    world = await a_world(
        4, "Parallel", targeted=False, stateful_set={"updateStrategy": strategy}, several_at_once=True
    )
    old = status_of(world)["updateRevision"]
    User(world).roll_out("kvstore:2")
    away: list[int] = []
    while not is_complete(world) or status_of(world)["updateRevision"] == old:
        await world.step()
        away.append(sum(not is_true(pod, "Ready") or is_terminating(pod) for pod in world.pods()))
    assert deletions_in(world)[:2] == ["kvstore-3", "kvstore-2"]
    assert max(away) == 2
