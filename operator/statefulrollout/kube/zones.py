"""In which zone each node is, for rollouts that go zone by zone.

A node's zone changes only if the node is made anew, so what was read is kept for a while: this one thing is not read
live on every pass. A node that cannot be found, or has no such label, has no zone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from statefulrollout.errors import NotFound
from statefulrollout.kube import paths
from statefulrollout.kube.client import Kube

KEPT_SECONDS = 600.0


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
        for name in sorted(set(nodes) - self._labels.keys() - {""}):
            self._labels[name] = (now, await self._read(name))
        known = {name: self._labels[name][1].get(topology_key) for name in nodes if name in self._labels}
        return {name: zone for name, zone in known.items() if zone}

    async def _read(self, name: str) -> Mapping[str, str]:
        try:
            node = await self._kube.call("GET", paths.nodes(name=name))
        except NotFound:
            return {}
        labels: dict[str, str] = node["metadata"].get("labels") or {}
        return labels
