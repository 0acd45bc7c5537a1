"""What was measured of one side, the figures made of it, and what breaks the promise. Does no I/O.

Every request counts that the client ever sent, from the first after preloading to the last before the final sweep:
nothing is cut out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.demo.variants import Variant
from e2e.load.keytable import Verdict
from e2e.load.records import Record
from e2e.load.sampler import Event, lowest_serving

NAMED_RECORDS = 10
"""How many requests are listed one by one before the rest are only counted."""


@dataclass(frozen=True)
class Measurement:
    """One side. Times are in seconds since the epoch; `stats` are the load pod's final totals.

    `rollout_versions` are the versions of the StatefulRollout as `watching.Watched` has them; none under a plain
    StatefulSet.
    """

    variant: Variant
    stats: Mapping[str, Any]
    records: Sequence[Record]
    events: Sequence[Event]
    rollout_versions: Sequence[tuple[float, Mapping[str, Any]]]
    changed_at: float
    completed_at: float

    @property
    def requests(self) -> list[Record]:
        """The client's records, without the watcher's."""
        return [record for record in self.records if record.source == "client"]

    @property
    def began_at(self) -> float:
        """When the client sent its first request."""
        return min((record.at for record in self.requests), default=self.changed_at)

    @property
    def ended_at(self) -> float:
        """When it sent its last."""
        return max((record.at for record in self.requests), default=self.completed_at)


@dataclass(frozen=True)
class Figures:
    """What the table and result.json say of one side."""

    requests: int
    failed: int
    keys_written: int
    keys_lost: int
    keys_stale: int
    p99_ms: float
    lowest_serving: int
    seconds: float
    """From the change of the template to the end of the update."""

    def as_json(self) -> dict[str, float]:
        """As in result.json."""
        return {
            "requests": self.requests,
            "failed": self.failed,
            "keysWritten": self.keys_written,
            "keysLost": self.keys_lost,
            "keysStale": self.keys_stale,
            "p99Ms": self.p99_ms,
            "lowestServing": self.lowest_serving,
            "seconds": self.seconds,
        }


def figures_of(measured: Measurement) -> Figures:
    """The figures of one side."""
    stats = measured.stats
    return Figures(
        requests=stats["requests"],
        failed=stats["failed"],
        keys_written=stats["keysWritten"],
        keys_lost=stats["keysLost"],
        keys_stale=stats["keysStale"],
        p99_ms=stats["p99Ms"],
        lowest_serving=lowest_serving(measured.events, since=measured.changed_at),
        seconds=round(measured.completed_at - measured.changed_at, 1),
    )


def problems_of(measured: Measurement) -> list[str]:
    """Each failed request and each key lost, stale or unread, in words; the watcher's requests count, too."""
    bad = [record for record in measured.records if record.outcome != Verdict.OK]
    named = [_describe(record, measured.changed_at) for record in bad[:NAMED_RECORDS]]
    more = len(bad) - len(named)
    stats = measured.stats
    counts = [
        f"{stats[field]} {words}"
        for field, words in (("keysLost", "keys lost"), ("keysStale", "keys stale"), ("keysUnread", "keys unreadable"))
        if stats[field]
    ]
    return [*counts, *named, *([f"and {more} more requests"] if more else [])]


def _describe(record: Record, changed_at: float) -> str:
    return (
        f"{record.at - changed_at:+.1f} s after the change: {record.source}'s {record.op} of {record.key}: "
        f"{record.outcome} ({record.ms:.0f} ms)"
    )


def build_table(rows: Sequence[tuple[str, Figures]]) -> str:
    """The figures as lines for a terminal, one column for each side."""
    titles = ["", *(title for title, _ in rows)]
    lines = [
        ("requests", [f"{each.requests:,}" for _, each in rows]),
        ("failed requests", [f"{each.failed:,}" for _, each in rows]),
        ("p99 latency", [f"{each.p99_ms:,.1f} ms" for _, each in rows]),
        ("keys written", [f"{each.keys_written:,}" for _, each in rows]),
        ("keys lost", [f"{each.keys_lost:,}" for _, each in rows]),
        ("keys stale", [f"{each.keys_stale:,}" for _, each in rows]),
        ("lowest pods serving", [str(each.lowest_serving) for _, each in rows]),
        ("duration", [f"{each.seconds:.0f} s" for _, each in rows]),
    ]
    width = max(18, *(len(title) + 2 for title in titles))
    head = f"{'':22}" + "".join(f"{title:>{width}}" for title in titles[1:])
    body = [f"{label:22}" + "".join(f"{cell:>{width}}" for cell in cells) for label, cells in lines]
    return "\n".join([head, "-" * len(head), *body])
