"""Pods of the store on loopback, each with an address of its own and all with the same two ports."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Self

import aiohttp

from e2e.kvstore.faults import Fault
from e2e.kvstore.member import Member
from e2e.kvstore.peers import Peers
from e2e.kvstore.server import Settings, serving

Document = dict[str, Any]

PATIENCE_SECONDS = 20.0
"""Of pods and clients: enough on the busiest machine, so that a request that fails has met a fault of ours."""


class Pods:
    """Pods by ordinal; those still running are stopped at the end."""

    def __init__(self, connect: Callable[[int], Peers] = Peers) -> None:
        self._connect = connect
        self.client_port, self.admin_port = _free_ports(2)
        self._running: dict[int, AbstractAsyncContextManager[Member]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
        await asyncio.gather(*(self.kill(ordinal) for ordinal in list(self._running)))

    def ip(self, ordinal: int) -> str:
        return f"127.0.0.{10 + ordinal}"

    async def start(
        self,
        *ordinals: int,
        connect: Callable[[int], Peers] | None = None,
        faults: dict[str, Fault] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        **settings: Any,
    ) -> list[Member]:
        members = []
        for ordinal in ordinals:
            pod = serving(
                Settings(
                    name=f"kv-{ordinal}",
                    host=self.ip(ordinal),
                    client_port=self.client_port,
                    admin_port=self.admin_port,
                    faults=faults or {},
                    patience_seconds=patience_seconds,
                    **settings,
                ),
                connect or self._connect,
            )
            members.append(await pod.__aenter__())
            self._running[ordinal] = pod
        return members

    async def kill(self, ordinal: int) -> None:
        await self._running.pop(ordinal).__aexit__(None, None, None)

    def document(
        self, generation: int, serving: Sequence[int] = (), joining: Sequence[int] = (), leaving: Sequence[int] = ()
    ) -> Document:
        def members(ordinals: Sequence[int]) -> list[Document]:
            return [{"name": f"kv-{n}", "ip": self.ip(n), "ordinal": n, "revision": "r"} for n in ordinals]

        roles = {"serving": members(serving), "joining": members(joining), "leaving": members(leaving)}
        return {"hook": "membership", "members": {"generation": generation, **roles, "away": [], "unknown": []}}

    async def admin(self, ordinal: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        assert self._session is not None
        url = f"http://{self.ip(ordinal)}:{self.admin_port}{path}"
        async with self._session.request(method, url, json=body) as response:
            content = response.content_type == "application/json"
            return response.status, await response.json() if content else await response.text()

    async def declare(self, to: int, document: Document) -> Document:
        """Ask until the answer is final, as the operator does."""
        while True:
            status, answer = await self.admin(to, "POST", "/members", document)
            if status != 202:
                assert status == 200, (status, answer)
                assert isinstance(answer, dict)
                return answer


async def until(condition: Callable[[], bool]) -> None:
    """Look on every turn of the event loop until the condition holds: for moments that last a few milliseconds."""
    while True:
        if condition():
            return
        await asyncio.sleep(0.0005)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    ports = [int(free.getsockname()[1]) for free in sockets]
    for free in sockets:
        free.close()
    return ports
