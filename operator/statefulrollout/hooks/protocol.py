"""What an application's HTTP answer means: the protocol of docs/hooks.md, as pure functions.

From the replies to one request (status code, headers, bounded body) and the question asked to one of the words of
`core.asks.Answer`, with a sentence for humans. Of a body nothing leaves this file but the numbers `progress` and
`generation` and the truth of the user's expressions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from statefulrollout.core.asks import Answer, Ask, Request
from statefulrollout.core.expressions import evaluate_bool, evaluate_number, quoted

DONE_CODES = frozenset({200, 204})
IN_PROGRESS_CODE = 202
ACCEPTED_CODES = DONE_CODES | {IN_PROGRESS_CODE}
NOT_NOW_CODES = frozenset({409, 423, 503})
MISCONFIGURED_CODES = frozenset({404, 405, 501})
CONFLICT_CODE = 409

WORST_FIRST = (
    Answer.FAILED,
    Answer.MISCONFIGURED,
    Answer.ERROR,
    Answer.NOT_NOW,
    Answer.IN_PROGRESS,
    Answer.DONE,
)
_INT64 = 2**63


@dataclass(frozen=True)
class Reply:
    """An HTTP response as far as the protocol reads it; `retry_after` is the header as it came."""

    status: int
    body: bytes = b""
    retry_after: str | None = None


@dataclass(frozen=True)
class NoReply:
    """A request that brought no response: why, in words, and whether only another spec can change that."""

    why: str
    misconfigured: bool = False


@dataclass(frozen=True)
class Question:
    """How the answer to a request is to be judged.

    Attributes:
        expect: CEL that a 2xx must satisfy; None where the status code alone decides.
        progress: CEL giving the number that falls; None reads `progress` from the body of a 202.
        fail_when: CEL of a check that turns any response into a failure.
        accepting: 202 is as good as 200, because another request asks later whether the work is done.
        variables: what CEL sees beside the answer.
    """

    expect: str | None = None
    progress: str | None = None
    fail_when: str | None = None
    accepting: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What one reply, or all replies to one request together, mean; `retry_after` is in seconds."""

    answer: Answer
    text: str
    progress: float | None = None
    generation: int | None = None
    retry_after: float | None = None


def question_of_apply(ask: Ask) -> Question:
    """How the answers to `ask.request` are judged."""
    return Question(ask.expect, ask.progress, ask.fail_when, ask.done_request is not None, ask.variables)


def question_of_done(ask: Ask) -> Question:
    """How the answers to `ask.done_request` are judged."""
    return Question(ask.done.expect if ask.done else None, ask.progress, ask.fail_when, variables=ask.variables)


def verdict_of(request: Request, replies: Sequence[Reply | NoReply], question: Question) -> Verdict:
    """The meaning of the replies to one request, one reply for each of its addresses in the same order.

    All must be done. The worst answer wins and gives the sentence; progress is the sum, known only where each
    that is not done named a number. A request to nobody is answered "not now": unknown never counts as good.
    """
    if not request.to:
        return Verdict(Answer.NOT_NOW, f"{request.label} was not sent: no pod can be asked now")
    bodies = [json_of(reply.body) if isinstance(reply, Reply) else None for reply in replies]
    answers = [
        {"pod": address.name, "status": reply.status if isinstance(reply, Reply) else 0, "json": body}
        for address, reply, body in zip(request.to, replies, bodies, strict=True)
    ]
    variables = {"pod": {}, "members": {}, **question.variables, "answers": answers}
    verdicts = [
        _verdict_of_one(replace(request, to=(address,)).label, reply, body, question, variables)
        for address, reply, body in zip(request.to, replies, bodies, strict=True)
    ]
    return verdicts[0] if len(verdicts) == 1 else _together(verdicts)


