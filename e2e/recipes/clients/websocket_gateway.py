"""Clients of the websocket gateway: each has a session, and sends messages to the others all the time.

    python -m e2e.recipes.clients.websocket_gateway --url ws://gateway:8080

A client that is told to reconnect resumes its session on a new connection first, and closes the old one when everything
that it had asked there is answered. Some clients go away for a few seconds now and then, and come back. A message that
is not answered, a connection that cannot be opened, and one that ends without a close frame are failures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import time
from collections import defaultdict, deque
from collections.abc import Coroutine
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from e2e.recipes.clients.control import Figures, live

ANSWER_SECONDS = 15.0
RETRY_SECONDS = 0.5
LOOK_SECONDS = 0.2
NAP_SECONDS = 6.0
LAST_SECONDS = 20.0
SLEEPY = 12
ABNORMAL_CLOSURE, UNKNOWN_SESSION = 1006, 4404


class World:
    """What all clients know together: who they are, what was accepted, and what was delivered."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.figures = Figures(
            notes={
                "seconds": 0,
                "reconnects": 0,
                "most_reconnects_in_a_second": 0,
                "sessions_lost": 0,
                "delivered_again": 0,
                "longest_wait_ms": 0,
            }
        )
        self.accepted: set[int] = set()
        self.delivered: set[int] = set()
        self.talkers: list[Talker] = []
        self._reconnects: deque[float] = deque()
        self._last_id = 0

    def next_id(self) -> int:
        """A number for a message that no other has."""
        self._last_id += 1
        return self._last_id

    def note_wait(self, seconds: float) -> None:
        """Remember the longest time that a message took until it was accepted."""
        self.figures.notes["longest_wait_ms"] = max(self.figures.notes["longest_wait_ms"], round(seconds * 1000))

    def note_reconnect(self) -> None:
        """Count it, and how many there were within the last second."""
        now, notes = time.monotonic(), self.figures.notes
        self._reconnects.append(now)
        while self._reconnects[0] < now - 1.0:
            self._reconnects.popleft()
        notes["reconnects"] += 1
        notes["most_reconnects_in_a_second"] = max(notes["most_reconnects_in_a_second"], len(self._reconnects))


