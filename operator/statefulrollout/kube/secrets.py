"""Reads Secrets for hooks where their owner has granted it: the chart gives no right to any but the webhook's.

What was read is kept for a short while: a hook asks again and again.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from statefulrollout.kube import paths
from statefulrollout.kube.client import Kube

FRESH_SECONDS = 30.0
MOST_KEPT = 256


@dataclass(frozen=True)
class _Kept:
    values: Mapping[str, bytes]
    until: float


class Secrets:
    """The Secrets of hooks."""

    def __init__(self, kube: Kube, clock: Callable[[], float] = time.time) -> None:
        self._kube = kube
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def read(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """The values of a Secret, by their keys, not older than `FRESH_SECONDS`. Raises `KubeError`."""
        now = self._clock()
        kept = self._kept.get((namespace, name))
        if kept is not None and now < kept.until:
            return kept.values
        raw = await self._kube.call("GET", paths.secrets(namespace, name))
        values = {key: base64.b64decode(value) for key, value in (raw.get("data") or {}).items()}
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[namespace, name] = _Kept(values, now + FRESH_SECONDS)
        return values

    def forget(self, namespace: str, name: str) -> None:
        """Read it anew the next time."""
        self._kept.pop((namespace, name), None)
