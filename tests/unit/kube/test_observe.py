"""What is read for one rollout, and what is left unread where nobody needs it."""

from __future__ import annotations

import pytest

from statefulrollout.api import names
from statefulrollout.core.ordering import ZONE_LABEL
from statefulrollout.core.snapshot import PodView, Snapshot
from statefulrollout.core.validation import Problem
from statefulrollout.kube import paths
from statefulrollout.kube.budgets import FloorMemory
from statefulrollout.kube.isolation import Isolation
from statefulrollout.kube.memory import Memory
from statefulrollout.kube.observe import observe
from statefulrollout.kube.workload import Rollouts, fetch_workload
from statefulrollout.kube.zones import Zones
from tests.builders import NOW, a_call, a_pod
from tests.unit.kube.recorder import Json, RecordedKube, a_cluster, a_raw_pod, a_raw_rollout, read_by

SLICES = paths.endpointslices("shop")
SERVICE = paths.services("shop", "front")


async def seen(
    kube: RecordedKube, *rollouts: Json, memory: Memory | None = None
) -> Snapshot | tuple[Problem, ...] | None:
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


async def test_slices_are_not_older_than_the_pods_that_they_must_not_show() -> None:
    watch = Watch()
    await watch.look(LEAVING.but(version="72"), a_pod("db-1").isolated("v2").but(version="9"), a_pod("db-0"))
    (call,) = watch.kube.calls
    assert call.params["resourceVersion"] == "72"
    assert call.params["resourceVersionMatch"] == "NotOlderThan"


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
