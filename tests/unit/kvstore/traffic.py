"""Clients of the store in tests: requests in turn to every pod that the Service would name, checked as they go."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from e2e.load.connections import Pool
from e2e.load.keytable import KeyTable
from e2e.load.records import Record
from e2e.load.traffic import Client, Watcher, preload
from tests.unit.kvstore.pods import PATIENCE_SECONDS, Pods


@dataclass
class Traffic:
    """What the clients saw."""

    table: KeyTable = field(default_factory=KeyTable)
    records: list[Record] = field(default_factory=list)
    watchers: list[Watcher] = field(default_factory=list)

    async def sweep(self) -> None:
        assert await self.watchers[0].sweep() == 0

    def assert_nobody_noticed(self) -> None:
        failed = [record for record in self.records if record.failed]
        assert not failed, failed[:5]
        assert not self.table.lost, sorted(self.table.lost)[:5]
        assert not self.table.stale, sorted(self.table.stale)[:5]
        assert len(self.records) > 50, "too few requests to prove anything"


@asynccontextmanager
async def traffic(pods: Pods, to: list[int], keys: int, rate: float = 400.0) -> AsyncIterator[Traffic]:
    """A client and a watcher at each of these pods while the context lasts."""
    seen = Traffic()
    stop = asyncio.Event()
    pools = [Pool(pods.ip(ordinal), pods.client_port, spread=4, timeout_seconds=PATIENCE_SECONDS) for ordinal in to]
    watch_pools = [
        Pool(pods.ip(ordinal), pods.client_port, spread=1, timeout_seconds=PATIENCE_SECONDS) for ordinal in to
    ]
    await preload(pools[0], seen.table, keys)
    clients = [
        Client(pool, seen.table, seen.records.append, rate / len(to), seed=seed)
        for pool, seed in zip(pools, itertools.count(), strict=False)
    ]
    seen.watchers = [Watcher(pool, seen.table, seen.records.append, rate=2000, batch=50) for pool in watch_pools]
    runs = [client.run(stop) for client in clients] + [watcher.run(stop) for watcher in seen.watchers]
    running = [asyncio.create_task(run) for run in runs]
    try:
        yield seen
        stop.set()
        await asyncio.gather(*running)
        await seen.sweep()
    finally:
        stop.set()
        await asyncio.wait(running)
        for pool in (*pools, *watch_pools):
            pool.close()
