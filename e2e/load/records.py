"""Every request with its time and outcome, and what they add up to. Does no I/O.

A request has failed when it got no answer, or one that is no answer (any status but 200, or 404 to a read). A read
that finds its key gone or old was answered: it counts among the keys, not among the failures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from e2e.load.keytable import Verdict

ANSWERED = frozenset({Verdict.OK.value, Verdict.LOST.value, Verdict.STALE.value})


class Record(NamedTuple):
    """One request. `at` is when it was due, in seconds since the epoch; `ms` counts from then to the answer."""

    at: float
    source: str
    op: str
    key: str
    outcome: str
    ms: float

    @property
    def failed(self) -> bool:
        """Whether the request got no proper answer."""
        return self.outcome not in ANSWERED


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that `percent` per cent of the values do not exceed (nearest rank); 0 of none."""
    ranked = sorted(values)
    if not ranked:
        return 0.0
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


def totals_of(records: Sequence[Record], source: str) -> dict[str, Any]:
    """Requests, failures by class and latencies (milliseconds) of the records from one source."""
    own = [record for record in records if record.source == source]
    latencies = [record.ms for record in own]
    return {
        "requests": len(own),
        "failed": sum(record.failed for record in own),
        "errors": dict(Counter(record.outcome for record in own if record.outcome != Verdict.OK)),
        "p50Ms": round(percentile(latencies, 50), 2),
        "p99Ms": round(percentile(latencies, 99), 2),
        "maxMs": round(max(latencies, default=0.0), 2),
    }


def timeline_of(records: Sequence[Record], source: str, bucket_ms: int) -> list[dict[str, Any]]:
    """The same per bucket of time: `at` is its beginning, in milliseconds since the epoch."""
    buckets: dict[int, list[Record]] = {}
    for record in records:
        if record.source == source:
            buckets.setdefault(int(record.at * 1000) // bucket_ms * bucket_ms, []).append(record)
    return [
        {
            "at": at,
            "requests": len(bucket),
            "failed": sum(record.failed for record in bucket),
            "p99Ms": round(percentile((record.ms for record in bucket), 99), 2),
        }
        for at, bucket in sorted(buckets.items())
    ]
