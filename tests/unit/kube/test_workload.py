"""What is read of a StatefulSet and of those that roll it."""

from __future__ import annotations

import pytest

from statefulrollout.kube import paths
from statefulrollout.kube.workload import Known, fetch_rollouts, fetch_workload
from tests.unit.kube.recorder import (
    LEDGER,
    PODS,
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


@pytest.mark.parametrize(
    ("known", "heard", "since"), [("", "", None), ("", "1100", None), ("900", "", "900"), ("900", "1100", "1100")]
)
async def test_pods_are_not_older_than_what_is_known_and_at_first_as_they_are_now(
    known: str, heard: str, since: str | None
) -> None:
    kube, known_so_far = a_cluster(a_raw_pod("db-0")), Known(selector="app=db", version=known)
    await fetch_workload(kube, "shop", "db", known_so_far, heard)
    (listing,) = (call for call in kube.calls if call.path == PODS)
    assert listing.params.get("resourceVersion") == since
    assert known_so_far.version == f"{VERSION}"


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
