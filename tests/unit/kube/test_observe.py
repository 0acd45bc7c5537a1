"""What is read for one rollout, and what is left unread where nobody needs it."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.api import names
from statefulrollout.core.ordering import ZONE_LABEL
from statefulrollout.core.snapshot import PodView, Snapshot
from statefulrollout.core.timestamps import timestamp
from statefulrollout.core.validation import Problem
from statefulrollout.kube import paths
from statefulrollout.kube.budgets import TRUSTED_SECONDS, FloorMemory
from statefulrollout.kube.isolation import Isolation
from statefulrollout.kube.observe import Known, Memory, Rollouts, fetch_rollouts, fetch_workload, observe
from statefulrollout.kube.zones import Zones
from tests.builders import NOW, a_call, a_floor, a_pod
from tests.unit.kube.recorder import Json, RecordedKube, a_raw_pod, a_raw_rollout, a_raw_set, raw_floor

SET = paths.statefulsets("shop", "db")
LEDGER = paths.statefulrolloutledgers("shop", "db")
PODS = paths.pods("shop")
CLAIMS = paths.persistentvolumeclaims("shop")
BUDGETS = paths.poddisruptionbudgets("shop")
SLICES = paths.endpointslices("shop")
SERVICE = paths.services("shop", "front")


def read_by(kube: RecordedKube) -> list[str]:
    return [call.path for call in kube.calls]


def a_cluster(*pods: Json, **spec: Any) -> RecordedKube:
    objects = {SET: a_raw_set(**spec), LEDGER: {"metadata": {"uid": "uid-ledger", "resourceVersion": "9"}, "spec": {}}}
    objects |= {f"{PODS}/{pod['metadata']['name']}": pod for pod in pods}
    return RecordedKube(objects)


async def test_the_oldest_rollout_of_a_set_comes_first() -> None:
    rollouts = [
        a_raw_rollout("b", "2027-01-15T06:00:00Z"),
        a_raw_rollout("a", "2027-01-15T06:00:00Z"),
        a_raw_rollout("z", "2027-01-15T05:00:00Z"),
        {**a_raw_rollout("other"), "spec": {"targetRef": {"name": "web"}}},
        a_raw_rollout("dying"),
    ]
    rollouts[-1]["metadata"]["deletionTimestamp"] = "2027-01-15T07:00:00Z"
    listed = {f"{paths.statefulrollouts('shop')}/{raw['metadata']['name']}": raw for raw in rollouts}
    found = await fetch_rollouts(RecordedKube(listed), "shop", "db")
    assert [raw["metadata"]["name"] for raw in found.ours] == ["z", "a", "b"]
    assert {raw["metadata"]["name"] for raw in found.all} == {"z", "a", "b", "other"}


async def test_a_rollout_that_stands_alone_is_read_by_itself() -> None:
    rollouts = paths.statefulrollouts("shop")
    alone = a_raw_rollout("db")
    kube = RecordedKube({f"{rollouts}/db": alone, f"{rollouts}/web": a_raw_rollout("web")})
    found = await fetch_rollouts(kube, "shop", "db", ["db"])
    assert (found.ours, found.all) == ([alone], ())
    assert read_by(kube) == [f"{rollouts}/db"]


@pytest.mark.parametrize(
    ("heard_of", "change"),
    [
        ([], {}),
        (["db", "gone"], {}),
        (["gone"], {}),
        (["db"], {"spec": {"dependsOn": [{"name": "other"}]}}),
        (["db"], {"spec": {"group": "shop"}}),
        (["db"], {"spec": {"targetRef": {"name": "web"}}}),
        (["db"], {"metadata": {"deletionTimestamp": "2027-01-15T07:00:00Z"}}),
    ],
)
async def test_any_other_is_read_with_its_neighbours(heard_of: list[str], change: Json) -> None:
    rollouts = paths.statefulrollouts("shop")
    heard = a_raw_rollout("db")
    for part, changes in change.items():
        heard[part] |= changes
    kube = RecordedKube({f"{rollouts}/db": heard, f"{rollouts}/older": a_raw_rollout("older", "2027-01-15T05:00:00Z")})
    found = await fetch_rollouts(kube, "shop", "db", heard_of)
    assert found.ours[0]["metadata"]["name"] == "older"
    assert read_by(kube)[-1] == rollouts


async def test_a_set_that_is_known_is_read_at_once_and_a_pod_of_the_same_version_is_the_same() -> None:
    pods = (a_raw_pod(name, metadata={"resourceVersion": "7"}) for name in ("db-0", "db-1"))
    kube, known = a_cluster(*pods), Known()
    before = await fetch_workload(kube, "shop", "db", known)
    kube.objects[f"{PODS}/db-1"]["metadata"]["resourceVersion"] = "8"
    kube.objects[f"{PODS}/db-1"]["status"]["podIP"] = "10.0.0.99"
    after = await fetch_workload(kube, "shop", "db", known)
    assert after.pods[0] is before.pods[0]
    assert after.pods[1].ip == "10.0.0.99"


async def test_a_set_that_was_made_anew_with_another_selector_is_read_by_that() -> None:
    kube, known = a_cluster(a_raw_pod("db-0")), Known(selector="app=other")
    workload = await fetch_workload(kube, "shop", "db", known)
    assert [pod.name for pod in workload.pods] == ["db-0"]
    assert known.selector == "app=db"
    assert [call.params["labelSelector"] for call in kube.calls if call.path == PODS] == ["app=other", "app=db"]


async def test_a_workload_is_the_set_with_its_own_pods() -> None:
    stranger = a_raw_pod(
        "db-9", metadata={"ownerReferences": [{"kind": "StatefulSet", "uid": "x", "controller": True}]}
    )
    orphan = a_raw_pod("db-8", metadata={"ownerReferences": None})
    kube = a_cluster(a_raw_pod("db-0"), a_raw_pod("db-1"), stranger, orphan)
    workload = await fetch_workload(kube, "shop", "db")
    assert workload.target is not None
    assert workload.target.uid == "uid-db"
    assert [pod.name for pod in workload.pods] == ["db-0", "db-1"]
    assert workload.raw == a_raw_set()
    (listing,) = (call for call in kube.calls if call.path == PODS)
    assert listing.params["labelSelector"] == "app=db"
    assert "resourceVersion" not in listing.params


async def test_a_set_that_is_not_there_has_no_pods_and_may_have_a_ledger() -> None:
    ledger = {"metadata": {"uid": "uid-ledger", "resourceVersion": "9"}, "spec": {"rolloutUid": "r"}}
    kube = RecordedKube({LEDGER: ledger})
    workload = await fetch_workload(kube, "shop", "db")
    assert (workload.target, workload.pods, workload.ledger.rollout_uid) == (None, (), "r")
    assert PODS not in read_by(kube)


CLAIM: Json = {
    "metadata": {"name": "data-db-0", "ownerReferences": [{"kind": "Pod", "name": "db-0", "uid": "uid-db-0"}]}
}
OTHER: Json = {"metadata": {"name": "data-db-1", "ownerReferences": [{"kind": "StatefulSet", "uid": "uid-db-1"}]}}


@pytest.mark.parametrize(
    ("looks", "policy"),
    [
        (False, None),
        (False, {"whenScaled": "Retain", "whenDeleted": "Retain"}),
        (True, {"whenScaled": "Delete", "whenDeleted": "Retain"}),
        (True, {"whenScaled": "Retain", "whenDeleted": "Delete"}),
    ],
)
async def test_claims_are_looked_at_only_where_the_set_deletes_them(looks: bool, policy: Json | None) -> None:
    kube = a_cluster(a_raw_pod("db-0"), a_raw_pod("db-1"), persistentVolumeClaimRetentionPolicy=policy)
    kube.objects |= {f"{CLAIMS}/a": CLAIM, f"{CLAIMS}/b": OTHER}
    workload = await fetch_workload(kube, "shop", "db")
    assert (CLAIMS in read_by(kube)) is looks
    owned = [pod.volumes_owned_by_pod for pod in workload.pods]
    assert owned == ([("data-db-0",), ()] if looks else [(), ()])


async def seen(kube: RecordedKube, *rollouts: Json, memory: Memory | None = None) -> Snapshot | tuple[Problem, ...]:
    workload = await fetch_workload(kube, "shop", "db")
    kube.calls.clear()
    return await observe(
        kube,
        Rollouts(rollouts or (a_raw_rollout(),), rollouts),
        workload,
        {},
        memory or a_memory(kube),
    )


def a_memory(kube: RecordedKube) -> Memory:
    return Memory(Isolation(lambda: NOW), Zones(kube, lambda: NOW), FloorMemory(lambda: NOW))


async def test_a_snapshot_speaks_of_the_first_rollout() -> None:
    snapshot = await seen(a_cluster(a_raw_pod()), a_raw_rollout(paused=True), a_raw_rollout("later"))
    assert isinstance(snapshot, Snapshot)
    rollout = snapshot.rollout
    assert (rollout.namespace, rollout.name, rollout.uid, rollout.generation) == ("shop", "db", "uid-rollout-db", 3)
    assert rollout.spec.paused
    assert rollout.created == NOW - 2 * 3600
    assert [pod.name for pod in snapshot.pods] == ["db-2"]


async def test_a_spec_that_cannot_be_read_is_refused_and_nothing_more_is_read() -> None:
    kube = a_cluster(a_raw_pod())
    problems = await seen(kube, a_raw_rollout(fromTheFuture=1))
    assert isinstance(problems, tuple)
    assert [problem.field for problem in problems] == ["spec.fromTheFuture"]
    assert kube.calls == []


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
    kube = a_cluster(pod)
    kube.objects[SET]["status"]["currentRevision"] = accepted
    kube.objects |= {f"{BUDGETS}/{name}": raw for name, raw in zip("abc", (FOREIGN, *raw_floor()), strict=True)}
    memory = a_memory(kube)
    await seen(kube, memory=memory)
    kube.objects[f"{BUDGETS}/pdb"] = PDB
    snapshot = await seen(kube, memory=memory)
    assert isinstance(snapshot, Snapshot)
    assert (BUDGETS in read_by(kube)) is looks
    assert [budget.name for budget in snapshot.budgets] == (["pdb"] if looks else [])
    assert snapshot.floor == (a_floor() if looks else None)


async def test_of_pods_at_rest_our_own_budgets_are_looked_at_until_they_stand_and_again_later() -> None:
    kube, now = a_cluster(UPDATED), [NOW]
    kube.objects[SET]["status"]["currentRevision"] = "db-v2"
    memory = Memory(Isolation(lambda: NOW), Zones(kube, lambda: NOW), FloorMemory(lambda: now[0]))

    async def looks() -> bool:
        await seen(kube, memory=memory)
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


@pytest.mark.parametrize(("strategy", "looks"), [({}, False), ({"order": {"by": "Zone"}}, True)])
async def test_nodes_are_read_once_and_only_where_the_order_is_by_zone(strategy: Json, looks: bool) -> None:
    kube = a_cluster(a_raw_pod("db-0"), a_raw_pod("db-1"))
    node = paths.nodes(name="node-2")
    kube.objects[node] = {"metadata": {"name": "node-2", "labels": {ZONE_LABEL: "a"}}}
    workload, memory = await fetch_workload(kube, "shop", "db"), a_memory(kube)
    for _ in range(2):
        rollout = a_raw_rollout(strategy=strategy)
        snapshot = await observe(kube, Rollouts((rollout,)), workload, {}, memory)
        assert isinstance(snapshot, Snapshot)
        assert snapshot.zones == ({"node-2": "a"} if looks else {})
    assert read_by(kube).count(node) == int(looks)


async def test_a_node_without_the_label_is_read_again_and_what_was_read_is_kept_for_a_minute() -> None:
    kube, path, now = RecordedKube(), paths.nodes(name="node-2"), [NOW]
    zones = Zones(kube, lambda: now[0])
    kube.objects[path] = {"metadata": {"name": "node-2"}}
    assert await zones.of({"node-2", ""}, ZONE_LABEL) == {}
    kube.objects[path] = {"metadata": {"name": "node-2", "labels": {ZONE_LABEL: "a"}}}
    assert await zones.of({"node-2"}, ZONE_LABEL) == {"node-2": "a"}
    kube.objects[path] = {"metadata": {"name": "node-2", "labels": {ZONE_LABEL: "b"}}}
    assert await zones.of({"node-2"}, ZONE_LABEL) == {"node-2": "a"}
    now[0] += 60
    assert await zones.of({"node-2"}, ZONE_LABEL) == {"node-2": "b"}
    del kube.objects[path]
    now[0] += 60
    assert await zones.of({"node-2"}, ZONE_LABEL) == {}


def to_service(name: str = "front") -> Json:
    return {**a_call("/x", "Service"), "service": {"name": name}}


@pytest.mark.parametrize(
    "spec",
    [
        {"drain": {"apply": to_service()}},
        {"drain": {"apply": a_call("/x"), "undo": to_service()}},
        {"migrate": {"apply": a_call("/x"), "done": {"call": to_service(), "expect": "true"}}},
        {"restore": {"apply": to_service()}},
        {"membership": {"apply": to_service()}},
        {"checks": [{"name": "calm", "call": to_service(), "expect": "true"}]},
    ],
)
async def test_services_are_read_where_a_call_names_them(spec: Json) -> None:
    kube = a_cluster(a_raw_pod())
    kube.objects[SERVICE] = {
        "metadata": {"name": "front", "namespace": "shop"},
        "spec": {"clusterIP": "10.9.9.9", "ports": [{"name": "admin", "port": 81}], "selector": {"app": "db"}},
    }
    snapshot = await seen(kube, a_raw_rollout(**spec))
    assert isinstance(snapshot, Snapshot)
    assert snapshot.services["front"].ports == {"admin": 81}
    assert read_by(kube).count(SERVICE) == 1


async def test_a_service_that_is_not_there_is_absent() -> None:
    snapshot = await seen(a_cluster(a_raw_pod()), a_raw_rollout(drain={"apply": to_service("gone")}))
    assert isinstance(snapshot, Snapshot)
    assert snapshot.services == {}


LEAVING = a_pod("db-2").isolated("v2")


def a_slice(*uids: str, serving: bool = True) -> Json:
    endpoints = [{"targetRef": {"kind": "Pod", "uid": uid}, "conditions": {"serving": serving}} for uid in uids]
    return {"metadata": {"name": "db-x"}, "endpoints": endpoints}


class Watch:
    """Isolation as it is seen time after time; the clock stands at `now` when it is asked."""

    def __init__(self) -> None:
        self.now = NOW
        self.kube = RecordedKube()
        self.isolation = Isolation(lambda: self.now)

    async def look(self, *pods: PodView, shown: Json | None = None) -> dict[str, float]:
        self.kube.objects = {f"{SLICES}/db-x": shown} if shown else {}
        return dict(await self.isolation.observe(self.kube, "shop", pods))


async def test_isolation_counts_from_the_first_look_that_finds_the_pod_nowhere() -> None:
    watch = Watch()
    assert await watch.look(LEAVING, shown=a_slice(LEAVING.uid)) == {}
    watch.now += 3
    assert await watch.look(LEAVING, shown=a_slice(LEAVING.uid, serving=False)) == {LEAVING.uid: NOW + 3}
    watch.now += 10
    assert await watch.look(LEAVING) == {LEAVING.uid: NOW + 3}


async def test_a_pod_that_the_kubelet_may_still_call_ready_is_not_isolated_though_nobody_shows_it() -> None:
    watch = Watch()
    opened_a_moment_ago = LEAVING.condition(names.SERVING, False, 1).condition("Ready", False, 4)
    assert await watch.look(opened_a_moment_ago) == {}
    assert watch.kube.calls == []
    written_off = LEAVING.condition(names.SERVING, False, 1).condition("Ready", False, 1)
    assert await watch.look(written_off) == {LEAVING.uid: NOW}


async def test_slices_are_not_read_once_everybody_is_isolated_or_nobody_leaves() -> None:
    watch = Watch()
    await watch.look(LEAVING)
    await watch.look(LEAVING)
    assert len(watch.kube.calls) == 1
    await watch.look(a_pod("db-0"), LEAVING.ungated(), LEAVING.but(facts=None))
    assert len(watch.kube.calls) == 1


async def test_another_pod_that_leaves_is_looked_for_and_the_first_keeps_its_time() -> None:
    watch = Watch()
    await watch.look(LEAVING)
    watch.now += 5
    other = a_pod("db-1").isolated("v2")
    assert await watch.look(LEAVING, other) == {LEAVING.uid: NOW, other.uid: NOW + 5}
    assert len(watch.kube.calls) == 2


async def test_a_pod_that_came_back_to_service_begins_anew() -> None:
    watch = Watch()
    await watch.look(LEAVING)
    assert await watch.look(a_pod("db-2")) == {}
    watch.now += 60
    assert await watch.look(LEAVING) == {LEAVING.uid: NOW + 60}


async def test_a_workload_without_a_set_is_seen_without_one() -> None:
    snapshot = await seen(RecordedKube())
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.target, snapshot.pods, snapshot.budgets) == (None, (), ())


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
    snapshot = await seen(kube, ours, web)
    assert isinstance(snapshot, Snapshot)
    assert snapshot.dependencies == {ours["metadata"]["name"]: ("web", "gone"), "web": ("etcd",)}
    assert snapshot.unfinished == unfinished
