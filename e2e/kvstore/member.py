"""One member: what it holds, which declaration it goes by, and moving keys when that changes.

The promise: while members change, every key stays readable and writable, and a read never returns less than what
was acknowledged before it began. The argument, for a change from generation g to g':

1. *Two members talk about keys only at the same generation.* Every question carries one. Who is asked and knows a
   newer one refuses and hands its declaration over (AheadError); who is behind refuses and is told (BehindError).
2. *No two owners of a key answer at the same time.* The owner by g' answers nothing before it is FENCED: every
   participant of g' has confirmed that it adopted g'. By 1, from then on the owner by g accepts and answers nothing.
   Questions that arrive during this one round trip wait for it; they do not fail.
3. *Writes after the fence go to the owner by g' alone*, which stores them before it says so.
4. *Writes before the fence are found.* They are in the memory of some participant (all participants that held keys
   are listed: a member is let go only when a generation without it is done). Until a participant has said that it
   has MOVED everything, the owner answers a read only after it has asked that participant too ("peek"), and looks
   into its own memory last. A key is dropped by its old holder only after the new owner has it, so whoever answers
   a peek with "not here" because it has just handed the key over has put it where the owner looks next.
   There is no longer chain than this: transfers, too, go only to the owner by the generation that both are at.
5. *Nothing old comes back.* The higher version of a key always stays (`store.py`), so a transfer that is repeated,
   delayed or left half done by a newer generation changes nothing. Copies left behind belong to another owner at
   the next generation too, or are lower than what its owner is told by peeking.
6. *Only SETTLED everywhere is done*: each participant has seen all others MOVED, hence asks nobody any more, hence
   those that leave can go.

A participant that dies in the middle takes its keys with it (there is one copy) and may hold up the others' reads
until a newer declaration goes without it: a store that cannot know says so (503) and does not guess.
A member that was never told any declaration answers nothing at all: its empty memory proves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Self, TypeVar

from e2e.kvstore.journal import Journal
from e2e.kvstore.peers import (
    AheadError,
    BehindError,
    PeerError,
    Peers,
    UnavailableError,
    UnreachableError,
)
from e2e.kvstore.placement import Declaration, Peer
from e2e.kvstore.store import Entries, Entry, Store
from e2e.kvstore.terms import Progress, Stage, Term

Answer = TypeVar("Answer")

TRANSFER_KEYS = 500
"""Keys per transfer: some 50 KB, a few milliseconds of either side's time."""
LONG_POLL_SECONDS = 1.0
RETRY_SECONDS = 0.1
FENCE_SECONDS = 1.5
"""How long a question waits for the fence; less than the asker's patience, so that it hears why."""


