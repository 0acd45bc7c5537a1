"""How far a member has come with one generation, and waiting for it.

A term begins when a member adopts a declaration and is over when it adopts a newer one. Whoever waits is woken by
either, and must look which it was. Holds no keys and asks nobody.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import NamedTuple

from e2e.kvstore.placement import Declaration, Peer, shard_of, shard_owners


class Stage(IntEnum):
    """What a member knows; each stage includes those before it. `member.py` says why each is needed."""

    ADOPTED = 0
    """It goes by this declaration, and answers nobody who goes by an older one."""
    FENCED = 1
    """So do all other participants: no older owner can accept or answer anything any more."""
    MOVED = 2
    """It holds no key that another member owns."""
    SETTLED = 3
    """Nor does any other participant hold one of its keys: what it holds is all there is."""


class Progress(NamedTuple):
    """A member's stage, and how many keys it still has to hand over."""

    stage: Stage
    left: int


class Term:
    """One declaration as one member lives through it."""

    def __init__(self, declaration: Declaration, me: str) -> None:
        self.declaration = declaration
        self.others = tuple(peer for peer in declaration.participants if peer.name != me)
        self.unmoved = {peer.name: peer for peer in self.others}
        """Who may still hold keys of ours."""
        self.stage = Stage.ADOPTED
        self.over = asyncio.Event()
        self._owners = shard_owners(declaration.owners)
        self._reached = {stage: asyncio.Event() for stage in Stage}
        self.foreign: dict[Peer, list[int]] = {}
        """The shards of every other owner."""
        for shard, owner in enumerate(self._owners):
            if owner.name != me:
                self.foreign.setdefault(owner, []).append(shard)

    @property
    def generation(self) -> int:
        """The number of the declaration."""
        return self.declaration.generation

    def owner_of(self, key: str) -> Peer | None:
        """The member that owns the key; None where the declaration has no owners."""
        return self._owners[shard_of(key)] if self._owners else None

    def advance(self, stage: Stage) -> None:
        """Record that a stage is reached."""
        self.stage = stage
        if stage is Stage.SETTLED:
            self.unmoved.clear()
        for reached in Stage:
            if reached <= stage:
                self._reached[reached].set()

    def end(self) -> None:
        """Wake everybody who waits: a newer declaration has been adopted."""
        self.over.set()
        for reached in self._reached.values():
            reached.set()

    async def wait(self, stage: Stage, seconds: float) -> None:
        """Return when the stage is reached, the term is over or the time is up: the caller looks which."""
        try:
            async with asyncio.timeout(seconds):
                await self._reached[stage].wait()
        except TimeoutError:
            return

    async def pause(self, seconds: float) -> None:
        """Return when the term is over, at the latest after this time."""
        try:
            async with asyncio.timeout(seconds):
                await self.over.wait()
        except TimeoutError:
            return
