"""Seeing one declaration through: the member that was handed it makes sure that everybody arrives.

It first waits until every participant answers at all, so that a member which is not up yet delays the change and
not the clients; then it adopts the declaration, which spreads by itself (`member.py`); then it waits until every
participant is SETTLED. Nothing of this is remembered but in the members: any other can do it again, from the start.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Self

from e2e.kvstore.member import Member
from e2e.kvstore.peers import PeerError
from e2e.kvstore.placement import Declaration, Peer
from e2e.kvstore.terms import Progress, Stage

RETRY_SECONDS = 0.2


@dataclass
class Change:
    """A declaration on its way."""

    declaration: Declaration
    waiting_for: set[str]
    left: dict[str, int] = field(default_factory=dict)
    done: bool = False
    task: asyncio.Task[None] = field(init=False)

    @property
    def keys_left(self) -> int:
        """Keys that still have to move, as far as the members have said."""
        return sum(self.left.values())


class Coordinator:
    """The changes that this member was handed. An async context manager that ends its background work."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._change: Change | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._change is not None:
            self._change.task.cancel()
            await asyncio.wait([self._change.task])

    @property
    def generation(self) -> int:
        """The newest generation this member has heard of, adopted or not."""
        return max(self._member.generation, self._change.declaration.generation if self._change else 0)

    def begin(self, declaration: Declaration) -> Change:
        """Go for this declaration, which is as new as any; joins the attempt that is already under way.

        One that was done is verified again: a member may have restarted and forgotten it.
        """
        change = self._change
        if change is not None:
            if change.declaration.generation == declaration.generation and not change.task.done():
                return change
            change.task.cancel()
        change = Change(declaration, {peer.name for peer in declaration.participants})
        change.task = asyncio.create_task(self._see_through(change))
        self._change = change
        return change

    async def _see_through(self, change: Change) -> None:
        generation = change.declaration.generation
        participants = change.declaration.participants
        if self._member.generation < generation:
            await asyncio.gather(*(self._see_up(change, peer) for peer in participants))
            self._member.adopt(change.declaration)
        if self._member.generation > generation:
            return
        await asyncio.gather(*(self._see_settled(change, peer) for peer in participants))
        change.done = self._member.generation == generation

    async def _see_up(self, change: Change, peer: Peer) -> None:
        while self._member.generation < change.declaration.generation:
            try:
                await self._member.peers.ping(peer)
            except PeerError:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                break
        change.waiting_for.discard(peer.name)

    async def _see_settled(self, change: Change, peer: Peer) -> None:
        change.waiting_for.add(peer.name)
        term = self._member.term

        def told(progress: Progress) -> None:
            change.left[peer.name] = progress.left

        await self._member.see_stage(term, peer, Stage.SETTLED, told)
        change.waiting_for.discard(peer.name)
