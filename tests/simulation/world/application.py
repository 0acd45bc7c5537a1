"""The application in the pods: keys in memory, its hooks, and how it misbehaves when told to.

Every key lives in one container and dies with it. Owners follow from the declared members by rendezvous hashing;
moves take their time, one after the other, and go on only while the member that was told coordinates them. Truth is
here: what the operator may believe, invariants compare with it.
"""

from __future__ import annotations

import json
import math
import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from tests.simulation.world.kubelet import Kubelet
from tests.simulation.world.objects import Json
from tests.simulation.world.sandbox import Sandbox
from tests.simulation.world.timeline import Timeline


class Holder(NamedTuple):
    """A running container of the application: what can hold keys, and loses them when it ends."""

    uid: str
    container: str


class Silence(StrEnum):
    """Ways of not answering."""

    HANG = "hang"
    REFUSE = "refuse"


Reaction = int | Silence
"""A scripted answer: a status code with an empty body, or none."""


class Declared(NamedTuple):
    """A membership that the application was told, and when."""

    at: float
    generation: int
    members: tuple[str, ...]


ONE_MOMENT = 0.1
"""Seconds between two words to one process for which nobody can have had a reason who knew of both."""

IN_PROGRESS: tuple[int, Json] = (202, {"progress": 1})


@dataclass
class Moves:
    """Keys on their way to the owners that a declaration gives them; `members` maps names to pod UIDs."""

    generation: int
    members: dict[str, str]
    coordinator: Holder
    since: float
    open: deque[int] = field(default_factory=deque)


@dataclass
class _Script:
    pod: str
    reactions: deque[Reaction]
    forever: bool


