"""A queue of tasks, for workers that may vanish: what is taken and no longer heard of is given to another worker.

    python -m e2e.recipes.systems.task_queue

* `POST /tasks` `{"id", "seconds"}`: 201, the task is accepted.
* `POST /take`: 200 `{"id", "seconds", "attempt"}`, or 204 after five seconds without a task.
* `POST /tasks/<id>/<attempt>/alive`, `/done` or `/back` (not begun: another may have it): 204, or 409 if the task was
  given to somebody else meanwhile.
* `GET /tasks`: what became of every task.

It keeps everything in memory: an example of how a worker sees a queue, and no queue to use.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass

from aiohttp import web

PORT = 8080
POLL_SECONDS = 5.0
SILENCE_SECONDS = 4.0


@dataclass
class Task:
    """One task.

    Attributes:
        id: its name.
        seconds: how long it takes.
        attempt: how often it was given to a worker; a task that was given back was not given.
        submitted_at, taken_at, heard_at, done_at: in Unix time; the latter three are 0 where that has not happened.
        wasted_seconds: what earlier attempts had worked when they were last heard of.
    """

    id: str
    seconds: float
    submitted_at: float
    attempt: int = 0
    taken_at: float = 0.0
    heard_at: float = 0.0
    done_at: float = 0.0
    wasted_seconds: float = 0.0


class Queue:
    """All tasks, in the order in which they came."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self._waiting: deque[Task] = deque()
        self._taken: dict[str, Task] = {}
        self._news = asyncio.Condition()

    async def submit(self, task: Task) -> None:
        """Accept a task; one that is known already is not accepted twice."""
        if self.tasks.setdefault(task.id, task) is task:
            await self._offer(task, first=False)

    async def take(self) -> Task | None:
        """Give the next task to a worker, or None if there is none for a while."""
        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(lambda: self._waiting), POLL_SECONDS)
            except TimeoutError:
                return None
            task = self._waiting.popleft()
            task.attempt += 1
            task.taken_at = task.heard_at = time.time()
            self._taken[task.id] = task
            return task

    async def alive(self, task: Task) -> None:
        """Its worker is still at it."""
        task.heard_at = time.time()

    async def done(self, task: Task) -> None:
        """It is done."""
        del self._taken[task.id]
        task.heard_at = task.done_at = time.time()

    async def back(self, task: Task) -> None:
        """Its worker has not begun it, and does not want to."""
        task.attempt -= 1
        await self._offer(self._taken.pop(task.id), first=True)

    async def offer_again(self) -> None:
        """For ever: take the tasks of workers that are silent, and offer them again."""
        while True:
            await asyncio.sleep(0.5)
            for task in list(self._taken.values()):
                if time.time() - task.heard_at > SILENCE_SECONDS:
                    task.wasted_seconds += task.heard_at - task.taken_at
                    await self._offer(self._taken.pop(task.id), first=True)

    def find_taken(self, task_id: str, attempt: int) -> Task | None:
        """The task, if this attempt at it is the one that counts."""
        task = self._taken.get(task_id)
        return task if task is not None and task.attempt == attempt else None

    async def _offer(self, task: Task, *, first: bool) -> None:
        async with self._news:
            put: Callable[[Task], None] = self._waiting.appendleft if first else self._waiting.append
            put(task)
            self._news.notify()


def build_app(queue: Queue) -> web.Application:
    """The HTTP interface of a queue."""

    async def submit(request: web.Request) -> web.Response:
        said = await request.json()
        await queue.submit(Task(said["id"], said["seconds"], time.time()))
        return web.Response(status=201)

    async def take(_: web.Request) -> web.Response:
        task = await queue.take()
        return web.json_response(asdict(task)) if task else web.Response(status=204)

    async def report(request: web.Request) -> web.Response:
        task = queue.find_taken(request.match_info["id"], int(request.match_info["attempt"]))
        if task is None:
            return web.Response(status=409)
        act = {"alive": queue.alive, "done": queue.done, "back": queue.back}[request.match_info["word"]]
        await act(task)
        return web.Response(status=204)

    async def tasks(_: web.Request) -> web.Response:
        return web.json_response([asdict(task) for task in queue.tasks.values()])

    app = web.Application()
    app.add_routes(
        [
            web.post("/tasks", submit),
            web.get("/tasks", tasks),
            web.post("/take", take),
            web.post("/tasks/{id}/{attempt}/{word:alive|done|back}", report),
        ]
    )
    return app


async def main() -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    queue = Queue()
    runner = web.AppRunner(build_app(queue), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, port=PORT).start()
    watching = asyncio.create_task(queue.offer_again())
    await stop.wait()
    watching.cancel()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
