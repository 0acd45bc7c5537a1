"""A whole load against two real pods on loopback: preload, run, finish, sweep."""

from __future__ import annotations

import asyncio
import json

from aiohttp.test_utils import TestClient, TestServer

from e2e.kvstore.store import Entry
from e2e.load.run import Control, Load, Phase, Settings
from tests.unit.kvstore.pods import Pods, until


async def test_a_load_is_followed_and_finished_from_outside() -> None:
    async with Pods() as pods:
        await pods.start(0, 1)
        await pods.declare(0, pods.document(1, joining=[0, 1]))
        load = Load(Settings(pods.ip(0), pods.client_port, keys=1200, rate=200))
        async with TestClient(TestServer(Control(load).application())) as control:
            assert (await control.get("/readyz")).status == 503
            running = asyncio.create_task(load.run())
            await until(lambda: load.phase is Phase.RUNNING and len(load.records) > 40)
            assert (await control.get("/readyz")).status == 200

            answer = await control.post("/finish")
            while answer.status == 202:
                answer = await control.post("/finish")
            stats = await answer.json()
            assert (stats["phase"], stats["keysWritten"], stats["keysUnread"]) == ("Finished", 1200, 0)
            assert (stats["failed"], stats["keysLost"], stats["keysStale"]) == (0, 0, 0)
            assert stats["watcher"]["requests"] >= 6, "the sweep alone reads all keys, 200 at a time"

            lines = (await (await control.get("/records?since=10")).text()).splitlines()
            assert len(lines) == len(load.records) - 10
            assert json.loads(lines[0])[4] == "ok"
            timeline = await (await control.get("/timeline?bucketMs=100")).json()
            assert sum(bucket["requests"] for bucket in timeline["client"]) == stats["requests"]
            assert (await control.get("/timeline?bucketMs=0")).status == 400
            await running


async def test_a_store_that_forgets_is_found_out() -> None:
    async with Pods() as pods:
        (member,) = await pods.start(0)
        await pods.declare(0, pods.document(1, joining=[0]))
        load = Load(Settings(pods.ip(0), pods.client_port, keys=600, rate=50))
        running = asyncio.create_task(load.run())
        await until(lambda: load.phase is Phase.RUNNING)
        forgotten = {key: Entry(10**9, "") for key in ("key-1", "key-2", "key-3")}
        member.store.forget(forgotten)
        while not await load.finish(1):
            pass
        await running
        assert load.table.lost <= set(forgotten)
        assert load.stats()["keysLost"] >= 1
