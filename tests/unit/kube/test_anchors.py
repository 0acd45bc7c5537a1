"""Which pods are bound to their node by a volume, and what is read to know it."""

from __future__ import annotations

import pytest

from statefulrollout.core.snapshot import Snapshot
from statefulrollout.kube import paths, views
from statefulrollout.kube.budgets import FloorMemory
from statefulrollout.kube.isolation import Isolation
from statefulrollout.kube.memory import Memory
from statefulrollout.kube.observe import observe
from statefulrollout.kube.survey import survey
from statefulrollout.kube.workload import Rollouts, fetch_workload
from statefulrollout.kube.zones import Zones
from tests.builders import NOW
from tests.unit.kube.recorder import ROLLOUT, SET, Json, RecordedKube, a_raw_pod, a_raw_rollout, a_raw_set

CLAIMS = paths.persistentvolumeclaims("shop")
NODE = paths.nodes(name="node-2")
VOLUME = paths.persistentvolumes(name="pv-1")
ANYWHERE: Json = {"spec": {}}


def a_volume(*terms: Json) -> Json:
    return {"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [*terms]}]}}}}


def on(*values: str, key: str = views.HOSTNAME_LABEL, operator: str = "In") -> Json:
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.parametrize(
    ("anchored", "volume"),
    [
        (False, ANYWHERE),
        (False, {"spec": {"nodeAffinity": {}}}),
        (True, a_volume(on("node-2"))),
        (True, a_volume(on("ip-10-0-0-2"))),
        (True, a_volume(on("node-2", key="topology.topolvm.io/node"))),
        (True, a_volume(on("zone-a", key="topology.kubernetes.io/zone"), on("node-2"))),
        (False, a_volume(on("zone-a", key="topology.kubernetes.io/zone"))),
        (False, a_volume(on("node-2", "node-3"))),
        (False, a_volume(on("node-2", operator="NotIn"))),
        (False, a_volume({"key": "ssd", "operator": "Exists"})),
    ],
)
def test_a_volume_binds_a_pod_to_its_node_where_every_term_names_just_that(anchored: bool, volume: Json) -> None:
    assert views.is_anchored(volume, "node-2") is anchored


def test_one_term_that_allows_another_node_is_enough_to_be_free() -> None:
    volume = a_volume(on("node-2"))
    volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"].append({"matchExpressions": [on("node-3")]})
    assert views.is_anchored(volume, "node-2")
    volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"].append({"matchExpressions": [on("a", key="rack")]})
    assert not views.is_anchored(volume, "node-2")


def a_cluster(**node: bool) -> RecordedKube:
    """One pod that shall leave, with two claims: one can be mounted anywhere, the other on its node alone."""
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": f"{name}-db-2"}} for name in ("wal", "data")]
    pod = a_raw_pod("db-2", spec={"volumes": [{"name": "tmp", "emptyDir": {}}, *volumes]})
    return RecordedKube(
        {
            ROLLOUT: a_raw_rollout(),
            SET: a_raw_set(),
            paths.pods("shop", "db-2"): pod,
            f"{CLAIMS}/wal-db-2": {"metadata": {"name": "wal-db-2"}, "spec": {"volumeName": "pv-0"}},
            f"{CLAIMS}/data-db-2": {"metadata": {"name": "data-db-2"}, "spec": {"volumeName": "pv-1"}},
            paths.persistentvolumes(name="pv-0"): ANYWHERE,
            VOLUME: a_volume(on("node-2")),
            NODE: {"metadata": {"name": "node-2"}, "spec": node},
        }
    )


async def look(kube: RecordedKube, memory: Memory) -> Snapshot:
    workload = await fetch_workload(kube, "shop", "db")
    kube.calls.clear()
    rollouts = Rollouts((a_raw_rollout(),))
    snapshot = await observe(kube, rollouts, workload, {}, memory)
    assert isinstance(snapshot, Snapshot)
    surveyed = await survey(kube, snapshot, rollouts, memory)
    assert surveyed is not None
    return surveyed


def a_memory(kube: RecordedKube) -> Memory:
    return Memory(Isolation(lambda: NOW), Zones(kube, lambda: NOW), FloorMemory(lambda: NOW))


async def test_where_a_volume_can_be_mounted_is_read_once_and_whether_its_node_is_cordoned_every_time() -> None:
    kube = a_cluster()
    memory = a_memory(kube)
    snapshot = await look(kube, memory)
    assert (snapshot.anchors, snapshot.cordoned) == ({"uid-db-2": "data-db-2"}, frozenset())
    kube.objects[NODE]["spec"]["unschedulable"] = True
    assert (await look(kube, memory)).cordoned == {"node-2"}
    read = [call.path for call in kube.calls]
    (listing,) = (call for call in kube.calls if call.path == paths.nodes())
    assert listing.params["fieldSelector"] == "spec.unschedulable=true"
    assert not {CLAIMS, VOLUME, NODE} & set(read)
    del kube.objects[NODE]
    assert (await look(kube, memory)).cordoned == frozenset()


async def test_at_rest_nothing_of_it_is_read() -> None:
    kube = a_cluster()
    status = kube.objects[paths.statefulsets("shop", "db")]["status"]
    status["updateRevision"] = status["currentRevision"] = "db-v1"
    workload = await fetch_workload(kube, "shop", "db")
    snapshot = await observe(kube, Rollouts((a_raw_rollout(),)), workload, {}, a_memory(kube))
    assert isinstance(snapshot, Snapshot)
    assert snapshot.anchors == {}
    assert not {CLAIMS, VOLUME, paths.nodes()} & {call.path for call in kube.calls}


async def test_a_volume_that_is_gone_binds_nobody() -> None:
    kube = a_cluster()
    del kube.objects[VOLUME]
    assert (await look(kube, a_memory(kube))).anchors == {}
