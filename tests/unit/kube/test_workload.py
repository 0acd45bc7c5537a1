"""What is read of a StatefulSet and of those that roll it."""

from __future__ import annotations

import pytest

from statefulrollout.kube import paths
from statefulrollout.kube.known import Heard, Known
from statefulrollout.kube.workload import fetch_rollouts, fetch_workload
from tests.unit.kube.recorder import (
    LEDGER,
    PODS,
    SET,
    VERSION,
    Json,
    RecordedKube,
    a_cluster,
    a_raw_pod,
    a_raw_rollout,
    a_raw_set,
    read_by,
)

CLAIMS = paths.persistentvolumeclaims("shop")
SLICES = paths.endpointslices("shop")


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
    found = await fetch_rollouts(kube, "shop", "db", [alone])
    assert (found.ours, found.all) == ([alone], ())
    assert read_by(kube) == [f"{rollouts}/db"]


@pytest.mark.parametrize(
    ("shown", "change"),
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
async def test_any_other_is_read_with_its_neighbours(shown: list[str], change: Json) -> None:
    rollouts = paths.statefulrollouts("shop")
    heard = a_raw_rollout("db")
    for part, changes in change.items():
        heard[part] |= changes
    kube = RecordedKube({f"{rollouts}/db": heard, f"{rollouts}/older": a_raw_rollout("older", "2027-01-15T05:00:00Z")})
    found = await fetch_rollouts(kube, "shop", "db", [a_raw_rollout(name) for name in shown])
    assert found.ours[0]["metadata"]["name"] == "older"
    assert read_by(kube)[-1] == rollouts


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


async def test_a_set_that_is_known_is_read_with_only_those_pods_that_changed() -> None:
    kube, known = a_cluster(a_raw_pod("db-0"), a_raw_pod("db-1"), a_raw_pod("db-2")), Known()
    before = await fetch_workload(kube, "shop", "db", known)
    for name in ("db-0", "db-1"):
        kube.objects[f"{PODS}/{name}"]["metadata"]["resourceVersion"] = "1001"
    after = await fetch_workload(
        kube, "shop", "db", known, Heard(version="1001", pods={"db-0": "900", "db-1": "1001", "db-2": "900"})
    )
    assert [pod.version for pod in after.pods] == ["900", "1001", "900"]
    assert after.pods[2] is before.pods[2]
    assert after.pods == tuple(known.pods.values())
    assert (known.version, known.listed) == ("1001", f"{VERSION}")


@pytest.mark.parametrize(
    "change", [{"selector": {"matchLabels": {"app": "new"}}}, {"replicas": 4}, {"ordinals": {"start": 1}}, {"uid": "x"}]
)
async def test_a_set_that_has_other_pods_than_what_is_known_is_read_anew(change: Json) -> None:
    kube, known = a_cluster(a_raw_pod("db-0"), a_raw_pod("db-1"), a_raw_pod("db-2")), Known()
    await fetch_workload(kube, "shop", "db", known)
    kube.objects[SET]["metadata"]["uid"] = change.pop("uid", "uid-db")
    kube.objects[SET]["spec"] |= change
    kube.calls.clear()
    await fetch_workload(kube, "shop", "db", known, Heard(version="1001", pods=dict.fromkeys(known.pods, "900")))
    (listing,) = (call for call in kube.calls if call.path == PODS and "fieldSelector" not in call.params)
    assert "resourceVersion" not in listing.params
    assert known.target is not None
    assert known.target.uid == kube.objects[SET]["metadata"]["uid"]


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
