"""Shoppers behind a client-side load balancer: it calls instances by the addresses that it remembers of the registry.

As Spring Cloud's does, it fetches the list of instances every few seconds, chooses among those that are UP, and sends a
session to the instance that answered it last, as long as that one is in the list. Between two fetches it knows nothing
new: an address that no longer answers is used until the next list comes.

    python -m e2e.recipes.clients.spring_boot http://eureka:8761/eureka CARTS
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp

from e2e.recipes.clients.control import Figures, live

INSTANCES = 3
FETCH_SECONDS = 3.0
TIMEOUT = aiohttp.ClientTimeout(total=10, connect=2)
SHOPPERS, SECONDS_BETWEEN_ITEMS = 8, 0.2
ASKING_FOR_QUOTES, SECONDS_BETWEEN_QUOTES = 2, 0.5
TRIES = 5
ACTIVE_SESSIONS, IDLE_SESSIONS = 150, 150


@dataclass
class Session:
    """A cart of a shopper.

    Attributes:
        cart: the id that the service gave it.
        items: how many items the service has acknowledged; there may be more where an answer did not arrive.
        holder: the instance that answered last.
        lost: whether something acknowledged was missing at any time.
        lock: a shopper does one thing after the other.
    """

    cart: str
    items: int
    holder: str
    lost: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class InstanceList:
    """What the client remembers of the registry: the addresses of the instances that were UP, by their ids."""

    http: aiohttp.ClientSession
    url: str
    up: dict[str, str] = field(default_factory=dict)

    async def fetch(self) -> None:
        """Fetch the list; what was remembered stays where the registry does not answer."""
        try:
            async with self.http.get(self.url, headers={"Accept": "application/json"}) as answer:
                if answer.status == 200:
                    listed = (await answer.json())["application"]["instance"]
                    self.up = {
                        each["instanceId"]: f"http://{each['ipAddr']}:{each['port']['$']}"
                        for each in listed
                        if each["status"] == "UP"
                    }
        except (aiohttp.ClientError, TimeoutError) as error:
            print(f"the registry does not answer: {error}")

    def choose(self, holder: str) -> str | None:
        """The id of the instance to call: the holder while it is in the list, otherwise any."""
        return holder if holder in self.up else random.choice(sorted(self.up)) if self.up else None


class SpringBootClient:
    """Puts items into carts and asks for quotes; at the end every cart must hold what was acknowledged."""

    def __init__(self, registry: str, service: str) -> None:
        self.figures = Figures()
        self._http = aiohttp.ClientSession(timeout=TIMEOUT)
        self._instances = InstanceList(self._http, f"{registry}/apps/{service}")
        self._sessions: list[Session] = []

    async def prepare(self) -> None:
        """Wait until all instances are UP, and open the sessions."""
        while len(self._instances.up) < INSTANCES:
            await self._instances.fetch()
            await asyncio.sleep(1)
        for _ in range(ACTIVE_SESSIONS + IDLE_SESSIONS):
            instance = random.choice(sorted(self._instances.up))
            async with self._http.post(f"{self._instances.up[instance]}/carts") as answer:
                answer.raise_for_status()
                self._sessions.append(Session((await answer.json())["id"], 0, instance))
            await self._add_item(self._sessions[-1])
        self.figures.notes["sessions"] = len(self._sessions)

    async def use(self, stop: asyncio.Event) -> None:
        """Shop until told to stop; idle sessions are left alone."""

        async def refresh() -> None:
            while True:
                await asyncio.sleep(FETCH_SECONDS)
                await self._instances.fetch()

        refreshing = asyncio.create_task(refresh())
        await asyncio.gather(
            *(self._shop(self._add_item, SECONDS_BETWEEN_ITEMS, stop) for _ in range(SHOPPERS)),
            *(self._shop(self._look, SECONDS_BETWEEN_QUOTES, stop, "/quote") for _ in range(ASKING_FOR_QUOTES)),
        )
        refreshing.cancel()

    async def look_again(self) -> None:
        """Look into every cart, the idle ones too; one that no instance tells about is lost as well."""
        for session in self._sessions:
            for _ in range(TRIES):
                if await self._look(session):
                    break
                await asyncio.sleep(FETCH_SECONDS)
                await self._instances.fetch()
            else:
                self._lose(session)

    async def _shop(
        self, act: Callable[..., Awaitable[bool]], seconds: float, stop: asyncio.Event, *arguments: str
    ) -> None:
        while not stop.is_set():
            session = random.choice(self._sessions[:ACTIVE_SESSIONS])
            async with session.lock:
                await act(session, *arguments)
            await asyncio.sleep(seconds)

    async def _add_item(self, session: Session) -> bool:
        return self._compare(session, session.items + 1, await self._ask("POST", session, "/items"))

    async def _look(self, session: Session, what: str = "") -> bool:
        return self._compare(session, session.items, await self._ask("GET", session, what))

    def _compare(self, session: Session, at_least: int, items: int | None) -> bool:
        """Whether there was an answer. A cart that holds less than was acknowledged is a session lost, counted once."""
        if items is None:
            return False
        if items < at_least:
            print(f"cart {session.cart} holds {items} items instead of {at_least} at {session.holder}")
            self._lose(session)
        session.items = items
        return True

    def _lose(self, session: Session) -> None:
        self.figures.lost += not session.lost
        session.lost = True

    async def _ask(self, method: str, session: Session, what: str) -> int | None:
        """The number of items that the answer tells, 0 where there is no such cart; None if the request failed."""
        self.figures.requests += 1
        instance = self._instances.choose(session.holder)
        if instance is None:
            self.figures.failure("no instance is UP")
            return None
        url = f"{self._instances.up[instance]}/carts/{session.cart}{what}"
        try:
            async with self._http.request(method, url) as answer:
                if answer.status == 404:
                    return 0
                if answer.status != 200:
                    self.figures.failure(f"{method} answered with {answer.status}")
                    return None
                items = int((await answer.json())["items"])
        except (aiohttp.ClientError, TimeoutError) as error:
            self.figures.failure(type(error).__name__)
            return None
        session.holder = instance
        return items


async def main(registry: str, service: str) -> None:
    """Live as a client of that service."""
    await live(SpringBootClient(registry, service))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
