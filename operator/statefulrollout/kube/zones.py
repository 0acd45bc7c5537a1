"""In which zone each node is, for rollouts that go zone by zone.

A node's zone hardly ever changes, so what was read is kept for a minute: this one thing is not read live on every pass.
A node that cannot be found, or has no such label, has no zone, and is read again on the next pass.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from statefulrollout.errors import NotFound
from statefulrollout.kube import paths
from statefulrollout.kube.client import Kube

KEPT_SECONDS = 60.0


class Zones:
    """The labels of nodes, as they were read last."""

    def __init__(self, kube: Kube, clock: Callable[[], float]):
        """`clock` gives seconds since the epoch."""
        self._kube = kube
        self._clock = clock
        self._labels: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def of(self, nodes: Collection[str], topology_key: str) -> Mapping[str, str]:
        """The zones of these nodes, by node. Raises ApiError and Unavailable as every read does."""
        now = self._clock()
        self._labels = {name: kept for name, kept in self._labels.items() if now < kept[0] + KEPT_SECONDS}
        found: dict[str, str] = {}
        for name in sorted(set(nodes) - {""}):
            if topology_key not in self._labels.get(name, (now, {}))[1]:
                self._labels[name] = (now, await self._read(name))
            if zone := self._labels[name][1].get(topology_key):
                found[name] = zone
        return found

    async def _read(self, name: str) -> Mapping[str, str]:
        try:
            node = await self._kube.call("GET", paths.nodes(name=name))
        except NotFound:
            return {}
        labels: dict[str, str] = node["metadata"].get("labels") or {}
        return labels
