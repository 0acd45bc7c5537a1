"""Tells the person at the terminal what is going on: every line with the seconds since the start, never a long silence.

Decides nothing about the work that it reports on but when to give it up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from e2e.demo.programs import DemoError

TICK_SECONDS = 4.0

Result = TypeVar("Result")


class Terminal:
    """Standard output, with a clock."""

    def __init__(self, write: Callable[[str], None] = lambda line: print(line, flush=True)) -> None:
        self._write = write
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        self._write(f"[{time.monotonic() - self._began:4.0f} s] {text}")

    async def during(
        self,
        what: str,
        work: Awaitable[Result],
        *,
        deadline_seconds: float,
        look: Callable[[], Awaitable[str]] | None = None,
        tick_seconds: float = TICK_SECONDS,
    ) -> Result:
        """Await `work`, and every few seconds print what `look` sees of it, or that it still lasts.

        Raises DemoError that names `what` and the last sight of it when the deadline passes.
        """
        self.say(f"{what} …")
        began = time.monotonic()
        task = asyncio.ensure_future(work)
        seen = ""
        try:
            while not (await asyncio.wait([task], timeout=tick_seconds))[0]:
                lasted = time.monotonic() - began
                seen = await look() if look else f"{what}: {lasted:.0f} s"
                if task.done():
                    break
                if lasted > deadline_seconds:
                    raise DemoError(f"waited {deadline_seconds:.0f} s in vain for: {what}\n{seen}")
                self.say(f"  {seen}")
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
