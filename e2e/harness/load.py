"""Asking the load that runs in the cluster how its clients fare."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from e2e.harness.api import Api, pod_path
from e2e.harness.kubectl import Json
from e2e.load.manifests import CONTROL_PORT

SWEEP_SECONDS = 90.0


@dataclass(frozen=True)
class LoadClient:
    """The control port of one load pod. `finish` ends the load; its final figures stay."""

    api: Api
    namespace: str
    pod: str

    def stats(self) -> Json:
        """The totals so far."""
        return self.api.get(self._path("/stats"))

    def timeline(self, bucket_ms: int = 1000) -> Json:
        """Requests, failures and latencies over time."""
        return self.api.get(self._path(f"/timeline?bucketMs={bucket_ms}"))

    def failures(self) -> dict[float, int]:
        """How many requests failed, by the second in which they were due (its beginning, since the epoch)."""
        failed: Counter[float] = Counter()
        for buckets in self.timeline().values():
            for bucket in buckets:
                failed[bucket["at"] / 1000] += bucket["failed"]
        return {at: number for at, number in sorted(failed.items()) if number}

    def finish(self) -> Json:
        """Stop the clients, have every key read a last time, and return the final totals."""
        give_up_at = time.monotonic() + SWEEP_SECONDS
        while (stats := self.api.send("POST", self._path("/finish")))["phase"] != "Finished":
            assert time.monotonic() < give_up_at, f"awaited: the last sweep of all keys; last seen: {stats}"
        return stats

    def _path(self, path: str) -> str:
        return pod_path(self.namespace, self.pod, CONTROL_PORT, path)


def complaints(stats: Json, *, keys_may_be_lost: bool = False) -> list[str]:
    """What the clients would complain of; empty where they noticed nothing."""
    found = []
    if stats["failed"] or stats["watcher"]["failed"]:
        found.append(
            f"{stats['failed']} of {stats['requests']} requests failed: {stats['errors']}; "
            f"the watcher: {stats['watcher']['errors']}"
        )
    if not keys_may_be_lost and (stats["keysLost"] or stats["keysStale"]):
        found.append(f"{stats['keysLost']} keys lost and {stats['keysStale']} stale of {stats['keysWritten']}")
    if stats["keysUnread"]:
        found.append(f"{stats['keysUnread']} keys could not be read at the end")
    if not stats["requests"]:
        found.append("the clients made no request: nothing was measured")
    return found
