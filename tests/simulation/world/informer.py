"""A controller's own copy of a kind of objects, which lags behind the API server.

Changes arrive in order and after a delay, as in a watch cache. `hold()` stops the arrival altogether: what a
controller sees then is as old as one likes, until `resume()`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tests.simulation.world.apiserver import ApiServer, Change
from tests.simulation.world.objects import Json
from tests.simulation.world.timeline import Timeline


class Informer:
    """The objects of one resource as last heard of; `notify` is called with each change as it arrives."""

    def __init__(
        self, server: ApiServer, timeline: Timeline, plural: str, lag: float, notify: Callable[[Change], None]
    ) -> None:
        self._timeline = timeline
        self._plural = plural
        self._lag = lag
        self._notify = notify
        self._arriving: deque[Change] = deque()
        self._held = False
        self.objects: dict[tuple[str, str], Json] = {}
        server.subscribers.append(self._hear)

    def get(self, namespace: str, name: str) -> Json | None:
        """The object as last heard of."""
        return self.objects.get((namespace, name))

    def list(self, namespace: str) -> list[Json]:
        """The objects of a namespace by name."""
        return [item for key, item in sorted(self.objects.items()) if key[0] == namespace]

    def hold(self) -> None:
        """Hear of nothing more."""
        self._held = True

    def resume(self) -> None:
        """Hear of everything that happened meanwhile."""
        self._held = False
        while self._arriving:
            self._take()

    def _hear(self, change: Change) -> None:
        if change.plural == self._plural:
            self._arriving.append(change)
            self._timeline.soon(self._lag, f"watch event of {change.plural}/{change.name}", self._arrive)

    def _arrive(self) -> None:
        if self._arriving and not self._held:
            self._take()

    def _take(self) -> None:
        change = self._arriving.popleft()
        meta = change.item["metadata"]
        if change.after is None:
            self.objects.pop((meta["namespace"], meta["name"]), None)
        else:
            self.objects[meta["namespace"], meta["name"]] = change.after
        self._notify(change)