class Member:
    """The state of one pod. An async context manager that ends its background work."""

    def __init__(self, name: str, store: Store, peers: Peers, journal: Journal | None = None) -> None:
        self.name = name
        self.store = store
        self.peers = peers
        self.journal = journal
        self._term: Term | None = None
        self._settling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.wait([self._settling])

    @property
    def generation(self) -> int:
        """The newest declaration this member has adopted; 0 before the first."""
        return self._term.generation if self._term else 0

    @property
    def term(self) -> Term:
        """The declaration this member goes by. Raises UnavailableError before the first."""
        if self._term is None:
            raise UnavailableError(f"{self.name} has not been told who the members are")
        return self._term

    def adopt(self, declaration: Declaration) -> None:
        """Go by this declaration from now on, unless one at least as new is known."""
        if declaration.generation <= self.generation:
            return
        if self._term is not None:
            self._term.end()
        if self._settling is not None:
            self._settling.cancel()
        self._term = Term(declaration, self.name)
        self._settling = asyncio.create_task(self._settle(self._term))

    def adopt_fixed(self, declaration: Declaration) -> None:
        """Go by members that never change: nothing to fence, nothing to move."""
        self._term = Term(declaration, self.name)
        self._term.advance(Stage.SETTLED)

    def keys_left(self) -> int:
        """How many keys are held here that another member owns."""
        if self._term is None:
            return 0
        return sum(self.store.count_in(shards) for shards in self._term.foreign.values())

    # What other members ask.

    def term_at(self, generation: int) -> Term:
        """The current term, if it is that of the question. Raises AheadError or BehindError."""
        if self._term is None or self.generation < generation:
            raise BehindError(self.generation)
        if self.generation > generation:
            raise AheadError(self._term.declaration)
        return self._term

    async def progress(self, generation: int, stage: Stage, wait_seconds: float) -> Progress:
        """How far this member has come, once it has reached the stage or the time is up."""
        await self.term_at(generation).wait(stage, wait_seconds)
        return Progress(self.term_at(generation).stage, self.keys_left())

    def peek(self, generation: int, keys: list[str]) -> dict[str, Entry]:
        """What is held here of these keys, for their owner."""
        self.term_at(generation)
        return self._held(keys)

    async def read(self, generation: int, keys: list[str]) -> dict[str, Entry]:
        """Answer for keys that this member owns."""
        term = await self._fenced(generation)
        peeked = await asyncio.gather(*(self._peek(term, peer, keys) for peer in term.unmoved.values()))
        # Nothing may be awaited between this check and the look into our own memory (4 above).
        self.term_at(generation)
        newest = self._held(keys)
        for elsewhere in peeked:
            for key, entry in elsewhere.items():
                newest[key] = max(entry, newest.get(key, entry))
        return newest

    async def write(self, generation: int, entries: Entries) -> None:
        """Store keys that this member owns, on disk too where there is one."""
        await self._fenced(generation)
        news = self.store.merge(entries)
        if news and self.journal is not None:
            await self.journal.append(news)

    def _held(self, keys: list[str]) -> dict[str, Entry]:
        return {key: entry for key in keys if (entry := self.store.find(key)) is not None}

    async def _fenced(self, generation: int) -> Term:
        term = self.term_at(generation)
        if term.stage < Stage.FENCED:
            await term.wait(Stage.FENCED, FENCE_SECONDS)
            self.term_at(generation)
        if term.stage < Stage.FENCED:
            raise UnavailableError(f"{self.name} waits for every member to hear of generation {generation}")
        return term

    async def _peek(self, term: Term, peer: Peer, keys: list[str]) -> dict[str, Entry]:
        try:
            return await self.peers.peek(peer, term.generation, keys)
        except AheadError as newer:
            self.adopt(newer.declaration)
            raise
        except (BehindError, UnavailableError, UnreachableError) as error:
            if peer.name not in term.unmoved:
                return {}
            raise UnavailableError(f"{peer.name} may hold a newer value and does not answer: {error}") from error

    # What this member does by itself after it has adopted a declaration.

    async def _settle(self, term: Term) -> None:
        await asyncio.gather(*(self._tell(term, peer) for peer in term.others))
        term.advance(Stage.FENCED)
        await asyncio.gather(*(self._hand_over(term, *shards) for shards in term.foreign.items()))
        term.advance(Stage.MOVED)
        await asyncio.gather(*(self._see_moved(term, peer) for peer in term.others))
        term.advance(Stage.SETTLED)

    async def _tell(self, term: Term, peer: Peer) -> None:
        await self.insist(term, peer, partial(self.peers.declare, peer, term.declaration))

    async def _hand_over(self, term: Term, owner: Peer, shards: list[int]) -> None:
        entries = list(self.store.entries_in(shards).items())
        for start in range(0, len(entries), TRANSFER_KEYS):
            batch = dict(entries[start : start + TRANSFER_KEYS])
            await self.insist(term, owner, partial(self.peers.write, owner, term.generation, batch))
            self.store.forget(batch)
            if self.journal is not None:
                await self.journal.append_gone(batch)

    async def _see_moved(self, term: Term, peer: Peer) -> None:
        await self.see_stage(term, peer, Stage.MOVED)
        term.unmoved.pop(peer.name, None)

    async def see_stage(
        self, term: Term, peer: Peer, stage: Stage, told: Callable[[Progress], None] | None = None
    ) -> None:
        """Return when a peer has reached a stage of this term; `told` hears every answer on the way."""
        ask = partial(self.peers.progress, peer, term.generation, stage, LONG_POLL_SECONDS)
        while True:
            progress = await self.insist(term, peer, ask)
            if told is not None:
                told(progress)
            if progress.stage >= stage:
                return

    async def insist(self, term: Term, peer: Peer, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Repeat a question until it is answered. Ends as cancelled when the term is over."""
        while not term.over.is_set():
            try:
                return await ask()
            except AheadError as newer:
                self.adopt(newer.declaration)
            except BehindError:
                await self._tell(term, peer)
            except PeerError:
                await term.pause(RETRY_SECONDS)
        raise asyncio.CancelledError
