"""Runs kubectl, helm and the cluster tool, and says what failed in words for the person at the terminal.

Knows nothing of what the programs are run for. Never kills anything that it did not start.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class DemoError(Exception):
    """The demo cannot go on; the text says what is missing or failed, and what to do about it."""


async def call(*argv: str | Path, stdin: str = "") -> str:
    """Run a program to its end and return what it wrote to standard output.

    Raises DemoError with its standard error if it is missing or fails. Cancelling this ends the program.
    """
    words = [str(word) for word in argv]
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe)
    except FileNotFoundError:
        raise DemoError(f"{words[0]} is not installed, or not where it was") from None
    try:
        out, err = await process.communicate(stdin.encode())
    except asyncio.CancelledError:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        raise
    if process.returncode != 0:
        said = (err or out).decode(errors="replace").strip()
        raise DemoError(f"`{' '.join(words)}` ended with status {process.returncode}:\n{said}")
    return out.decode()


@dataclass(frozen=True)
class Cluster:
    """The cluster as kubectl reaches it. `external`: the user's own, where images come from a registry."""

    kubectl: Path
    kubeconfig: Path
    external: bool

    async def run(self, *args: str, stdin: str = "") -> str:
        """Run kubectl. Raises DemoError."""
        return await call(self.kubectl, "--kubeconfig", self.kubeconfig, *args, stdin=stdin)

    async def apply(self, manifests: Iterable[dict[str, Any]]) -> None:
        """Apply manifests, in their order. Raises DemoError."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        await self.run("apply", "--filename", "-", stdin=json.dumps(items))

    async def get(self, *args: str) -> dict[str, Any]:
        """Get an object, or a list of them. Raises DemoError."""
        found: dict[str, Any] = json.loads(await self.run("get", *args, "--output", "json"))
        return found
