"""A worker that pulls long tasks from a queue, some at a time, and keeps nothing of a task that is interrupted.

    python -m e2e.recipes.systems.worker    # QUEUE_URL; TASKS_AT_ONCE, LONGEST_TASK_SECONDS

On port 8081: `POST /drain` stops pulling and says how many seconds of work are left, `DELETE /drain` pulls again,
`GET /status` says what it does. SIGTERM stops pulling as well, and then it works on for as long as it is let live.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from typing import Any

import aiohttp
from aiohttp import web

ADMIN_PORT = 8081
ALIVE_SECONDS = 1.0
SLICE_SECONDS = 0.1

Json = dict[str, Any]


class Worker:
    """What one pod does, in so many slots.

    Attributes:
        draining: it pulls no more.
        left: seconds of work that are left, for each task in hand.
        polls: how many slots are just asking for a task, and may be given one.
    """

    def __init__(self, http: aiohttp.ClientSession, queue_url: str, longest_seconds: float) -> None:
        self.draining = False
        self.left: dict[str, float] = {}
        self.polls = 0
        self._http, self._queue_url, self._longest_seconds = http, queue_url, longest_seconds
        self._ending = False
        self._may_pull = asyncio.Event()
        self._may_pull.set()

    def drain(self) -> Json | None:
        """Pull no more; returns what is still in hand, None if that is nothing."""
        self.draining = True
        self._may_pull.clear()
        if not self.left and not self.polls:
            return None
        return {"progress": round(sum(self.left.values()), 1), "tasks": len(self.left), "polls": self.polls}

    def undo(self) -> None:
        """Pull again."""
        self.draining = False
        self._may_pull.set()

    def end(self) -> None:
        """Pull no more, and empty the slots."""
        self.draining = self._ending = True
        self._may_pull.set()

    async def fill_slot(self) -> None:
        """Until the end: pull a task and do it."""
        while True:
            await self._may_pull.wait()
            if self._ending:
                return
            try:
                task = await self._take()
                if task is not None:
                    await self._work(task)
            except (aiohttp.ClientError, TimeoutError) as error:
                print(f"the queue does not answer: {error}", file=sys.stderr)
                await asyncio.sleep(1)

    async def _take(self) -> Json | None:
        self.polls += 1
        try:
            async with self._http.post(f"{self._queue_url}/take") as answer:
                answer.raise_for_status()
                task: Json | None = await answer.json() if answer.status == 200 else None
            if task is not None and self.draining:
                await self._tell(task, "back")
                return None
            if task is not None:
                self.left[task["id"]] = task["seconds"]
            return task
        finally:
            self.polls -= 1

    async def _work(self, task: Json) -> None:
        """Do a task, unless it takes too long or is not ours any more; the queue offers it again then."""
        ends_at = time.monotonic() + task["seconds"]
        reporting = asyncio.create_task(self._stay_in_touch(task))
        try:
            async with asyncio.timeout(self._longest_seconds):
                while self.left[task["id"]] > 0 and not reporting.done():
                    await asyncio.sleep(SLICE_SECONDS)
                    self.left[task["id"]] = ends_at - time.monotonic()
            if not reporting.done():
                await self._tell(task, "done")
        except TimeoutError:
            print(f"{task['id']} takes longer than {self._longest_seconds} s: given up", file=sys.stderr)
        finally:
            reporting.cancel()
            del self.left[task["id"]]

    async def _stay_in_touch(self, task: Json) -> None:
        """Until the task is ours no more."""
        while True:
            try:
                if not await self._tell(task, "alive"):
                    return
            except (aiohttp.ClientError, TimeoutError) as error:
                print(f"the queue does not answer: {error}", file=sys.stderr)
            await asyncio.sleep(ALIVE_SECONDS)

    async def _tell(self, task: Json, word: str) -> bool:
        async with self._http.post(f"{self._queue_url}/tasks/{task['id']}/{task['attempt']}/{word}") as answer:
            return answer.status == 204


def build_admin(worker: Worker) -> web.Application:
    """What the operator and the kubelet ask."""

    async def health(_: web.Request) -> web.Response:
        return web.Response()

    async def status(_: web.Request) -> web.Response:
        return web.json_response({"draining": worker.draining, "tasks": len(worker.left), "polls": worker.polls})

    async def drain(_: web.Request) -> web.Response:
        left = worker.drain()
        return web.json_response(left or {"progress": 0}, status=202 if left else 200)

    async def undo(_: web.Request) -> web.Response:
        worker.undo()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_get("/healthz", health)
    app.router.add_get("/status", status)
    app.router.add_post("/drain", drain)
    app.router.add_delete("/drain", undo)
    return app


async def main() -> None:
    """Work until SIGTERM, and then until nothing is in hand."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        worker = Worker(http, os.environ["QUEUE_URL"], float(os.environ.get("LONGEST_TASK_SECONDS", "3600")))
        runner = web.AppRunner(build_admin(worker), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, port=ADMIN_PORT).start()
        slots = [asyncio.create_task(worker.fill_slot()) for _ in range(int(os.environ.get("TASKS_AT_ONCE", "1")))]
        await stop.wait()
        worker.end()
        await asyncio.gather(*slots)
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