class Application:
    """Attributes:
        drain_seconds: how long the work in hand takes to finish after a drain was asked for.
        restore_seconds: how long a pod takes to be restored.
        seconds_per_move: how long one key takes to move.
        keys: where each key is.
        lost_keys: keys that died with their container.
        declared: every membership accepted, in order.
        requests: (time, pod, method and path, status code or silence) of every request.
        lies: (pod uid, hook) of every scripted success.
        doubled: how many of the next requests arrive twice.
        leader: the name of the pod that leads; whoever is asked tells its role.
        preparations: when the whole was told to prepare, or to undo it.
        load: what all pods carry together, as any of them knows.
        free: names of the pods that may leave, as any of them knows.
    """  # fmt: skip

    def __init__(self, kubelet: Kubelet, timeline: Timeline) -> None:
        self._kubelet = kubelet
        self._timeline = timeline
        self.drain_seconds = 1.0
        self.restore_seconds = 0.0
        self.seconds_per_move = 0.02
        self.keys: dict[int, Holder] = {}
        self.lost_keys: set[int] = set()
        self.declared: list[Declared] = []
        self.requests: list[tuple[float, str, str, str]] = []
        self.lies: set[tuple[str, str]] = set()
        self.doubled = 0
        self.health = "green"
        self.leader = ""
        self.preparations: list[tuple[float, bool]] = [(0.0, False)]
        self.load = 0
        self.free: list[str] = []
        self._begun: dict[tuple[Holder, str], float] = {}
        self._undone: dict[tuple[Holder, str], float] = {}
        self._moves: Moves | None = None
        self._has_membership = False
        self._scripts: dict[str, list[_Script]] = {}
        kubelet.ended.append(self._forget)

    def script(self, hook: str, *reactions: Reaction, pod: str = "", forever: bool = False) -> None:
        """Answer the next requests to a hook (`drain`, `members` …) like this; the last one for ever, if wanted."""
        self._scripts.setdefault(hook, []).append(_Script(pod, deque(reactions), forever))

    def heal(self) -> None:
        """Forget every script, be well, and have little to do."""
        self._scripts.clear()
        self.health = "green"
        self.load = 0

    def write_keys(self, count: int) -> None:
        """Write that many keys, spread over the pods that run now."""
        holders = {sandbox.name: holder for sandbox in self._kubelet.sandboxes.values() if (holder := _holder(sandbox))}
        for key in range(count):
            self.keys[key] = holders[_owner_of(key, holders)]

    def was_prepared(self, at: float) -> bool:
        """Whether the whole had been told to prepare by then, and not to undo it."""
        return next(prepared for since, prepared in reversed(self.preparations) if since <= at)

    @property
    def prepared(self) -> bool:
        """Whether the whole is prepared now."""
        return self.was_prepared(self._timeline.now)

    def keys_of(self, uid: str) -> int:
        """How many keys are in the memory of this pod."""
        self._go_on()
        return sum(holder.uid == uid for holder in self.keys.values())

    def is_drained(self, uid: str) -> bool:
        """Whether the running container of this pod has finished its work after a drain, and takes no new one."""
        sandbox = self._kubelet.sandboxes.get(uid)
        holder = _holder(sandbox) if sandbox else None
        return holder is not None and self._left(holder, "drain", self.drain_seconds) == 0.0

    def has_begun(self, uid: str, hook: str) -> bool:
        """Whether the running container of this pod was told to begin this, and not to undo it."""
        sandbox = self._kubelet.sandboxes.get(uid)
        holder = _holder(sandbox) if sandbox else None
        return holder is not None and (holder, hook) in self._begun

    def was_told_both(self, uid: str, hook: str) -> bool:
        """Whether it was told to begin this, and had been told to undo it a moment ago."""
        return any(
            holder.uid == uid and name == hook and since - self._undone.get((holder, name), 0.0) < ONE_MOMENT
            for (holder, name), since in self._begun.items()
        )

    def settled_members(self) -> frozenset[str] | None:
        """The UIDs of the last declaration's members once every key is with its owner; None until then."""
        self._go_on()
        moves = self._moves
        return None if moves is None or moves.open else frozenset(moves.members.values())

    def answer(self, address: str, method: str, path: str, body: str) -> tuple[int, Json] | Silence:
        """What the process at this address answers."""
        sandbox = next((found for found in self._kubelet.sandboxes.values() if found.ip == address), None)
        holder = _holder(sandbox) if sandbox else None
        if sandbox is not None and sandbox.node in self._kubelet.down:
            return Silence.HANG
        if sandbox is None or holder is None:
            return Silence.REFUSE
        if self.doubled:
            left, self.doubled = self.doubled - 1, 0
            self.answer(address, method, path, body)
            self.doubled = left
        hook = path.strip("/").split("/")[0]
        reply = self._scripted(hook, sandbox)
        if reply == IN_PROGRESS and (method, hook) == ("POST", "drain"):
            self._left(holder, hook, self.drain_seconds, begin=True)
        if reply is None:
            reply = self._reply(holder, method, hook, json.loads(body) if body else {})
        shown = str(reply[0]) if isinstance(reply, tuple) else str(reply)
        self.requests.append((self._timeline.now, sandbox.name, f"{method} {path}", shown))
        return reply

    def has_lied(self, *hooks: str, uid: str = "") -> bool:
        """Whether one of these hooks was answered with a success that was none, by this pod or by any."""
        return any(hook in hooks and uid in ("", liar) for liar, hook in self.lies)

    def _scripted(self, hook: str, sandbox: Sandbox) -> tuple[int, Json] | Silence | None:
        for script in self._scripts.get(hook, []):
            if script.reactions and script.pod in ("", sandbox.name):
                last = script.forever and len(script.reactions) == 1
                reaction = script.reactions[0] if last else script.reactions.popleft()
                if isinstance(reaction, Silence):
                    return reaction
                if reaction == 200:
                    self.lies.add((sandbox.uid, hook))
                return IN_PROGRESS if reaction == 202 else (reaction, {})
        return None

    def _reply(self, holder: Holder, method: str, hook: str, document: Json) -> tuple[int, Json]:
        match method, hook:
            case "POST", "drain":
                return _progress(self._left(holder, hook, self.drain_seconds, begin=True))
            case "GET", "drain":
                left = self._left(holder, hook, self.drain_seconds)
                return 200, {"inFlight": -1 if left is None else math.ceil(left * 10)}
            case "DELETE", "drain" | "migrate":
                self._begun.pop((holder, hook), None)
                self._undone[holder, hook] = self._timeline.now
                return 200, {}
            case "POST", "restore":
                return _progress(self._left(holder, hook, self.restore_seconds, begin=True))
            case "POST", "migrate" if self._has_membership:
                return _progress(float(self.keys_of(holder.uid)))
            case "POST", "migrate":
                others = [member for member in document["members"]["serving"] if member["uid"] != holder.uid]
                if not others:
                    return 503, {}
                return self._declare(holder, int(self._timeline.now * 1000), others)
            case "POST", "members":
                self._has_membership = True
                members = document["members"]
                return self._declare(holder, members["generation"], [*members["serving"], *members["joining"]])
        return self._reply_for_all(holder, method, hook)

    def _reply_for_all(self, holder: Holder, method: str, hook: str) -> tuple[int, Json]:
        """What is asked about the application as a whole, or without beginning anything."""
        match method, hook:
            case _, "health":
                return 200, {"state": self.health}
            case "POST" | "DELETE", "prepare":
                self.preparations.append((self._timeline.now, method == "POST"))
                return 200, {}
            case _, "role":
                return 200, {"role": "leader" if self._name_of(holder) == self.leader else "follower"}
            case _, "free":
                return 200, {"free": self.free}
            case _, "load":
                return 200, {"total": self.load}
        return 404, {}

    def _name_of(self, holder: Holder) -> str:
        return self._kubelet.sandboxes[holder.uid].name

    def _left(self, holder: Holder, hook: str, seconds: float, *, begin: bool = False) -> float | None:
        """Seconds until what was begun is done, None where it was not begun."""
        if begin:
            self._begun.setdefault((holder, hook), self._timeline.now)
        since = self._begun.get((holder, hook))
        return None if since is None else max(since + seconds - self._timeline.now, 0.0)

    def _declare(self, coordinator: Holder, generation: int, members: Sequence[Json]) -> tuple[int, Json]:
        self._go_on()
        moves = self._moves
        if moves is not None and generation < moves.generation:
            return 409, {"generation": moves.generation}
        if moves is None or generation > moves.generation:
            wanted = {member["name"]: member["uid"] for member in members}
            self.declared.append(Declared(self._timeline.now, generation, tuple(sorted(wanted))))
            moves = self._moves = Moves(generation, wanted, coordinator, self._timeline.now)
            moves.open.extend(key for key in sorted(self.keys) if self._is_misplaced(key, moves))
        elif self._is_gone(moves.coordinator):
            moves.coordinator, moves.since = coordinator, self._timeline.now
        return _progress(float(len(moves.open)))

    def _is_misplaced(self, key: int, moves: Moves) -> bool:
        return bool(moves.members) and self.keys[key].uid != moves.members[_owner_of(key, moves.members)]

    def _go_on(self) -> None:
        """Make the moves for which there was time since the last look."""
        moves = self._moves
        if moves is None or self._is_gone(moves.coordinator):
            return
        affordable = int((self._timeline.now - moves.since) / self.seconds_per_move + 1e-6)
        moves.since += affordable * self.seconds_per_move
        for _ in range(min(affordable, len(moves.open))):
            key = moves.open.popleft()
            target = self._kubelet.sandboxes.get(moves.members[_owner_of(key, moves.members)])
            holder = _holder(target) if target else None
            if key in self.keys and holder is None:
                moves.open.append(key)
            elif key in self.keys and holder is not None:
                self.keys[key] = holder

    def _is_gone(self, holder: Holder) -> bool:
        sandbox = self._kubelet.sandboxes.get(holder.uid)
        return sandbox is None or _holder(sandbox) != holder

    def _forget(self, uid: str, container: str) -> None:
        """A container has ended, and what it had in memory with it."""
        self._go_on()
        gone = {key for key, holder in self.keys.items() if holder == (uid, container)}
        for key in gone:
            del self.keys[key]
        self.lost_keys |= gone


def _holder(sandbox: Sandbox) -> Holder | None:
    running = (item for item in sandbox.containers if item.application and item.running)
    return next((Holder(sandbox.uid, container.id) for container in running), None)


def _owner_of(key: int, names: Iterable[str]) -> str:
    """Rendezvous hashing: the member whose hash with the key is highest."""
    return max(names, key=lambda name: zlib.crc32(f"{key}/{name}".encode()))


def _progress(left: float | None) -> tuple[int, Json]:
    return (202, {"progress": left}) if left else (200, {})
