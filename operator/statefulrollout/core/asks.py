"""What the application is asked, and what it answered: the seam between deciding and calling.

A plan lists the asks that shall be open now; `hooks/runner.py` makes it so (starts what is new, stops what is no
longer listed, repeats until the answer is final) and keeps the latest report of each. The same id always means
the same question, so asking again after a crash is harmless. Times are seconds since the epoch (UTC).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from statefulrollout.api.v1alpha1 import Done, Exec, Http
from statefulrollout.api.walk import Wants
from statefulrollout.core.wording import name_some

MOST_COMMAND_CHARACTERS = 60
"""Of a command in a label; more is cut."""


Measured = str | float | tuple[str, ...]
"""What an expression may read from an answer."""


class Answer(StrEnum):
    """What an answer means for the question asked."""

    DONE = "Done"
    IN_PROGRESS = "InProgress"
    NOT_NOW = "NotNow"
    MISCONFIGURED = "Misconfigured"
    ERROR = "Error"
    FAILED = "Failed"
    """A check's `failWhen` was true: the application itself says no."""


@dataclass(frozen=True)
class Address:
    """Where a request goes: the pod or Service by name, and for an HTTP request host and port to connect to.

    `uid` is the pod's, empty for a Service: another pod of the same name is not meant.
    """

    name: str
    host: str = ""
    port: int = 0
    uid: str = ""


@dataclass(frozen=True)
class Request:
    """One resolved request to every address; templates are already filled in.

    `body` is the body of an HTTP request, None where it has none, and the standard input of a command.
    """

    what: Http | Exec
    to: tuple[Address, ...]
    timeout_seconds: int
    body: str | None = None

    @property
    def label(self) -> str:
        """The request as a human would name it: `POST /drain on port admin of kvstore-3`."""
        who = name_some([address.name for address in self.to]) or "nobody"
        match self.what:
            case Http(method=method, path=path, port=port):
                return f"{method} {path} on port {port} of {who}"
            case Exec(command=command, container=container):
                words = shlex.join(command)
                shown = words if len(words) <= MOST_COMMAND_CHARACTERS else f"{words[: MOST_COMMAND_CHARACTERS - 1]}…"
                return f"`{shown}` in container {container} of {who}"


@dataclass(frozen=True)
class Measure:
    """A value to be read from a good answer: CEL, what it gives, and the field of the spec that it stands in."""

    expression: str
    wants: Wants
    field: str = "value"


@dataclass(frozen=True)
class Ask:
    """A question that stays open until its answer is final.

    Attributes:
        id: identity; an ask with another id is another question.
        title: the hook or check as users know it (`drain`, `membership`, `check all-green`).
        request: what to send, repeatedly until final.
        expect: CEL; where given, a 2xx must also satisfy it to be done.
        progress: CEL giving a number that falls; where absent, `progress` of a 202 body.
        fail_when: CEL of a check: true means the application says no.
        measure: what to read from a good answer; without it the answer is not good.
        settle_seconds: how long after an accepted `request` before it counts (and before `done` is asked).
        done: asked after `request` was accepted; `done_request` is its resolved form.
        stable_for_seconds: how long the answer must stay good before it counts.
        repeats: a check or a measure: asked again and again, even after it was good.
        variables: what CEL sees beside the answer (`pod`, `members`).
    """

    id: str
    title: str
    request: Request
    expect: str | None = None
    progress: str | None = None
    fail_when: str | None = None
    measure: Measure | None = None
    settle_seconds: int = 0
    done: Done | None = None
    done_request: Request | None = None
    stable_for_seconds: int = 0
    repeats: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The latest word on an ask.

    Attributes:
        answer: what it means now.
        at: when it was answered (or failed to be).
        since: since when `answer` has been the same without a break.
        text: one sentence for humans that names request, status code and progress, never the body.
        progress: the number last reported.
        value: what was measured; None where nothing was.
        progressed: when that number last fell, or when the ask was opened.
        generation: of a membership answered 409: the generation the application has seen.
    """

    answer: Answer
    at: float
    since: float
    text: str
    progress: float | None = None
    value: Measured | None = None
    progressed: float = 0.0
    generation: int | None = None


def is_done(report: Report | None) -> bool:
    """Whether an ask was answered, and for good."""
    return report is not None and report.answer is Answer.DONE
