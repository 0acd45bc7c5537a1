"""Asking another member, over its admin port: six questions, and four ways in which an answer can be no.

The no's are exceptions that both sides share: `peer_api.py` turns them into a status, and here the status becomes
the same exception again. Never decides what follows from an answer, and never asks twice: that is the caller's.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from e2e.kvstore.placement import Declaration, Peer, declaration_of
from e2e.kvstore.store import Entries, Entry
from e2e.kvstore.terms import Progress, Stage
from e2e.load.connections import Pool, RequestError

ANSWER_SECONDS = 2.0
CONNECTIONS = 16
"""To each peer; questions that find all busy wait for one, which keeps a slow peer from being swamped."""
DOWN_SECONDS = 0.2
"""How long a peer that could not be connected to is taken for down: else every request for one of its keys would
look up its name and try to connect, hundreds of times a second."""


class PeerError(Exception):
    """A member did not do what it was asked."""


class AheadError(PeerError):
    """The one that was asked knows a newer declaration, and hands it over."""

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(f"generation {declaration.generation} is known there")
        self.declaration = declaration


class BehindError(PeerError):
    """The one that was asked has not been told the generation of the question; it is at `generation` (0: none)."""

    def __init__(self, generation: int) -> None:
        super().__init__(f"only generation {generation} is known there")
        self.generation = generation


class UnavailableError(PeerError):
    """The one that was asked cannot answer now; asking later may help."""


class UnreachableError(PeerError):
    """No answer came: the question may or may not have been carried out."""


def entries_of(document: dict[str, list[Any]]) -> dict[str, Entry]:
    """Read entries as they travel: `{key: [version, value]}`."""
    return {key: Entry(int(version), str(value)) for key, (version, value) in document.items()}


class Peers:
    """The way to every other member."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pools: dict[Peer, Pool] = {}
        self._down_until: dict[Peer, float] = {}

    def close(self) -> None:
        """Close the connections."""
        for pool in self._pools.values():
            pool.close()

    async def ping(self, peer: Peer) -> int:
        """The generation a member is at (0: never told any); changes nothing there."""
        answer = await self.ask(peer, "ping", {})
        return int(answer["generation"])

    async def declare(self, peer: Peer, declaration: Declaration) -> None:
        """Tell a member the declaration; when this returns it goes by it."""
        await self.ask(peer, "declare", declaration.as_document())

    async def progress(self, peer: Peer, generation: int, stage: Stage, wait_seconds: float) -> Progress:
        """How far a member has come with a generation; it takes up to `wait_seconds` to reach the stage."""
        question = {"generation": generation, "stage": int(stage), "waitSeconds": wait_seconds}
        answer = await self.ask(peer, "progress", question, seconds=ANSWER_SECONDS + wait_seconds)
        return Progress(Stage(answer["stage"]), int(answer["left"]))

    async def read(self, peer: Peer, generation: int, keys: list[str]) -> dict[str, Entry]:
        """Ask the owner of these keys for them; those that do not exist are left out."""
        answer = await self.ask(peer, "read", {"generation": generation, "keys": keys})
        return entries_of(answer["entries"])

    async def peek(self, peer: Peer, generation: int, keys: list[str]) -> dict[str, Entry]:
        """What a member holds of these keys though it does not own them."""
        answer = await self.ask(peer, "peek", {"generation": generation, "keys": keys})
        return entries_of(answer["entries"])

    async def write(self, peer: Peer, generation: int, entries: Entries) -> None:
        """Have the owner of these keys store them; when this returns they are stored."""
        await self.ask(peer, "write", {"generation": generation, "entries": entries})

    async def ask(
        self, peer: Peer, verb: str, question: dict[str, Any], seconds: float = ANSWER_SECONDS
    ) -> dict[str, Any]:
        """One question, one answer. Raises a PeerError."""
        now = asyncio.get_running_loop().time()
        if self._down_until.get(peer, 0) > now:
            raise UnreachableError(f"{peer.name} is down")
        pool = self._pools.get(peer)
        if pool is None:
            pool = self._pools[peer] = Pool(peer.ip, self._port, spread=1, limit=CONNECTIONS)
        try:
            response = await pool.ask(
                "POST", f"/peer/{verb}", body=json.dumps(question).encode(), timeout_seconds=seconds
            )
            answer: dict[str, Any] = json.loads(response.body)
        except RequestError as error:
            if error.kind == "connect":
                self._down_until[peer] = now + DOWN_SECONDS
            raise UnreachableError(f"{peer.name} did not answer /peer/{verb}: {error}") from error
        except ValueError as error:
            raise UnreachableError(f"{peer.name} did not answer /peer/{verb} in JSON") from error
        match response.status:
            case 200:
                return answer
            case 409:
                raise AheadError(declaration_of(answer))
            case 412:
                raise BehindError(int(answer["generation"]))
            case _:
                raise UnavailableError(f"{peer.name}: {answer.get('error', response.status)}")
