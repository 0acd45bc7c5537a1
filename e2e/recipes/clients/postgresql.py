"""A client of PostgreSQL: transactions on the primary, reads on the standbys, and retries only of what is safe.

A transaction that broke before its COMMIT was sent has not happened, so it is done again on a fresh connection. One
whose COMMIT was sent and not answered may or may not have happened: a failure, because nobody can repeat it safely.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import psycopg

from e2e.recipes.clients.control import Figures, live

WRITERS = 8
READERS = 2
STANDBYS = 2
WORK_SECONDS = 0.02
PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 15.0
RETRY_SECONDS = 0.1
AWAY = ("08", "57P", "25006")
"""SQLSTATEs, or their beginnings, of a server that goes away or is no primary (any more)."""

Connection: TypeAlias = "psycopg.AsyncConnection[tuple[int, ...]]"


class UnknownOutcomeError(Exception):
    """COMMIT was sent, and there was no answer."""


class Link:
    """A pool of one connection: made anew whenever it is needed and not there."""

    def __init__(self, conninfo: str):
        self._conninfo = conninfo
        self._connection: Connection | None = None

    async def get(self) -> Connection:
        """The connection. Raises psycopg.Error where no server of the wanted kind answers."""
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(self._conninfo)
        return self._connection

    async def drop(self) -> None:
        """Forget the connection: its server goes away, or is not what it was."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class Postgresql:
    """Writers and readers, each with a connection of its own.

    Its notes: `retried`, requests that took more than one attempt; `cut_off`, transactions that broke after their
    first statement; `unknown`, those that broke at their COMMIT, and how many of them are there all the same;
    `longest_pause_ms`, the longest time in which no transaction was acknowledged.
    """

    def __init__(self, primary: str, replicas: str):
        self.figures = Figures()
        self._primary = primary
        self._replicas = replicas
        self._ids = itertools.count(1)
        self._acknowledged: set[int] = set()
        self._unknown: set[int] = set()
        self._last_commit = 0.0
        self.figures.notes.update(retried=0, cut_off=0, unknown=0, reads=0, longest_pause_ms=0)

    async def prepare(self) -> None:
        """Wait for a primary, and until every standby has the table."""
        await self._await(self._primary, _create_table)
        seen: set[object] = set()
        while len(seen) < STANDBYS:
            await self._await(self._replicas, lambda connection: _find_table(connection, seen))

    async def use(self, stop: asyncio.Event) -> None:
        """Write and read until told to stop."""
        self._last_commit = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(self._keep(stop, self._primary, self._write))
            for _ in range(READERS):
                group.create_task(self._keep(stop, self._replicas, self._read))

    async def look_again(self) -> None:
        """Every acknowledged transaction must be there, with both of its rows."""
        async with await psycopg.AsyncConnection.connect(self._primary) as connection:
            found = await connection.execute(
                "SELECT id FROM entries GROUP BY id HAVING count(*) = 2 AND sum(amount) = 0"
            )
            whole = {row[0] for row in await found.fetchall()}
        self.figures.lost = len(self._acknowledged - whole)
        self.figures.notes["acknowledged"] = len(self._acknowledged)
        self.figures.notes["unknown_but_there"] = len(self._unknown & whole)

    async def _keep(self, stop: asyncio.Event, conninfo: str, once: Callable[[Link], Awaitable[None]]) -> None:
        link = Link(conninfo)
        while not stop.is_set():
            self.figures.requests += 1
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._patiently(link, once)
            except (psycopg.Error, UnknownOutcomeError, TimeoutError) as error:
                self.figures.failure(error)
                await link.drop()
            await asyncio.sleep(PAUSE_SECONDS)
        await link.drop()

    async def _patiently(self, link: Link, once: Callable[[Link], Awaitable[None]]) -> None:
        """Do it, and do it again as long as it has certainly not happened and may succeed elsewhere."""
        for attempt in itertools.count():
            try:
                await once(link)
            except psycopg.Error as error:
                await link.drop()
                if not (error.sqlstate or "08").startswith(AWAY):
                    raise
                self.figures.notes["retried"] += attempt == 0
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _write(self, link: Link) -> None:
        entry, connection = next(self._ids), await link.get()
        await connection.execute("INSERT INTO entries VALUES (%s, %s)", (entry, entry))
        try:
            await asyncio.sleep(WORK_SECONDS)
            await connection.execute("INSERT INTO entries VALUES (%s, %s)", (entry, -entry))
        except psycopg.Error:
            self.figures.notes["cut_off"] += 1
            raise
        try:
            await connection.commit()
        except (psycopg.Error, asyncio.CancelledError) as error:
            self._unknown.add(entry)
            self.figures.notes["unknown"] += 1
            raise UnknownOutcomeError(f"COMMIT was sent: {type(error).__name__}: {error}") from error
        self._acknowledged.add(entry)
        now = time.monotonic()
        pause = round((now - self._last_commit) * 1000)
        self.figures.notes["longest_pause_ms"] = max(self.figures.notes["longest_pause_ms"], pause)
        self._last_commit = now

    async def _read(self, link: Link) -> None:
        await _count(await link.get())
        self.figures.notes["reads"] += 1

    async def _await(self, conninfo: str, once: Callable[[Connection], Awaitable[None]]) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(conninfo) as connection:
                    return await once(connection)
            except psycopg.Error:
                await asyncio.sleep(0.5)


async def _create_table(connection: Connection) -> None:
    await connection.execute("CREATE TABLE IF NOT EXISTS entries (id bigint NOT NULL, amount bigint NOT NULL)")


async def _find_table(connection: Connection, seen: set[object]) -> None:
    await _count(connection)
    seen.add(await (await connection.execute("SELECT inet_server_addr()")).fetchone())


async def _count(connection: Connection) -> None:
    await (await connection.execute("SELECT count(*) FROM entries")).fetchall()
    await connection.commit()


def main() -> None:
    """Run a client from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--primary", required=True, help="connection string of the primary")
    parser.add_argument("--replicas", required=True, help="connection string of the standbys")
    options = parser.parse_args()
    asyncio.run(live(Postgresql(options.primary, options.replicas)))


if __name__ == "__main__":
    main()
