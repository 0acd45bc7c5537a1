"""What an application's answer means: the protocol of docs/hooks.md, as pure functions.

From the replies to one request (code, bounded body) and the question asked to one of the words of `core.asks.Answer`,
with a sentence for humans. Of a body nothing leaves this file but the numbers `progress` and `generation` and the
truth of the user's expressions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from statefulrollout.api.v1alpha1 import Http
from statefulrollout.api.walk import Wants
from statefulrollout.core.asks import Answer, Ask, Measure, Measured, Request
from statefulrollout.core.expressions import (
    Evaluation,
    evaluate_bool,
    evaluate_names,
    evaluate_number,
    evaluate_text,
    quoted,
)
from statefulrollout.hooks.replies import Answered, NoReply, Outcome

WORST_FIRST = (
    Answer.FAILED,
    Answer.MISCONFIGURED,
    Answer.ERROR,
    Answer.NOT_NOW,
    Answer.IN_PROGRESS,
    Answer.DONE,
)
_READERS: Mapping[Wants, Callable[[str, Mapping[str, Any]], Evaluation[Any]]] = {
    "bool": evaluate_bool,
    "number": evaluate_number,
    "text": evaluate_text,
    "names": evaluate_names,
}
_INT64 = 2**63


@dataclass(frozen=True)
class Question:
    """How the answer to a request is to be judged.

    Attributes:
        expect: CEL that a good answer must satisfy; None where the code alone decides.
        progress: CEL giving the number that falls; None reads `progress` from the body of one that is in progress.
        fail_when: CEL of a check that turns any answer into a failure.
        measure: what to read from a good answer; without it the answer is not good.
        accepting: in progress is as good as done, because another request asks later whether the work is done.
        variables: what CEL sees beside the answer.
    """

    expect: str | None = None
    progress: str | None = None
    fail_when: str | None = None
    measure: Measure | None = None
    accepting: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What one reply, or all replies to one request together, mean; `retry_after` is in seconds."""

    answer: Answer
    text: str
    progress: float | None = None
    value: Measured | None = None
    generation: int | None = None
    retry_after: float | None = None


def question_of_apply(ask: Ask) -> Question:
    """How the answers to `ask.request` are judged."""
    accepting = ask.done_request is not None
    return Question(ask.expect, ask.progress, ask.fail_when, ask.measure, accepting, ask.variables)


def question_of_done(ask: Ask) -> Question:
    """How the answers to `ask.done_request` are judged."""
    return Question(ask.done.expect if ask.done else None, ask.progress, ask.fail_when, variables=ask.variables)


def verdict_of(request: Request, replies: Sequence[Outcome], question: Question) -> Verdict:
    """The meaning of the replies to one request, one reply for each of its addresses in the same order.

    All must be done. The worst answer wins and gives the sentence; progress is the sum, known only where each
    that is not done named a number. A request to nobody is answered "not now": unknown never counts as good.
    """
    if not request.to:
        return Verdict(Answer.NOT_NOW, f"{request.label} was not sent: no pod can be asked now")
    bodies = [None if isinstance(reply, NoReply) else json_of(reply.body) for reply in replies]
    silence = {"status": 0} if isinstance(request.what, Http) else {"exitCode": -1}
    answers = [
        {"pod": address.name, **(silence if isinstance(reply, NoReply) else reply.code), "json": body}
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


def number_in_words(number: float) -> str:
    """A number for a message: `17` rather than `17.0`."""
    return str(int(number)) if number.is_integer() else f"{number:.6g}"


def _verdict_of_one(label: str, reply: Outcome, body: Any, question: Question, variables: Mapping[str, Any]) -> Verdict:
    if isinstance(reply, NoReply):
        answer = Answer.MISCONFIGURED if reply.misconfigured else Answer.ERROR
        return Verdict(answer, f"{label} failed: {reply.why}")
    said = f"{label} {reply.said}"
    seen = {**variables, **reply.code, "json": body, "text": reply.body.decode("utf-8", "replace")}
    if question.fail_when is not None and evaluate_bool(question.fail_when, seen).value:
        return Verdict(Answer.FAILED, f"{said}, and failWhen {quoted(question.fail_when)} is true")
    verdict = _verdict_of_code(said, reply, body)
    if verdict.answer not in (Answer.DONE, Answer.IN_PROGRESS):
        return verdict
    if verdict.answer is Answer.DONE or question.accepting:
        verdict = replace(_verdict_of_expectation(said, question.expect, seen), retry_after=verdict.retry_after)
    if verdict.answer is Answer.DONE and question.measure is not None:
        return _measured(verdict, question.measure, seen)
    return _with_progress(verdict, reply, body, question, seen)


def _measured(verdict: Verdict, measure: Measure, seen: Mapping[str, Any]) -> Verdict:
    read = _READERS[measure.wants](measure.expression, seen)
    if read.value is None:
        return replace(verdict, answer=Answer.IN_PROGRESS, text=f"{verdict.text}, but {measure.field} {read.why}")
    return replace(verdict, value=read.value)


def _verdict_of_code(said: str, reply: Answered, body: Any) -> Verdict:
    meaning = reply.meaning
    generation = _generation_in(body) if meaning.refuses else None
    seen = "" if generation is None else f", it has seen generation {generation}"
    return Verdict(meaning.answer, f"{said}{meaning.words}{seen}", generation=generation, retry_after=reply.retry_after)


def _verdict_of_expectation(said: str, expect: str | None, seen: Mapping[str, Any]) -> Verdict:
    if expect is None:
        return Verdict(Answer.DONE, said)
    judged = evaluate_bool(expect, seen)
    if judged.value:
        return Verdict(Answer.DONE, said)
    reason = judged.why or f"{quoted(expect)} is not true yet"
    return Verdict(Answer.IN_PROGRESS, f"{said}, but expect {reason}")


def _with_progress(
    verdict: Verdict, reply: Answered, body: Any, question: Question, seen: Mapping[str, Any]
) -> Verdict:
    """The verdict with the number that tells how much is left; where it cannot be read the sentence says so."""
    if question.progress is None:
        number = _progress_in(body) if reply.meaning.answer is Answer.IN_PROGRESS else None
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
