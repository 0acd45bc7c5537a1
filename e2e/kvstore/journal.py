"""The volume: an append-only log of what a pod took in and handed over, on disk before anything is acknowledged.

One JSON line per batch, `{"put": {key: [version, value]}}` or `{"gone": {…}}`. Appends that arrive while a write
is under way share the next `fsync`. A torn last line (a crash in the middle of a write) was never acknowledged
and is dropped. The log is rewritten without its history at every start.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from e2e.kvstore.placement import SHARDS
from e2e.kvstore.store import Entries, Entry, Store


class Journal:
    """The log of one pod. Open with `Journal.replayed`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None

    @classmethod
    def replayed(cls, directory: Path, store: Store) -> Journal:
        """Fill the store from the log in this directory, compact the log, and open it for more."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "keys.log"
        if path.exists():
            for line in path.read_bytes().splitlines():
                _apply(line, store)
        compacted = path.with_suffix(".new")
        with compacted.open("wb") as file:
            file.write(_line("put", store.entries_in(range(SHARDS))))
            file.flush()
            os.fsync(file.fileno())
        compacted.replace(path)
        return cls(path)

    def close(self) -> None:
        """Let go of the file; nothing may be appended any more."""
        self._file.close()

    async def append(self, entries: Entries) -> None:
        """Return once these entries are on disk."""
        await self._write(_line("put", entries))

    async def append_gone(self, entries: Entries) -> None:
        """Return once it is on disk that these entries are somebody else's now."""
        await self._write(_line("gone", entries))

    async def _write(self, line: bytes) -> None:
        written = asyncio.get_running_loop().create_future()
        self._pending.append((line, written))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await written

    async def _flush(self) -> None:
        while self._pending:
            batch, self._pending = self._pending, []
            try:
                await asyncio.to_thread(self._write_through, b"".join(line for line, _ in batch))
            except OSError as error:
                failure: OSError | None = error
            else:
                failure = None
            for _, written in batch:
                if written.done():
                    continue
                if failure is None:
                    written.set_result(None)
                else:
                    written.set_exception(failure)
        self._flushing = None

    def _write_through(self, lines: bytes) -> None:
        self._file.write(lines)
        os.fsync(self._file.fileno())


def _line(verb: str, entries: Entries) -> bytes:
    return json.dumps({verb: entries}, separators=(",", ":")).encode() + b"\n"


def _apply(line: bytes, store: Store) -> None:
    try:
        record = json.loads(line)
    except ValueError:
        return
    for verb, apply in (("put", store.merge), ("gone", store.forget)):
        if verb in record:
            apply({key: Entry(*entry) for key, entry in record[verb].items()})
