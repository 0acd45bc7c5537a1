"""How many pods are written to at the same time, and what waits for what."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from statefulrollout.api import names
from statefulrollout.core.actions import MarkPod
from statefulrollout.kube import paths
from statefulrollout.kube.act import AT_ONCE
from tests.builders import a_pod
from tests.unit.kube.recorder import Json, RecordedKube
from tests.unit.kube.test_act import DELETE, ISOLATE, POD, STATUS, Stage

RELEASE = MarkPod(POD, "PodReleased", "released for v2", {names.RELEASED: True})


class SlowKube(RecordedKube):
    """Answers nobody before so many ask at the same time, and then whom it refuses first."""

    def __init__(self, at_once: int) -> None:
        super().__init__()
        self.asking = asyncio.Barrier(at_once)
        self.refused = asyncio.Event()

    async def call(self, method: str, path: str, **request: Any) -> Json:
        async with asyncio.timeout(5):
            await self.asking.wait()
            if (method, path) in self.refusals:
                self.refused.set()
            elif self.refusals:
                await self.refused.wait()
        return await super().call(method, path, **request)


async def test_pods_go_side_by_side_and_each_is_removed_once_it_is_marked() -> None:
    stage, pods = Stage(SlowKube(2)), [POD, a_pod("db-1").drained("v2")]
    marks = [replace(RELEASE, pod=pod) for pod in pods]
    removals = [replace(DELETE, pod=pod) for pod in pods]
    assert await stage.act(*marks, *removals)
    assert sorted(stage.sent[:2]) == [("PATCH", f"{paths.pods('shop', name)}/status") for name in ("db-1", "db-2")]
    assert sorted(stage.sent[2:]) == [("DELETE", paths.pods("shop", name)) for name in ("db-1", "db-2")]


async def test_where_one_was_not_marked_nothing_more_is_begun() -> None:
    stage, pods = Stage(SlowKube(AT_ONCE)), [POD, *(a_pod(f"db-{ordinal}") for ordinal in range(3, AT_ONCE + 9))]
    stage.kube.refuse("PATCH", STATUS, 409)
    marks = [replace(RELEASE, pod=pod) for pod in pods]
    assert not await stage.act(*marks, *(replace(DELETE, pod=pod) for pod in pods))
    assert sorted(stage.sent) == sorted(("PATCH", f"{paths.pods('shop', pod.name)}/status") for pod in pods[:AT_ONCE])
    assert len(stage.events.words) == 2 * (AT_ONCE - 1)


async def test_gates_that_close_wait_for_those_that_open() -> None:
    stage, opens = Stage(), MarkPod(a_pod("db-1"), "PodServing", "serves", {names.SERVING: True})
    stage.kube.refuse("PATCH", paths.pods("shop", "db-1", "status"), 409)
    assert not await stage.act(opens, ISOLATE)
    assert stage.sent == [("PATCH", paths.pods("shop", "db-1", "status"))]
