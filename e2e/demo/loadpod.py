"""The load pod of one namespace, asked through the API server's pod proxy (`e2e/load/run.py` has the endpoints).

Keeps every record it has fetched: what is drawn later is made of them. Judges nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from e2e.demo.programs import Cluster
from e2e.load.manifests import CONTROL_PORT
from e2e.load.records import Record
from e2e.load.run import RECORDS_AT_ONCE, Phase

NAME = "load"


@dataclass
class LoadPod:
    """A running load pod; `records` are in the order in which the requests ended."""

    cluster: Cluster
    namespace: str
    records: list[Record] = field(default_factory=list)

    async def fetch_records(self) -> None:
        """Fetch the records that are new. Raises DemoError if the pod does not answer."""
        fetched = RECORDS_AT_ONCE
        while fetched == RECORDS_AT_ONCE:
            lines = await self.cluster.run("get", "--raw", self._path(f"records?since={len(self.records)}"))
            new = [Record(*json.loads(line)) for line in lines.splitlines()]
            self.records += new
            fetched = len(new)

    async def finish(self) -> dict[str, Any]:
        """Stop the clients, read every key a last time, and return the final totals. Raises DemoError."""
        stats: dict[str, Any] = {}
        while stats.get("phase") != Phase.FINISHED:
            stats = json.loads(
                await self.cluster.run("create", "--raw", self._path("finish"), "--filename", "-", stdin="{}")
            )
        await self.fetch_records()
        return stats

    def _path(self, endpoint: str) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{NAME}:{CONTROL_PORT}/proxy/{endpoint}"
