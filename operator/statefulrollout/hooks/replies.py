"""What came back from one address: an HTTP response, the end of a command, or nothing, and what its code means.

The table of codes of docs/hooks.md is here; what the user's expressions make of an answer is `protocol.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from statefulrollout.core.asks import Answer

MOST_BYTES = 64 * 1024
"""Of a body, and of what a command prints: more is an error."""

DONE_CODES = frozenset({200, 204})
IN_PROGRESS_CODE = 202
CONFLICT_CODE = 409
NOT_NOW_CODES = frozenset({CONFLICT_CODE, 423, 503})
MISCONFIGURED_CODES = frozenset({404, 405, 501})

DONE_EXIT = 0
IN_PROGRESS_EXIT = 75
"""EX_TEMPFAIL of sysexits.h."""
MISCONFIGURED_EXITS = frozenset({126, 127})
"""What shells say of a program that cannot be run, or does not exist."""


@dataclass(frozen=True)
class Meaning:
    """What a code means by itself.

    Attributes:
        answer: the answer.
        words: what goes on after the code, for humans.
        refuses: the body may name the generation of a membership that is newer than the one declared.
    """

    answer: Answer
    words: str = ""
    refuses: bool = False


@dataclass(frozen=True)
class Reply:
    """An HTTP response as far as the protocol reads it; `retry_after_header` is the header as it came."""

    status: int
    body: bytes = b""
    retry_after_header: str | None = None

    @property
    def said(self) -> str:
        """The code, in words."""
        return f"answered {self.status}"

    @property
    def code(self) -> dict[str, int]:
        """The code, by the name that expressions know."""
        return {"status": self.status}

    @property
    def meaning(self) -> Meaning:
        """What the status code says."""
        if self.status in DONE_CODES:
            return Meaning(Answer.DONE)
        if self.status == IN_PROGRESS_CODE:
            return Meaning(Answer.IN_PROGRESS, ": in progress")
        if self.status in NOT_NOW_CODES:
            return Meaning(Answer.NOT_NOW, ": not now", refuses=self.status == CONFLICT_CODE)
        if self.status in MISCONFIGURED_CODES:
            return Meaning(
                Answer.MISCONFIGURED, ": the application offers no such thing there; correct port, path or method"
            )
        redirect = 300 <= self.status < 400
        return Meaning(Answer.ERROR, ": redirects are not followed" if redirect else ": an error")

    @property
    def retry_after(self) -> float | None:
        """The seconds until it asks to be asked again; a date, or anything else than a number, counts as absent."""
        if self.meaning.answer in (Answer.ERROR, Answer.MISCONFIGURED):
            return None
        try:
            seconds = float(self.retry_after_header or "")
        except ValueError:
            return None
        return seconds if math.isfinite(seconds) and seconds >= 0 else None


@dataclass(frozen=True)
class Exit:
    """The end of a command: its exit code, and what it printed on its standard output."""

    exit_code: int
    body: bytes = b""

    @property
    def said(self) -> str:
        """The code, in words."""
        return f"exited with {self.exit_code}"

    @property
    def code(self) -> dict[str, int]:
        """The code, by the name that expressions know."""
        return {"exitCode": self.exit_code}

    @property
    def meaning(self) -> Meaning:
        """What the exit code says."""
        if self.exit_code == DONE_EXIT:
            return Meaning(Answer.DONE)
        if self.exit_code == IN_PROGRESS_EXIT:
            return Meaning(Answer.IN_PROGRESS, ": in progress", refuses=True)
        if self.exit_code in MISCONFIGURED_EXITS:
            return Meaning(Answer.MISCONFIGURED, ": it cannot be run; correct command, or the image")
        return Meaning(Answer.ERROR, ": an error")

    @property
    def retry_after(self) -> float | None:
        """A command names no time."""
        return None


@dataclass(frozen=True)
class NoReply:
    """A request that brought no answer: why, in words, and whether only another spec can change that."""

    why: str
    misconfigured: bool = False


Answered = Reply | Exit
Outcome = Reply | Exit | NoReply
