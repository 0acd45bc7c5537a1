"""What is read before a pod is chosen, and when nobody needs it."""

from __future__ import annotations

import pytest

from statefulrollout.api import names
from statefulrollout.core.snapshot import Snapshot
from statefulrollout.core.timestamps import timestamp
from statefulrollout.kube import paths
from statefulrollout.kube.budgets import TRUSTED_IN_MOTION_SECONDS, TRUSTED_SECONDS, FloorMemory
from statefulrollout.kube.isolation import Isolation
from statefulrollout.kube.memory import Memory
from statefulrollout.kube.observe import observe
from statefulrollout.kube.survey import survey
from statefulrollout.kube.workload import Rollouts, fetch_workload
from statefulrollout.kube.zones import Zones
from tests.builders import NOW, a_floor
from tests.unit.kube.recorder import (
    ROLLOUT,
    SET,
    Json,
    RecordedKube,
    a_cluster,
    a_raw_pod,
    a_raw_rollout,
    raw_floor,
    read_by,
)

BUDGETS = paths.poddisruptionbudgets("shop")
PODS = paths.pods("shop")


def a_memory(kube: RecordedKube, now: list[float]) -> Memory:
    return Memory(Isolation(lambda: NOW), Zones(kube, lambda: NOW), FloorMemory(lambda: now[0]))


async def surveyed(kube: RecordedKube, seen: Snapshot, memory: Memory) -> Snapshot:
    kube.calls.clear()
    surveyed = await survey(kube, seen, Rollouts((a_raw_rollout(),)), memory)
    assert surveyed is not None
    return surveyed


async def seen(kube: RecordedKube, memory: Memory, *rollouts: Json) -> Snapshot:
    workload = await fetch_workload(kube, "shop", "db", memory.known)
    kube.calls.clear()
    snapshot = await observe(kube, Rollouts(rollouts or (a_raw_rollout(),), rollouts), workload, {}, memory)
    assert isinstance(snapshot, Snapshot)
    return snapshot


PDB: Json = {
    "metadata": {"name": "pdb", "generation": 1},
    "spec": {"selector": {"matchLabels": {"app": "db"}}},
    "status": {"disruptionsAllowed": 1, "observedGeneration": 1},
}
FOREIGN: Json = {**PDB, "metadata": {"name": "other"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}}
ASKED = {names.EVICTION_ANNOTATION: timestamp(NOW - 5)}
UPDATED = a_raw_pod("db-0", metadata={"labels": {"app": "db", "controller-revision-hash": "db-v2"}})
EVICTED = {**UPDATED, "metadata": {**UPDATED["metadata"], "annotations": ASKED}}
CONDEMNED = a_raw_pod("db-7", metadata={"labels": {"app": "db", "controller-revision-hash": "db-v2"}})


@pytest.mark.parametrize(
    ("pod", "accepted", "looks"),
    [
        (a_raw_pod("db-0"), "db-v1", True),
        (a_raw_pod("db-0"), "db-v2", True),
        (UPDATED, "db-v1", True),
        (UPDATED, "db-v2", False),
        (CONDEMNED, "db-v2", True),
        (EVICTED, "db-v2", True),
    ],
)
async def test_disruption_budgets_are_looked_at_while_a_pod_may_leave(pod: Json, accepted: str, looks: bool) -> None:
    kube, now = a_cluster(pod), [NOW]
    kube.objects[SET]["status"]["currentRevision"] = accepted
    kube.objects |= {f"{BUDGETS}/{name}": raw for name, raw in zip("abc", (FOREIGN, *raw_floor()), strict=True)}
    memory = a_memory(kube, now)
    await seen(kube, memory)
    kube.objects[f"{BUDGETS}/pdb"] = PDB
    now[0] += TRUSTED_IN_MOTION_SECONDS
    snapshot = await seen(kube, memory)
    assert snapshot.surveyed is (BUDGETS in read_by(kube)) is looks
    assert [budget.name for budget in snapshot.budgets] == (["pdb"] if looks else [])
    assert snapshot.floor == (a_floor() if looks else None)


async def test_between_two_looks_the_surroundings_are_read_where_a_pod_may_be_chosen() -> None:
    kube, now = a_cluster(a_raw_pod("db-0")), [NOW]
    kube.objects |= {f"{BUDGETS}/{name}": raw for name, raw in zip("ab", raw_floor(), strict=True)}
    memory = a_memory(kube, now)
    await seen(kube, memory)
    now[0] += TRUSTED_IN_MOTION_SECONDS - 1
    snapshot = await seen(kube, memory)
    assert (snapshot.surveyed, snapshot.floor, BUDGETS in read_by(kube)) == (False, None, False)
    snapshot = await surveyed(kube, snapshot, memory)
    assert (snapshot.surveyed, snapshot.floor) == (True, a_floor())


