"""What the store has acknowledged, and what an answer about a key therefore proves. Does no I/O.

A key is lost when it was acknowledged before a read began and the read says that there is none; stale when the
read returns less than was acknowledged by then. A write whose outcome is unknown raises no expectation, so both
the value before and after it are right.
"""

from __future__ import annotations

from enum import StrEnum

PADDING = "." * 40


class Verdict(StrEnum):
    """What a read proves."""

    OK = "ok"
    LOST = "missing"
    STALE = "stale"
    WRONG = "wrong-value"
    """A value that nobody wrote under this version."""


def value_of(key: str, version: int) -> str:
    """The value that is written for a key at a version: it can be checked against both."""
    return f"{key}@{version}{PADDING}"


class KeyTable:
    """Versions asked for and acknowledged, and the keys found lost or stale.

    `missing` are the keys that the last read of each did not find: some of `lost` may have come back with a volume.
    """

    def __init__(self) -> None:
        self.lost: set[str] = set()
        self.stale: set[str] = set()
        self.missing: set[str] = set()
        self._acknowledged: dict[str, int] = {}
        self._keys: list[str] = []
        self._asked: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def keys(self) -> list[str]:
        """Every acknowledged key, oldest first; grows while it is read."""
        return self._keys

    def next_version(self, key: str) -> int:
        """The version for a write that is about to be sent."""
        self._asked[key] = self._asked.get(key, 0) + 1
        return self._asked[key]

    def acknowledge(self, key: str, version: int) -> None:
        """A write was answered with success."""
        if key not in self._acknowledged:
            self._keys.append(key)
        self._acknowledged[key] = max(version, self._acknowledged.get(key, 0))

    def floor(self, key: str) -> int:
        """The least version that a read that begins now may return; 0 where it may find nothing."""
        return self._acknowledged.get(key, 0)

    def judge(self, key: str, floor: int, found: tuple[int, str] | None) -> Verdict:
        """Judge what a read returned (version and value) against the floor when it began, and remember it."""
        if found is None:
            if floor == 0:
                return Verdict.OK
            self.lost.add(key)
            self.missing.add(key)
            return Verdict.LOST
        self.missing.discard(key)
        version, value = found
        if value != value_of(key, version):
            return Verdict.WRONG
        if version < floor:
            self.stale.add(key)
            return Verdict.STALE
        return Verdict.OK
