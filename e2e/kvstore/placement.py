"""Who owns which key, as a pure function of the declared members.

A key falls into one of a fixed number of shards, and each shard goes to the member with the highest hash of
(member, shard): rendezvous hashing. So a member that leaves gives up its own shards and moves nobody else's, and
one that returns under the same name gets the same shards back. Knows nothing of where keys are right now.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SHARDS = 1024


class BadDocumentError(ValueError):
    """A membership document that cannot be read; the message names the field."""


@dataclass(frozen=True)
class Peer:
    """A member as the others reach it."""

    name: str
    ip: str


@dataclass(frozen=True)
class Declaration:
    """Consist of exactly these: the owners share the keys, those leaving hand theirs over.

    The document's `away` and `unknown` members are in neither: a key that lives in memory does not come back
    with its pod, so waiting for a pod that may return would gain nothing.
    """

    generation: int
    owners: tuple[Peer, ...]
    leaving: tuple[Peer, ...] = ()

    @property
    def participants(self) -> tuple[Peer, ...]:
        """Everybody who may hold a key now, or will."""
        return self.owners + self.leaving

    def as_document(self) -> dict[str, Any]:
        """The declaration as members tell it to each other; `declaration_of` reads it back."""
        return {
            "generation": self.generation,
            "serving": [{"name": peer.name, "ip": peer.ip} for peer in self.owners],
            "leaving": [{"name": peer.name, "ip": peer.ip} for peer in self.leaving],
        }


def declaration_of(document: Mapping[str, Any]) -> Declaration:
    """Read the `members` part of a hook's document. Raises BadDocumentError."""
    generation = document.get("generation")
    if not isinstance(generation, int) or generation < 1:
        raise BadDocumentError("members.generation must be a whole number of at least 1")
    owners = (*_peers_of(document, "serving"), *_peers_of(document, "joining"))
    return Declaration(
        generation=generation,
        owners=tuple(sorted(owners, key=lambda peer: peer.name)),
        leaving=_peers_of(document, "leaving"),
    )


def shard_of(key: str) -> int:
    """The shard that a key falls into, the same in every process."""
    return zlib.crc32(key.encode()) % SHARDS


def shard_owners(members: Iterable[Peer]) -> tuple[Peer, ...]:
    """The owner of each shard, by shard number; empty where there is no member."""
    peers = tuple(members)
    if not peers:
        return ()
    return tuple(max(peers, key=lambda peer: _weight(peer.name, shard)) for shard in range(SHARDS))


def _weight(name: str, shard: int) -> bytes:
    return hashlib.blake2b(f"{name}/{shard}".encode(), digest_size=8).digest()


def _peers_of(document: Mapping[str, Any], role: str) -> tuple[Peer, ...]:
    try:
        return tuple(Peer(name=str(member["name"]), ip=str(member["ip"])) for member in document.get(role) or ())
    except (KeyError, TypeError) as error:
        raise BadDocumentError(f"members.{role} must be a list of objects with `name` and `ip`") from error