async def test_whoever_may_be_chosen_is_looked_at_once_more_as_of_now() -> None:
    kube, now = a_cluster(a_raw_pod("db-0")), [NOW]
    memory = a_memory(kube, now)
    await seen(kube, memory)
    snapshot = await seen(kube, memory)
    assert snapshot.pods[0].is_true("Ready")
    later = a_raw_pod("db-0", metadata={"resourceVersion": "9000"}, status={"conditions": []})
    kube.objects[f"{PODS}/db-0"] = later
    snapshot = await surveyed(kube, snapshot, memory)
    assert not snapshot.pods[0].is_true("Ready")
    (listing,) = (call for call in kube.calls if call.path == PODS)
    assert "resourceVersion" not in listing.params


@pytest.mark.parametrize(
    ("path", "change"),
    [
        pytest.param(ROLLOUT, {"generation": 4}, id="another spec of the StatefulRollout"),
        pytest.param(ROLLOUT, {"uid": "another"}, id="another StatefulRollout"),
        pytest.param(ROLLOUT, {"deletionTimestamp": "2027-01-15T07:00:00Z"}, id="no StatefulRollout"),
        pytest.param(SET, {"generation": 8}, id="another spec of the StatefulSet"),
        pytest.param(SET, {"uid": "another"}, id="another StatefulSet"),
        pytest.param(SET, None, id="no StatefulSet"),
    ],
)
async def test_nobody_is_chosen_for_whoever_asks_for_something_else_by_now(path: str, change: Json | None) -> None:
    kube, memory = a_cluster(a_raw_pod("db-0")), a_memory(RecordedKube(), [NOW])
    await seen(kube, memory)
    snapshot = await seen(kube, memory)
    assert await survey(kube, snapshot, Rollouts((a_raw_rollout(),)), memory) is not None
    assert memory.known.holds
    if change is None:
        del kube.objects[path]
    else:
        kube.objects[path]["metadata"] |= change
    assert await survey(kube, snapshot, Rollouts((a_raw_rollout(),)), memory) is None
    assert not memory.known.holds


async def test_of_pods_at_rest_our_own_budgets_are_looked_at_until_they_stand_and_again_later() -> None:
    kube, now = a_cluster(UPDATED), [NOW]
    kube.objects[SET]["status"]["currentRevision"] = "db-v2"
    memory = a_memory(kube, now)

    async def looks() -> bool:
        await seen(kube, memory)
        return BUDGETS in read_by(kube)

    assert [await looks(), await looks()] == [True, True]
    kube.objects |= {f"{BUDGETS}/{name}": raw for name, raw in zip("bc", raw_floor(), strict=True)}
    assert [await looks(), await looks()] == [True, False]
    kube.objects[SET]["spec"]["replicas"] += 1
    assert [await looks(), await looks()] == [True, True]
    kube.objects |= {f"{BUDGETS}/{name}": raw for name, raw in zip("bc", raw_floor(3), strict=True)}
    assert [await looks(), await looks()] == [True, False]
    now[0] += TRUSTED_SECONDS
    assert [await looks(), await looks()] == [True, False]


WEB: Json = {
    "metadata": {"name": "web-set", "uid": "uid-web", "generation": 1},
    "spec": {"replicas": 2, "selector": {}, "template": {"spec": {}}},
    "status": {
        "observedGeneration": 1, "currentRevision": "w1", "updateRevision": "w1",
        "updatedReplicas": 2, "readyReplicas": 2,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("pod", "stored", "unfinished"),
    [
        (a_raw_pod("db-0"), {}, {"web": ""}),
        (
            a_raw_pod("db-0"),
            {"status": {**WEB["status"], "readyReplicas": 1}},
            {"web": "1 of 2 pods are updated and ready"},
        ),
        (a_raw_pod("db-0"), None, {"web": "there is no StatefulSet web-set"}),
        (UPDATED, {}, {}),
    ],
)
async def test_what_comes_first_is_looked_at_while_a_pod_may_leave(
    pod: Json, stored: Json | None, unfinished: dict[str, str]
) -> None:
    kube = a_cluster(pod)
    kube.objects[SET]["status"]["currentRevision"] = "db-v2"
    ours = a_raw_rollout()
    ours["spec"]["dependsOn"] = [{"name": "web"}, {"name": "gone"}]
    web = {**a_raw_rollout("web"), "spec": {"targetRef": {"name": "web-set"}, "dependsOn": [{"name": "etcd"}]}}
    if stored is not None:
        kube.objects[paths.statefulsets("shop", "web-set")] = {**WEB, **stored}
    snapshot = await seen(kube, a_memory(kube, [NOW]), ours, web)
    assert snapshot.dependencies == {ours["metadata"]["name"]: ("web", "gone"), "web": ("etcd",)}
    assert snapshot.unfinished == unfinished
