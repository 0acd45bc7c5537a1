"""Pods whose readiness comes and goes, as that of an application does that is at its limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from typing import Self

from e2e.harness.api import STRATEGIC_PATCH, Api
from e2e.harness.kubectl import Json

CHANGES_PER_SECOND = 2.0
"""Of each pod: it is not ready for half a second, and ready for another half."""
LONGEST_SECONDS = 60.0
_THREADS = 4


@dataclass
class Flapping:
    """A context manager: the pods flap for as long as it is open, for a minute at most; afterwards all are ready.

    Where the API server cannot keep up, changes are made later, never faster to make up for it. A request that fails
    ends the flapping of that thread's pods, and is raised in the end.
    """

    api: Api
    namespace: str
    pods: Sequence[str]
    _changes: list[int] = field(default_factory=lambda: [0] * _THREADS)
    _end: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _errors: list[Exception] = field(default_factory=list)

    @property
    def flaps(self) -> float:
        """How often a pod was not ready and ready again, over all pods."""
        return sum(self._changes) / 2

    def __enter__(self) -> Self:
        for number in range(_THREADS):
            thread = threading.Thread(target=self._flap, args=(number, self.pods[number::_THREADS]))
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _flap(self, number: int, pods: Sequence[str]) -> None:
        give_up_at, due = time.monotonic() + LONGEST_SECONDS, time.monotonic()
        try:
            for ready in cycle((False, True)):
                over = self._end.wait(due - time.monotonic()) or time.monotonic() > give_up_at
                if over and not ready:
                    return
                for pod in pods:
                    path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/status"
                    self.api.send("PATCH", path, build_readiness(ready, datetime.now(UTC)), STRATEGIC_PATCH)
                    self._changes[number] += 1
                due = max(time.monotonic(), due + 1 / CHANGES_PER_SECOND)
        except (AssertionError, OSError) as error:
            self._errors.append(error)


def build_readiness(ready: bool, now: datetime) -> Json:
    """What a kubelet writes of a pod whose readiness probe begins to pass, or to fail."""
    status, at = str(ready), now.strftime("%Y-%m-%dT%H:%M:%SZ")
    kinds = ("ContainersReady", "Ready")
    conditions = [{"type": kind, "status": status, "lastTransitionTime": at} for kind in kinds]
    return {"status": {"conditions": conditions}}
