"""Answering for any key at any pod: ask the owner, and ask again while members change or a peer is slow.

Repeating is safe: reads change nothing, and a write that arrives twice is the same write (`store.py`). Nothing is
answered from here that the owner has not said; when its answer does not come in time, the request fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from e2e.kvstore.member import Member
from e2e.kvstore.peers import AheadError, BehindError, PeerError, UnavailableError
from e2e.kvstore.placement import Peer
from e2e.kvstore.store import Entries, Entry
from e2e.kvstore.terms import Term

FIRST_PAUSE_SECONDS = 0.05
LAST_PAUSE_SECONDS = 0.4
"""Pauses grow from the first to the last: many requests for an owner that is down must not keep everybody busy."""

AskOwner = Callable[[Peer, int, list[str]], Awaitable[None]]


class Router:
    """Reads and writes keys wherever they are. `patience_seconds` bounds each call."""

    def __init__(self, member: Member, patience_seconds: float) -> None:
        self._member = member
        self._patience_seconds = patience_seconds

    async def read(self, keys: Collection[str]) -> dict[str, Entry]:
        """The newest entry of each key that exists. Raises UnavailableError."""
        found: dict[str, Entry] = {}

        async def ask(owner: Peer, generation: int, some: list[str]) -> None:
            if owner.name == self._member.name:
                found.update(await self._member.read(generation, some))
            else:
                found.update(await self._member.peers.read(owner, generation, some))

        await self._ask_owners(keys, ask)
        return found

    async def write(self, entries: Entries) -> None:
        """Return once every entry is stored at its owner. Raises UnavailableError: some may be stored all the same."""

        async def ask(owner: Peer, generation: int, some: list[str]) -> None:
            batch = {key: entries[key] for key in some}
            if owner.name == self._member.name:
                await self._member.write(generation, batch)
            else:
                await self._member.peers.write(owner, generation, batch)

        await self._ask_owners(entries, ask)

    async def _ask_owners(self, keys: Collection[str], ask: AskOwner) -> None:
        pending = set(keys)
        reason = "the owner did not answer"
        pause_seconds = FIRST_PAUSE_SECONDS
        try:
            async with asyncio.timeout(self._patience_seconds):
                while True:
                    term = self._member.term
                    outcomes = await asyncio.gather(
                        *(self._ask_owner(term, owner, some, ask) for owner, some in _by_owner(term, pending).items())
                    )
                    for answered, refusal in outcomes:
                        pending.difference_update(answered)
                        reason = refusal or reason
                    if not pending:
                        return
                    await term.pause(pause_seconds)
                    pause_seconds = min(2 * pause_seconds, LAST_PAUSE_SECONDS)
        except TimeoutError:
            raise UnavailableError(reason) from None

    async def _ask_owner(self, term: Term, owner: Peer, keys: list[str], ask: AskOwner) -> tuple[list[str], str | None]:
        """The keys that were answered for, and why the others were not."""
        try:
            await ask(owner, term.generation, keys)
        except AheadError as newer:
            self._member.adopt(newer.declaration)
            return [], str(newer)
        except BehindError as behind:
            # A member that knows nothing is not told by us: only a declaration's coordinator knows it is expected.
            if behind.generation > 0:
                await self._declare(owner, term)
            return [], f"{owner.name}: {behind}"
        except PeerError as error:
            return [], str(error)
        return keys, None

    async def _declare(self, owner: Peer, term: Term) -> None:
        try:
            await self._member.peers.declare(owner, term.declaration)
        except AheadError as newer:
            self._member.adopt(newer.declaration)
        except PeerError:
            return


def _by_owner(term: Term, keys: Collection[str]) -> dict[Peer, list[str]]:
    groups: dict[Peer, list[str]] = {}
    for key in keys:
        owner = term.owner_of(key)
        if owner is None:
            raise UnavailableError("no member is left to own any key")
        groups.setdefault(owner, []).append(key)
    return groups
