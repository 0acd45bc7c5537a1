"""When an object is read, and when it is taken as it was last read, written or shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from statefulrollout.errors import NotFound
from statefulrollout.kube import paths
from statefulrollout.kube.known import Heard, Known, latest_of
from statefulrollout.kube.workload import Workload, fetch_rollouts, fetch_workload
from tests.unit.kube.recorder import (
    LEDGER,
    PODS,
    ROLLOUT,
    SET,
    Json,
    RecordedKube,
    a_cluster,
    a_raw_pod,
    a_raw_rollout,
    a_raw_set,
    read_by,
)


def a_set(version: str, uid: str = "uid-db") -> Json:
    raw = a_raw_set()
    return {**raw, "metadata": {**raw["metadata"], "resourceVersion": version, "uid": uid}}


NOW = a_set("990")


@pytest.mark.parametrize(
    ("known", "shown", "found"),
    [
        pytest.param(a_set("910"), a_set("900"), "910", id="the watch lags"),
        pytest.param(a_set("910"), a_set("910"), "910", id="nothing happened"),
        pytest.param(a_set("910"), a_set("1000"), "1000", id="it changed, and was shown"),
        pytest.param(None, a_set("1000"), "990", id="it is not known"),
        pytest.param(a_set("910"), None, "990", id="it is not shown any more"),
        pytest.param(a_set("910"), a_set("900", "uid-2"), "990", id="another of that name was shown"),
        pytest.param(a_set("910"), a_set("a-version"), "990", id="versions that cannot be compared"),
    ],
)
async def test_the_latest_of_what_is_known_and_was_shown_is_taken_else_it_is_read(
    known: Json | None, shown: Json | None, found: str
) -> None:
    kube = RecordedKube({SET: NOW})
    assert (await latest_of(kube, SET, known, shown))["metadata"]["resourceVersion"] == found
    assert read_by(kube) == ([SET] if found == "990" else [])


async def test_what_is_gone_is_not_found() -> None:
    with pytest.raises(NotFound):
        await latest_of(RecordedKube(), SET, a_set("910"), None)


class Looked:
    """A set of one pod that was looked at once, with its ledger and a StatefulRollout that stands alone."""

    def __init__(self) -> None:
        self.kube = a_cluster(a_raw_pod("db-0"), replicas=1)
        self.known = Known()
        self.heard = Heard([a_raw_rollout()], self.kube.objects[SET], "900", {"db-0": "900"})

    async def look(self) -> Workload:
        self.kube.calls.clear()
        await fetch_rollouts(self.kube, "shop", "db", self.heard.rollouts, self.known)
        return await fetch_workload(self.kube, "shop", "db", self.known, self.heard)


@pytest.fixture
async def looked() -> Looked:
    looked = Looked()
    await looked.look()
    assert read_by(looked.kube) == [ROLLOUT, LEDGER, SET, PODS]
    return looked


async def test_while_pods_move_nothing_is_read_of_which_nothing_was_heard(looked: Looked) -> None:
    workload = await looked.look()
    assert read_by(looked.kube) == []
    assert (workload.raw, workload.ledger.uid) == (a_raw_set(replicas=1), "uid-ledger")


@pytest.mark.parametrize(
    "change",
    [pytest.param({"version": ""}, id="a conflict or an error"), pytest.param({"pods": {}}, id="at rest")],
)
async def test_else_all_is_read_as_it_is_now(looked: Looked, change: Json) -> None:
    looked.known = replace(looked.known, **change)
    await looked.look()
    assert set(read_by(looked.kube)) == {ROLLOUT, LEDGER, SET, PODS}


async def test_what_was_shown_since_is_taken(looked: Looked) -> None:
    rollout, shown = a_raw_rollout(paused=True), a_raw_set(replicas=1)
    rollout["metadata"]["resourceVersion"] = shown["metadata"]["resourceVersion"] = "950"
    shown["metadata"]["generation"] = 8
    looked.heard = replace(looked.heard, rollouts=[rollout], stateful_set=shown)
    workload = await looked.look()
    assert workload.target is not None
    assert (workload.target.generation, looked.known.rollout, read_by(looked.kube)) == (8, rollout, [])


async def test_rollouts_that_have_neighbours_are_never_taken_as_they_were(looked: Looked) -> None:
    looked.heard = replace(looked.heard, rollouts=[a_raw_rollout(group="shop")])
    await looked.look()
    assert read_by(looked.kube) == [paths.statefulrollouts("shop")]
    assert looked.known.rollout is None
