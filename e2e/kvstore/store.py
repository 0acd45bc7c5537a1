"""The keys that one pod holds, and the version rule: of two values for a key the higher version stays.

Clients choose versions that only grow, and no key is ever deleted, so a value that arrives twice, late or out of
order changes nothing. That is what lets every transfer be repeated blindly. In memory only; `journal.py` is disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from e2e.kvstore.placement import SHARDS, shard_of


class Entry(NamedTuple):
    """A value with its version; entries compare by version, then value, so that all pods agree on a tie."""

    version: int
    value: str


Entries = Mapping[str, Entry]


class Store:
    """Keys by shard."""

    def __init__(self) -> None:
        self._shards: tuple[dict[str, Entry], ...] = tuple({} for _ in range(SHARDS))

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def find(self, key: str) -> Entry | None:
        """What this pod holds for the key, whoever owns it."""
        return self._shards[shard_of(key)].get(key)

    def merge(self, entries: Entries) -> dict[str, Entry]:
        """Keep the higher version of each key; return those that were news."""
        news: dict[str, Entry] = {}
        for key, entry in entries.items():
            shard = self._shards[shard_of(key)]
            held = shard.get(key)
            if held is None or entry > held:
                shard[key] = news[key] = entry
        return news

    def forget(self, entries: Entries) -> None:
        """Drop what somebody else now holds; a version that is higher than the one handed over stays."""
        for key, entry in entries.items():
            shard = self._shards[shard_of(key)]
            held = shard.get(key)
            if held is not None and held <= entry:
                del shard[key]

    def entries_in(self, shards: Iterable[int]) -> dict[str, Entry]:
        """A copy of everything held in these shards."""
        return {key: entry for shard in shards for key, entry in self._shards[shard].items()}

    def count_in(self, shards: Iterable[int]) -> int:
        """How many keys are held in these shards."""
        return sum(len(self._shards[shard]) for shard in shards)