class Talker:
    """One client."""

    def __init__(self, world: World, *, sleepy: bool) -> None:
        self.session: str | None = None
        self._world, self._sleepy = world, sleepy
        self._connection: ClientConnection | None = None
        self._changing = asyncio.Lock()
        self._asked: dict[ClientConnection, dict[int, asyncio.Future[bool]]] = defaultdict(dict)
        self._tasks: set[asyncio.Task[None]] = set()

    async def join(self) -> None:
        """Connect for the first time."""
        async with self._changing:
            self._connection = await self._open()

    async def talk(self, stop: asyncio.Event) -> None:
        """Send a message to somebody about once a second."""
        next_nap = time.monotonic() + random.uniform(0, 4 * NAP_SECONDS)
        while not stop.is_set():
            await asyncio.sleep(random.uniform(0.5, 1.5))
            await self._say(random.choice([each for each in self._world.talkers if each is not self]))
            if self._sleepy and time.monotonic() > next_nap:
                await self._nap()
                next_nap = time.monotonic() + random.uniform(NAP_SECONDS, 3 * NAP_SECONDS)

    async def close(self) -> None:
        """Leave for good."""
        async with self._changing:
            if self._connection is not None:
                await self._connection.close()

    async def _say(self, to: Talker) -> None:
        began = time.monotonic()
        async with self._changing:
            connection = self._connection
        if connection is None or connection.close_code is not None:
            return
        figures, number = self._world.figures, self._world.next_id()
        answer = self._asked[connection][number] = asyncio.get_running_loop().create_future()
        figures.requests += 1
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await connection.send(json.dumps({"type": "send", "id": number, "to": to.session, "body": number}))
                if await answer:
                    self._world.accepted.add(number)
                    self._world.note_wait(time.monotonic() - began)
                else:
                    figures.failure("refused: the receiver's session is nowhere")
        except TimeoutError:
            figures.failure(f"not answered within {ANSWER_SECONDS:.0f} s")
        except ConnectionClosed:
            figures.failure(f"closed with {connection.close_code} before the answer")
        finally:
            del self._asked[connection][number]

    async def _nap(self) -> None:
        async with self._changing:
            if self._connection is not None:
                await self._connection.close()
            await asyncio.sleep(random.uniform(NAP_SECONDS / 2, NAP_SECONDS))
            self._connection = await self._open()

    async def _open(self) -> ClientConnection:
        """Connect and resume, again and again; each attempt that comes to nothing is a failure."""
        figures = self._world.figures
        while True:
            figures.requests += 1
            try:
                connection = await connect(self._world.url, open_timeout=5, compression=None, proxy=None)
                hello = {"type": "resume", "session": self.session} if self.session else {"type": "hello"}
                await connection.send(json.dumps(hello))
                async with asyncio.timeout(ANSWER_SECONDS):
                    while (said := json.loads(await connection.recv()))["type"] != "session":
                        pass
                self.session = said["session"]
            except ConnectionClosed as closed:
                if closed.rcvd is not None and closed.rcvd.code == UNKNOWN_SESSION:
                    self.session = None
                    figures.lost += 1
                    figures.notes["sessions_lost"] += 1
                    continue
                figures.failure(f"closed with {closed.rcvd.code if closed.rcvd else ABNORMAL_CLOSURE} when it resumed")
            except (OSError, InvalidHandshake, TimeoutError) as error:
                figures.failure(error)
            else:
                self._begin(self._read(connection))
                return connection
            await asyncio.sleep(random.uniform(RETRY_SECONDS / 2, RETRY_SECONDS))

    async def _replace(self, old: ClientConnection) -> None:
        """Resume on another connection, and close the old one when nothing is awaited on it."""
        async with self._changing:
            is_replaced = self._connection is not old
            if not is_replaced:
                self._world.note_reconnect()
                self._connection = await self._open()
        if is_replaced:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.gather(*self._asked[old].values(), return_exceptions=True)
        await old.close()

    async def _read(self, connection: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in connection:
                await self._hear(connection, json.loads(text))
        if connection.close_code == ABNORMAL_CLOSURE:
            self._world.figures.failure("cut without a close frame")
        for answer in self._asked[connection].values():
            if not answer.done():
                answer.set_exception(ConnectionClosed(None, None))
        await self._replace(connection)

    async def _hear(self, connection: ClientConnection, said: dict[str, Any]) -> None:
        if said["type"] == "message":
            if said["body"] in self._world.delivered:
                self._world.figures.notes["delivered_again"] += 1
            self._world.delivered.add(said["body"])
            await connection.send(json.dumps({"type": "seen", "number": said["number"]}))
        elif said["type"] == "reconnect":
            self._begin(self._replace(connection))
        elif (answer := self._asked[connection].get(said["id"])) is not None and not answer.done():
            answer.set_result(said["type"] == "accepted")

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class GatewayClient:
    """All of them."""

    def __init__(self, url: str, talkers: int) -> None:
        self._world = World(url)
        self._world.talkers = [Talker(self._world, sleepy=number < SLEEPY) for number in range(talkers)]
        self.figures = self._world.figures

    async def prepare(self) -> None:
        """Connect everybody."""
        await asyncio.gather(*(talker.join() for talker in self._world.talkers))

    async def use(self, stop: asyncio.Event) -> None:
        """Have everybody send messages until told to stop."""
        began = time.monotonic()
        await asyncio.gather(*(talker.talk(stop) for talker in self._world.talkers))
        self.figures.notes["seconds"] = round(time.monotonic() - began)

    async def look_again(self) -> None:
        """Wait a little for what was accepted and is not delivered yet; the rest is lost."""
        world, give_up_at = self._world, time.monotonic() + LAST_SECONDS
        while True:
            if not world.accepted - world.delivered or time.monotonic() > give_up_at:
                break
            await asyncio.sleep(LOOK_SECONDS)
        self.figures.lost += len(world.accepted - world.delivered)


async def main() -> None:
    """Live as many clients as told, in one process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="ws://gateway:8080")
    parser.add_argument("--talkers", type=int, default=48)
    arguments = parser.parse_args()
    await live(GatewayClient(arguments.url, arguments.talkers))


if __name__ == "__main__":
    asyncio.run(main())
