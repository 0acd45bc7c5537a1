"""The sessions of a gateway: each is at one gateway, and goes to another as a whole."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from e2e.recipes.systems.peers import UNANSWERED, Json, Peers

PATIENCE_SECONDS = 10.0
RETRY_SECONDS = 0.05
AWAY_SECONDS = 120.0
MIGRATED_AT_ONCE = 500

Show = Callable[[int, Any], None]


@dataclass(eq=False)
class Session:
    """What must not be lost of one client.

    Attributes:
        id: its address, and what it resumes with.
        last: number of the latest message for it.
        box: by their numbers, the messages that it has not seen yet.
        moves: how often it has gone to another gateway.
        moving: it is on its way to another gateway, and takes no messages here.
        show: sends a message to the client, where it is connected.
        left_at: since when it is not, by the monotonic clock.
    """

    id: str
    last: int = 0
    box: dict[int, Any] = field(default_factory=dict)
    moves: int = 0
    moving: bool = False
    show: Show | None = None
    left_at: float = field(default_factory=time.monotonic)


class ClosedError(Exception):
    """This gateway takes no more sessions."""


class Sessions:
    """Those that are here, and the ways to those that are not."""

    def __init__(self, peers: Peers) -> None:
        self.here: dict[str, Session] = {}
        self.closed = False
        self._peers = peers
        self._moves_seen: dict[str, int] = {}

    def begin(self) -> Session:
        """A new session."""
        session = Session(secrets.token_urlsafe(12))
        self.here[session.id] = session
        return session

    def forget_old(self) -> None:
        """Forget sessions whose clients never came back."""
        for session in list(self.here.values()):
            if session.show is None and not session.moving and time.monotonic() - session.left_at > AWAY_SECONDS:
                del self.here[session.id]

    async def fetch(self, session_id: str) -> bool | None:
        """Have a session handed over to us; False if no gateway has it, None if that is not certain."""
        path, body = f"/sessions/{session_id}/move", {"to": self._peers.own_ip}

        async def attempt() -> bool | None:
            if self.closed:
                raise ClosedError
            nobody = session_id not in self.here and await self._peers.any_does("POST", path, body) is False
            session = self.here.get(session_id)
            if session is None:
                return False if nobody else None
            return None if session.moving else True

        try:
            return await _insist(attempt)
        except ClosedError:
            return None

    async def deliver(self, session_id: str, body: Any) -> bool:
        """Whether the message is in the box of that session, wherever it is."""

        async def attempt() -> bool | None:
            path = f"/sessions/{session_id}/messages"
            return self.put(session_id, body) == 200 or await self._peers.any_does("POST", path, {"body": body})

        return await _insist(attempt) is True

    def put(self, session_id: str, body: Any) -> int:
        """Put a message into a box: 200, 404 if that session is not here, 409 if it is on its way elsewhere."""
        session = self.here.get(session_id)
        if session is None or session.moving:
            return 409 if session else 404
        session.last += 1
        session.box[session.last] = body
        if session.show is not None:
            session.show(session.last, body)
        return 200

    def take(self, session_id: str, state: Json) -> int:
        """Go on with a session of another gateway: 200, also if we had it already, or 409 if we take none now."""
        if state["moves"] > self._moves_seen.get(session_id, 0):
            if self.closed:
                return 409
            self._moves_seen[session_id] = state["moves"]
            box = {int(number): body for number, body in state["box"].items()}
            self.here[session_id] = Session(session_id, state["last"], box, state["moves"])
        return 200

    async def hand_over(self, session_id: str, to: str) -> int:
        """Send a session to that gateway: 200, 404 if it is not here, 409 if it is on its way or could not go.

        It is frozen until it is certain whether it has arrived, or that gateway is gone: there shall not be two of it.
        """
        session = self.here.get(session_id)
        if session is None or session.moving:
            return 409 if session else 404
        session.moving = True
        state = {"last": session.last, "box": session.box, "moves": session.moves + 1}
        try:
            status, _ = await self._peers.ask(to, "PUT", f"/sessions/{session_id}", state)
            while status == UNANSWERED and to in self._peers.known:
                status, _ = await self._peers.ask(to, "PUT", f"/sessions/{session_id}", state)
            if status == 200:
                del self.here[session_id]
        finally:
            session.moving = False
        return 200 if status == 200 else 409

    async def migrate(self, staying: list[str]) -> int:
        """Hand over some hundred sessions, in turn to those that stay; returns how many are still here."""
        for session_id, place in zip(list(self.here)[:MIGRATED_AT_ONCE], itertools.cycle(staying), strict=False):
            if await self.hand_over(session_id, place) == 200:
                print(f"session {session_id[:4]}… is at {place} now")
        return len(self.here)


async def _insist(attempt: Callable[[], Awaitable[bool | None]]) -> bool | None:
    """Attempt it until it succeeds or patience ends: a session that moves is nowhere for a moment."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        done = await attempt()
        if done or time.monotonic() > give_up_at:
            return done
        await asyncio.sleep(RETRY_SECONDS)
