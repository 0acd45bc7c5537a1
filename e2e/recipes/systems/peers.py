"""How the gateways know each other, and ask each other."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable
from typing import Any

import aiohttp

ADMIN_PORT = 8081
CONNECT_SECONDS, ANSWER_SECONDS = 4.0, 5.0
FORGET_SECONDS = 60.0
UNREACHABLE, UNANSWERED = -1, 0

Json = dict[str, Any]


class Peers:
    """The other gateways. DNS may be half a minute late, so whoever starts greets all, and whoever goes takes leave.

    Attributes:
        own_ip: our own address.
        known: their addresses, and when each was last heard of or listed by DNS, by the monotonic clock.
    """

    def __init__(self, own_ip: str, name: str) -> None:
        self.own_ip = own_ip
        self.known: dict[str, float] = {}
        self._name = name
        self._left: set[str] = set()
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        self._http = aiohttp.ClientSession(timeout=timeout)

    def meet(self, peer: str) -> list[str]:
        """One has greeted us; returns the others, for it to greet as well."""
        self._left.discard(peer)
        self._learn([peer])
        return sorted(self.known)

    def part(self, peer: str) -> None:
        """One is about to end; DNS may go on to list it for a while."""
        self._left.add(peer)
        self.known.pop(peer, None)

    async def greet(self) -> bool:
        """Greet all, and at first also whom they know; False while DNS lists nobody."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(self._name, ADMIN_PORT, type=socket.SOCK_STREAM)
        except socket.gaierror:
            return False
        is_first = not self.known
        self._learn(str(address[0]) for *_, address in found)
        greeted: set[str] = set()
        while new := self.known.keys() - greeted:
            greeted |= new
            for status, others in await asyncio.gather(*(self.ask(peer, "POST", "/peers") for peer in new)):
                if is_first and status == 200:
                    self._learn(others)
        self.known = {peer: at for peer, at in self.known.items() if at > time.monotonic() - FORGET_SECONDS}
        return True

    async def take_leave(self) -> None:
        """Tell all that we end."""
        await asyncio.gather(*(self.ask(peer, "DELETE", "/peers") for peer in self.known))
        await self._http.close()

    async def any_does(self, method: str, path: str, body: Json) -> bool | None:
        """Ask all of them at once: whether one has done it; None if it is not certain that none has."""
        all_refused = True
        for answer in asyncio.as_completed([self.ask(peer, method, path, body) for peer in self.known]):
            status, _ = await answer
            if status == 200:
                return True
            all_refused = all_refused and status == 404
        return False if all_refused else None

    async def ask(self, peer: str, method: str, path: str, body: Json | None = None) -> tuple[int, Any]:
        """The status and what one answered; UNREACHABLE if it never got the question, UNANSWERED if it may have."""
        try:
            async with self._http.request(method, f"http://{peer}:{ADMIN_PORT}{path}", json=body) as answer:
                return answer.status, await answer.json()
        except aiohttp.ClientConnectorError:
            return UNREACHABLE, None
        except (aiohttp.ClientError, TimeoutError):
            return UNANSWERED, None

    def _learn(self, peers: Iterable[str]) -> None:
        for peer in set(peers) - self._left - {self.own_ip}:
            self.known[peer] = time.monotonic()
