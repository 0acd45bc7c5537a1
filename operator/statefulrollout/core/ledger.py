"""What no pod can carry: the memory of a rollout that outlives pods, the operator and the StatefulRollout.

One ledger per StatefulSet, written by compare-and-swap *before* anything is done on the strength of it. This file
is its content as data; `kube/ledger.py` reads and writes it. Times are seconds since the epoch (UTC).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Entry(BaseModel):
    """Immutable, camelCase on the wire. Fields of a newer operator are kept out of the way, not refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class FailedRevision(Entry):
    """A revision whose pods could not become available."""

    revision: str
    reason: str
    message: str
    at: float
    left: bool = False
    """Whether another revision has been wanted since; wanted again, it is tried again."""
    gives_up: bool = False
    """Whether its pods go back whatever `onFailure` says: a hook with `onTimeout: Rollback` took too long."""


class Member(Entry):
    """A pod as the application was told of it; `containers` are the IDs of its containers at that time."""

    name: str
    uid: str
    containers: tuple[str, ...] = ()


class Absence(Entry):
    """A member that is missing but may come back with its state, and since when."""

    name: str
    since: float


class Declaration(Entry):
    """The last membership declared: its generation, whom it consists of, and whether it is done."""

    generation: int = 0
    members: tuple[Member, ...] = ()
    away: tuple[Absence, ...] = ()
    coordinator: str = ""
    done: bool = False
    at: float = 0.0
    stalled: float | None = None
    """Since when it has made no progress for longer than its `stallSeconds`."""


class OpenHook(Entry):
    """A hook that was begun: on whom, since when, and the resolved call that undoes it."""

    id: str
    hook: str
    pod: str
    uid: str
    since: float
    stalled: float | None = None
    """Since when it has made no progress for longer than its `stallSeconds`."""
    undo: dict[str, Any] | None = None
    completed: bool = False
    """Whether its pod was let go: what others were told stands, and is not undone when the pod is gone."""


class Prepared(Entry):
    """A step of `beforeRollout` that was begun, whether it is done, and the resolved call that undoes it."""

    name: str
    id: str
    since: float
    stalled: float | None = None
    """Since when it has made no progress for longer than its `stallSeconds`."""
    done: bool = False
    back: bool = False
    """Whether it is being taken back: it counts as done no more, whatever comes, and may be begun anew."""
    undo: dict[str, Any] | None = None


class Choice(Entry):
    """A pod that was about to be taken out of service, and the version at which it was judged.

    The write that does it applies to that version only. As long as the pod is at it, the write may still be on its way,
    from us or from another leader; once it is not, the choice has come true or never will.
    """

    uid: str
    version: str


class Progress(Entry):
    """Which steps of a revision's rollout are passed, and since when the one after them is reached."""

    revision: str = ""
    passed: int = 0
    reached_at: float | None = None


class Attempt(Entry):
    """The user's last word to try a failed revision again that was followed."""

    revision: str = ""
    nonce: int = 0


class Ledger(Entry):
    """The whole page. `uid` and `resource_version` are empty while the object does not exist yet."""

    uid: str = ""
    resource_version: str = ""
    rollout_uid: str = ""
    stateful_set_uid: str = ""
    deletion_policy: str = "Freeze"
    original_strategy: dict[str, Any] | None = None
    failed: tuple[FailedRevision, ...] = ()
    declaration: Declaration = Declaration()
    open_hooks: tuple[OpenHook, ...] = ()
    preparations: tuple[Prepared, ...] = ()
    chosen: tuple[Choice, ...] = ()
    """Written before the pods are: whoever decides next counts them as gone."""
    chosen_at: float | None = None
    """When a pod was last chosen."""
    progress: Progress = Progress()
    attempt: Attempt = Attempt()
