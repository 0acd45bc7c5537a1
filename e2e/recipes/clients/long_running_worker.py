"""Somebody who has long tasks done: submits one after the other, and looks what became of each.

    python -m e2e.recipes.clients.long_running_worker --url http://tasks:8080

A task that was begun more than once, or finished late, has failed. One that was accepted and never finished is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from typing import Any

import aiohttp

from e2e.recipes.clients.control import Figures, live

SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 20.0
LATE_SECONDS = 20.0
START_SECONDS = 60.0
LAST_SECONDS = 80.0
LOOK_SECONDS = 0.5

Json = dict[str, Any]


class TaskClient:
    """Submits so many tasks a second, each of 5 to 20 s; late is one that is done 20 s after it could have been."""

    def __init__(self, url: str, rate: float) -> None:
        self.figures = Figures(
            notes={"seconds": 0, "begun_again": 0, "late": 0, "seconds_of_work_lost": 0.0, "longest_wait": 0.0}
        )
        self._url, self._period = url, 1.0 / rate
        self._accepted: set[str] = set()

    async def prepare(self) -> None:
        """Wait until the queue accepts tasks and a worker has begun one."""
        give_up_at = time.monotonic() + START_SECONDS
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            while True:
                try:
                    await self._submit(http, "first", SHORTEST_SECONDS)
                    if any(task["attempt"] for task in await self._look(http)):
                        return
                except (aiohttp.ClientError, TimeoutError):
                    if time.monotonic() > give_up_at:
                        raise
                await asyncio.sleep(LOOK_SECONDS)

    async def use(self, stop: asyncio.Event) -> None:
        """Submit tasks until told to stop."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            began = due = time.monotonic()
            number = 0
            while not stop.is_set():
                number, due = number + 1, due + self._period
                self.figures.requests += 1
                try:
                    await self._submit(http, f"task-{number}", random.uniform(SHORTEST_SECONDS, LONGEST_SECONDS))
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.figures.failure(error)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
        self.figures.notes["seconds"] = round(time.monotonic() - began)

    async def look_again(self) -> None:
        """Wait until everything that was accepted is done, or it is lost; then judge each task."""
        give_up_at = time.monotonic() + LAST_SECONDS
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            while True:
                tasks = await self._look(http)
                if all(task["done_at"] for task in tasks) or time.monotonic() > give_up_at:
                    break
                await asyncio.sleep(LOOK_SECONDS)
        self.figures.lost += len(self._accepted - {task["id"] for task in tasks if task["done_at"]})
        for task in tasks:
            self._judge(task)

    def _judge(self, task: Json) -> None:
        notes = self.figures.notes
        waited = (task["done_at"] or time.time()) - task["submitted_at"] - task["seconds"]
        notes["longest_wait"] = round(max(notes["longest_wait"], waited), 1)
        notes["seconds_of_work_lost"] = round(notes["seconds_of_work_lost"] + task["wasted_seconds"], 1)
        again, late = task["attempt"] > 1, waited > LATE_SECONDS
        notes["begun_again"] += again
        notes["late"] += late
        if again or late:
            self.figures.failure("begun more than once" if again else "finished late")

    async def _submit(self, http: aiohttp.ClientSession, name: str, seconds: float) -> None:
        async with http.post(f"{self._url}/tasks", json={"id": name, "seconds": seconds}) as answer:
            answer.raise_for_status()
        self._accepted.add(name)

    async def _look(self, http: aiohttp.ClientSession) -> list[Json]:
        async with http.get(f"{self._url}/tasks") as answer:
            answer.raise_for_status()
            found: list[Json] = await answer.json()
        return found


async def main() -> None:
    """Live one client."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="http://tasks:8080")
    parser.add_argument("--rate", type=float, default=0.6)
    arguments = parser.parse_args()
    await live(TaskClient(arguments.url, arguments.rate))


if __name__ == "__main__":
    asyncio.run(main())
