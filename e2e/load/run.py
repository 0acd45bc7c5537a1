"""One load from preloading to the final sweep, and the HTTP endpoints by which it is followed from outside.

* `GET /readyz`: 200 once all keys are preloaded and the clients run.
* `GET /stats`: the phase and the totals. `GET /timeline?bucketMs=250`: requests, failures and p99 over time.
* `GET /records?since=<n>`: records from number n on, a JSON list per line; header `X-Next` is the n to go on with.
* `POST /finish`: stop, read every key a last time; 202 while that lasts, then 200 with the final totals.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import web

from e2e.load.connections import Pool
from e2e.load.keytable import KeyTable
from e2e.load.records import Record, timeline_of, totals_of
from e2e.load.traffic import Client, Watcher, preload

RECORDS_AT_ONCE = 20_000
FINISH_WAIT_SECONDS = 2.0


class Phase(StrEnum):
    """How far the load has come."""

    PRELOADING = "Preloading"
    RUNNING = "Running"
    SWEEPING = "Sweeping"
    FINISHED = "Finished"


@dataclass(frozen=True)
class Settings:
    """Where to, how much, how fast. Rates are per second: requests of the client, keys of the watcher."""

    host: str
    port: int
    keys: int = 50_000
    rate: float = 300.0
    watch_rate: float = 2000.0
    connections: int = 16
    timeout_seconds: float = 10.0


class Load:
    """A load; `run` lives it from beginning to end."""

    def __init__(self, settings: Settings) -> None:
        self.phase = Phase.PRELOADING
        self.records: list[Record] = []
        self.table = KeyTable()
        self.keys_unread = 0
        self._settings = settings
        self._stop = asyncio.Event()
        self._finished = asyncio.Event()

    async def run(self) -> None:
        """Preload, run until told to finish, sweep."""
        settings = self._settings
        pool = Pool(settings.host, settings.port, spread=settings.connections, timeout_seconds=settings.timeout_seconds)
        watch_pool = Pool(settings.host, settings.port, spread=2, timeout_seconds=settings.timeout_seconds)
        watcher = Watcher(watch_pool, self.table, self.records.append, settings.watch_rate)
        client = Client(pool, self.table, self.records.append, settings.rate)
        try:
            await preload(pool, self.table, settings.keys)
            self.phase = Phase.RUNNING
            await asyncio.gather(client.run(self._stop), watcher.run(self._stop))
            self.phase = Phase.SWEEPING
            self.keys_unread = await watcher.sweep()
            self.phase = Phase.FINISHED
            self._finished.set()
        finally:
            pool.close()
            watch_pool.close()

    async def finish(self, wait_seconds: float) -> bool:
        """Tell the load to end; whether it has, after waiting for it at most this long."""
        self._stop.set()
        try:
            async with asyncio.timeout(wait_seconds):
                return await self._finished.wait()
        except TimeoutError:
            return False

    def stats(self) -> dict[str, Any]:
        """The totals: the client's, and the watcher's under `watcher`."""
        return {
            "phase": self.phase,
            **totals_of(self.records, "client"),
            "keysWritten": len(self.table),
            "keysLost": len(self.table.lost),
            "keysMissing": len(self.table.missing),
            "keysStale": len(self.table.stale),
            "keysUnread": self.keys_unread,
            "watcher": totals_of(self.records, "watcher"),
        }


class Control:
    """The endpoints of one load."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/readyz", self._readyz),
                web.get("/stats", self._stats),
                web.get("/timeline", self._timeline),
                web.get("/records", self._records),
                web.post("/finish", self._finish),
            ]
        )
        return application

    async def _readyz(self, request: web.Request) -> web.Response:
        loading = self._load.phase is Phase.PRELOADING
        return web.Response(status=503 if loading else 200, text=f"{self._load.phase}\n")

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response(self._load.stats())

    async def _timeline(self, request: web.Request) -> web.Response:
        bucket_ms = _number_in(request, "bucketMs", default=250, least=1)
        return web.json_response(
            {source: timeline_of(self._load.records, source, bucket_ms) for source in ("client", "watcher")}
        )

    async def _records(self, request: web.Request) -> web.Response:
        since = _number_in(request, "since", default=0, least=0)
        some = self._load.records[since : since + RECORDS_AT_ONCE]
        lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in some)
        return web.Response(text=lines, headers={"X-Next": str(since + len(some))})

    async def _finish(self, request: web.Request) -> web.Response:
        finished = await self._load.finish(FINISH_WAIT_SECONDS)
        return web.json_response(self._load.stats(), status=200 if finished else 202)


def _number_in(request: web.Request, name: str, default: int, least: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal() or int(text) < least:
        raise web.HTTPBadRequest(text=f"{name} must be a whole number of at least {least}\n")
    return int(text)
