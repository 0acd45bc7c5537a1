"""Follows one object of the cluster by watch and keeps every version of it with the time at which it was heard.

The pods are followed by `e2e.load.sampler`; this is for the StatefulSet and the StatefulRollout. Never writes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from e2e.demo.programs import Cluster, DemoError

LINE_LIMIT_BYTES = 4 * 1024 * 1024

Object = dict[str, Any]


@dataclass
class Watched:
    """One object; `versions` are (heard at, in seconds since the epoch; the object), oldest first."""

    versions: list[tuple[float, Object]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: bool = False

    @property
    def latest(self) -> Object:
        """The newest version; empty before the first."""
        return self.versions[-1][1] if self.versions else {}

    async def until(self, holds: Callable[[Object], bool]) -> float:
        """Return the time at which the newest version was heard, once it satisfies `holds`.

        Raises DemoError if the watch ends before.
        """
        while not (self.versions and holds(self.latest)):
            if self._ended:
                raise DemoError("kubectl ended while an object was followed: is the cluster still there?")
            self._news.clear()
            await self._news.wait()
        return self.versions[-1][0]

    async def follow(self, lines: asyncio.StreamReader) -> None:
        """Read watch events, one to a line, until the stream ends."""
        async for line in lines:
            self.versions.append((time.time(), json.loads(line)["object"]))
            self._news.set()
        self._ended = True
        self._news.set()


@asynccontextmanager
async def watching(cluster: Cluster, namespace: str, kind: str, name: str) -> AsyncIterator[Watched]:
    """Follow one object for as long as the context lasts."""
    process = await asyncio.create_subprocess_exec(
        *(str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig), "get", kind, name),
        *("--namespace", namespace, "--watch", "--output-watch-events", "--output", "json"),
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT_BYTES,
    )
    assert process.stdout is not None
    watched = Watched()
    following = asyncio.create_task(watched.follow(process.stdout))
    try:
        yield watched
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await following