def json_of(body: bytes) -> Any:
    """The body as JSON, or None where it is none.

    Integers past 64 bits become floating point, as any reader of JSON may; NaN and Infinity are not JSON.
    """
    try:
        return json.loads(body, parse_int=_integer, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None


def seconds_of(retry_after: str | None) -> float | None:
    """The seconds that a Retry-After header names; a date, or anything else, counts as absent."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def number_in_words(number: float) -> str:
    """A number for a message: `17` rather than `17.0`."""
    return str(int(number)) if number.is_integer() else f"{number:.6g}"


def _verdict_of_one(
    label: str, reply: Reply | NoReply, body: Any, question: Question, variables: Mapping[str, Any]
) -> Verdict:
    if isinstance(reply, NoReply):
        answer = Answer.MISCONFIGURED if reply.misconfigured else Answer.ERROR
        return Verdict(answer, f"{label} failed: {reply.why}")
    answered = f"{label} answered {reply.status}"
    text = reply.body.decode("utf-8", "replace")
    seen = {**variables, "status": reply.status, "json": body, "text": text}
    if question.fail_when is not None and evaluate_bool(question.fail_when, seen).value:
        return Verdict(Answer.FAILED, f"{answered}, and failWhen {quoted(question.fail_when)} is true")
    verdict = _verdict_of_code(answered, reply, body)
    if reply.status not in ACCEPTED_CODES:
        return verdict
    if verdict.answer is Answer.DONE or question.accepting:
        verdict = _verdict_of_expectation(answered, question.expect, seen)
    return _with_progress(replace(verdict, retry_after=seconds_of(reply.retry_after)), reply, body, question, seen)


def _verdict_of_code(answered: str, reply: Reply, body: Any) -> Verdict:
    status = reply.status
    if status in DONE_CODES:
        return Verdict(Answer.DONE, answered)
    if status == IN_PROGRESS_CODE:
        return Verdict(Answer.IN_PROGRESS, f"{answered}: in progress")
    if status in NOT_NOW_CODES:
        generation = _generation_in(body) if status == CONFLICT_CODE else None
        seen = "" if generation is None else f", it has seen generation {generation}"
        text = f"{answered}: not now{seen}"
        return Verdict(Answer.NOT_NOW, text, generation=generation, retry_after=seconds_of(reply.retry_after))
    if status in MISCONFIGURED_CODES:
        remedy = "the application offers no such thing there; correct port, path or method"
        return Verdict(Answer.MISCONFIGURED, f"{answered}: {remedy}")
    if 300 <= status < 400:
        return Verdict(Answer.ERROR, f"{answered}: redirects are not followed")
    return Verdict(Answer.ERROR, f"{answered}: an error")


def _verdict_of_expectation(answered: str, expect: str | None, seen: Mapping[str, Any]) -> Verdict:
    if expect is None:
        return Verdict(Answer.DONE, answered)
    judged = evaluate_bool(expect, seen)
    if judged.value:
        return Verdict(Answer.DONE, answered)
    reason = judged.why or f"{quoted(expect)} is not true yet"
    return Verdict(Answer.IN_PROGRESS, f"{answered}, but expect {reason}")


def _with_progress(verdict: Verdict, reply: Reply, body: Any, question: Question, seen: Mapping[str, Any]) -> Verdict:
    """The verdict with the number that tells how much is left; where it cannot be read the sentence says so."""
    if question.progress is None:
        number = _progress_in(body) if reply.status == IN_PROGRESS_CODE else None
    else:
        read = evaluate_number(question.progress, seen)
        number = read.value
        if number is None and verdict.answer is not Answer.DONE:
            return replace(verdict, text=f"{verdict.text}; progress {read.why}")
    if number is None or verdict.answer is Answer.DONE:
        return replace(verdict, progress=number)
    return replace(verdict, progress=number, text=f"{verdict.text}, progress {number_in_words(number)}")


def _together(verdicts: Sequence[Verdict]) -> Verdict:
    worst = min(verdicts, key=lambda verdict: WORST_FIRST.index(verdict.answer))
    unfinished = [verdict for verdict in verdicts if verdict.answer is not Answer.DONE]
    known = all(verdict.progress is not None for verdict in unfinished)
    numbers = [verdict.progress for verdict in verdicts if verdict.progress is not None]
    waits = [verdict.retry_after for verdict in unfinished if verdict.retry_after is not None]
    agreed = f"{len(verdicts) - len(unfinished)} of {len(verdicts)} agree"
    return Verdict(
        worst.answer,
        f"{worst.text} ({agreed})",
        progress=sum(numbers) if numbers and known else None,
        generation=max((verdict.generation for verdict in verdicts if verdict.generation is not None), default=None),
        retry_after=min(waits, default=None),
    )


def _progress_in(body: Any) -> float | None:
    number = body.get("progress") if isinstance(body, dict) else None
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return float(number) if math.isfinite(number) else None


def _generation_in(body: Any) -> int | None:
    number = body.get("generation") if isinstance(body, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 < number < _INT64 else None


def _integer(digits: str) -> int | float:
    number = float(digits)
    return int(digits) if abs(number) < _INT64 else number


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
