"""The requests themselves: preloading, the open-loop client, the watcher, the final sweep.

The client sends on a fixed schedule, whatever the answers do, and measures from the moment a request was due: a
store that stands still shows as slow requests, not as few. The watcher reads every acknowledged key in turn, many
per request. All of them share one key table, hence know what the others were promised.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from e2e.load.connections import Answer, Pool, RequestError
from e2e.load.keytable import KeyTable, Verdict, value_of
from e2e.load.records import Record

PRELOAD_KEYS = 500
PRELOAD_CONCURRENCY = 4
MAX_IN_FLIGHT = 2000
"""Beyond this the schedule cannot be kept, and a request that is due has failed (`overload`)."""
RETRY_SECONDS = 0.5
SWEEP_PATIENCE_SECONDS = 60.0

Remember = Callable[[Record], None]


def batches(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Cut into pieces of at most `size`."""
    return (keys[start : start + size] for start in range(0, len(keys), size))


async def preload(pool: Pool, table: KeyTable, count: int) -> None:
    """Write so many keys, asking again until each is acknowledged: this is before anything is measured."""
    waiting = batches([f"key-{number}" for number in range(count)], PRELOAD_KEYS)

    async def write_some() -> None:
        for keys in waiting:
            versions = {key: table.next_version(key) for key in keys}
            body = json.dumps({key: [version, value_of(key, version)] for key, version in versions.items()})
            await _insist(pool, "/keys", body.encode())
            for key, version in versions.items():
                table.acknowledge(key, version)

    await asyncio.gather(*(write_some() for _ in range(PRELOAD_CONCURRENCY)))


async def _insist(pool: Pool, path: str, body: bytes) -> None:
    while True:
        try:
            if (await pool.ask("POST", path, body=body)).status == 200:
                return
        except RequestError:
            pass
        await asyncio.sleep(RETRY_SECONDS)


class Client:
    """Reads and writes of single keys, half and half, at a fixed rate."""

    def __init__(self, pool: Pool, table: KeyTable, remember: Remember, rate: float, seed: int = 0) -> None:
        self._pool = pool
        self._table = table
        self._remember = remember
        self._rate = rate
        self._random = random.Random(seed)
        self._in_flight: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop, then wait for what is in flight."""
        loop = asyncio.get_running_loop()
        began, began_at, number = loop.time(), time.time(), 0
        while not stop.is_set():
            due = number / self._rate
            await _until(stop, began + due)
            if stop.is_set():
                break
            number += 1
            self._send(began + due, began_at + due)
        if self._in_flight:
            await asyncio.wait(self._in_flight)

    def _send(self, due: float, at: float) -> None:
        op = self._random.choice(("read", "write"))
        key = self._random.choice(self._table.keys)
        if len(self._in_flight) >= MAX_IN_FLIGHT:
            self._remember(Record(at, "client", op, key, "overload", 0.0))
            return
        task = asyncio.create_task(self._request(op, key, due, at))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _request(self, op: str, key: str, due: float, at: float) -> None:
        outcome = await (self._read(key) if op == "read" else self._write(key))
        ms = (asyncio.get_running_loop().time() - due) * 1000
        self._remember(Record(at, "client", op, key, outcome, round(ms, 2)))

    async def _read(self, key: str) -> str:
        floor = self._table.floor(key)
        try:
            answer = await self._pool.ask("GET", f"/keys/{key}")
        except RequestError as error:
            return error.kind
        if answer.status == 404:
            return self._table.judge(key, floor, None)
        if answer.status != 200:
            return f"status-{answer.status}"
        return self._table.judge(key, floor, (int(answer.headers["x-version"]), answer.body.decode()))

    async def _write(self, key: str) -> str:
        version = self._table.next_version(key)
        try:
            answer = await self._pool.ask(
                "PUT", f"/keys/{key}", {"X-Version": str(version)}, value_of(key, version).encode()
            )
        except RequestError as error:
            return error.kind
        if answer.status != 200:
            return f"status-{answer.status}"
        self._table.acknowledge(key, version)
        return Verdict.OK


class Watcher:
    """Reads of every acknowledged key in turn, `batch` per request, so many keys per second."""

    def __init__(self, pool: Pool, table: KeyTable, remember: Remember, rate: float, batch: int = 200) -> None:
        self._pool = pool
        self._table = table
        self._remember = remember
        self._rate = rate
        self._batch = batch
        self.rounds = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Go round and round until told to stop."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            for keys in batches(list(self._table.keys), self._batch):
                next_at = loop.time() + len(keys) / self._rate
                await self._read(keys)
                await _until(stop, next_at)
                if stop.is_set():
                    return
            self.rounds += 1

    async def sweep(self) -> int:
        """Read every key once more; return how many could not be read in spite of asking again for a minute."""
        loop = asyncio.get_running_loop()
        give_up_at, unread = loop.time() + SWEEP_PATIENCE_SECONDS, 0
        for keys in batches(list(self._table.keys), self._batch):
            while not await self._read(keys):
                if loop.time() > give_up_at:
                    unread += len(keys)
                    break
                await asyncio.sleep(RETRY_SECONDS)
        return unread

    async def _read(self, keys: Sequence[str]) -> bool:
        began, at = asyncio.get_running_loop().time(), time.time()
        floors = {key: self._table.floor(key) for key in keys}
        try:
            answer = await self._pool.ask("POST", "/keys/query", body=json.dumps(keys).encode())
        except RequestError as error:
            outcome = error.kind
        else:
            outcome = self._judge(floors, answer)
        ms = (asyncio.get_running_loop().time() - began) * 1000
        self._remember(Record(at, "watcher", "read", f"{keys[0]}+{len(keys) - 1}", outcome, round(ms, 2)))
        return outcome in {Verdict.OK, Verdict.LOST, Verdict.STALE}

    def _judge(self, floors: dict[str, int], answer: Answer) -> str:
        if answer.status != 200:
            return f"status-{answer.status}"
        found = json.loads(answer.body)
        verdicts = [
            self._table.judge(key, floor, tuple(found[key]) if key in found else None) for key, floor in floors.items()
        ]
        return _worst(verdicts)


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    return max(verdicts, key=[Verdict.OK, Verdict.STALE, Verdict.LOST, Verdict.WRONG].index, default=Verdict.OK)


async def _until(stop: asyncio.Event, moment: float) -> None:
    """Return at this moment of the event loop's clock, or as soon as told to stop."""
    try:
        async with asyncio.timeout_at(moment):
            await stop.wait()
    except TimeoutError:
        return
