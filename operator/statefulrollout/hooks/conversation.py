"""One ask from its first request to its final answer.

Phases: the request until it is accepted, the time to settle, the `done` request until it is good, and good for as
long as it must stay so. How a request travels and who hears of a report is given from outside; what an answer means
is `protocol.py`, how soon to ask again is `cadence.py`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from statefulrollout.core.asks import Answer, Ask, Report, Request
from statefulrollout.hooks.cadence import Cadence
from statefulrollout.hooks.protocol import Question, Verdict, question_of_apply, question_of_done, verdict_of
from statefulrollout.hooks.replies import Outcome

Send = Callable[[Request], Awaitable[Sequence[Outcome]]]
Phase = Callable[[Ask], tuple[Request, Question]]


class Conversation:
    """The state of one open ask.

    With `done`, the request has only to be accepted (200, 202 or 204, and `expect` true where it is given). Without
    it, the request itself is repeated until it is good. The time an answer must stay good is the longer of the
    ask's own and that of `done`; it begins with the first of the good answers, which is also what `Report.since`
    says of a DONE. While it settles, or proves stable, the report is IN_PROGRESS. A conversation that replaces another
    of the same ask, `after`, goes on from how far the progress had come.

    Attributes:
        ask: may be replaced by one that differs in bodies, variables or titles; it counts from the next request.
        report: the latest word, None before the first answer.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        send: Send,
        publish: Callable[[Report], None],
        clock: Callable[[], float],
        cadence: Cadence,
        after: Conversation | None = None,
    ) -> None:
        self.ask = ask
        self.report: Report | None = None
        self._send = send
        self._publish = publish
        self._clock = clock
        self._cadence = cadence
        self._progress: float | None = after._progress if after else None
        self._progressed: float = after._progressed if after else clock()

    async def run(self) -> None:
        """Ask until the answer is final. A check never ends; it is cancelled."""
        ask = self.ask
        if ask.done_request is not None or ask.settle_seconds > 0:
            accepted = await self._until_good(_apply, stable_seconds=0, final=False)
            await self._settle(accepted)
            if ask.done_request is None and ask.stable_for_seconds == 0:
                self._say(Answer.DONE, accepted)
                return
        stable_seconds = max(ask.stable_for_seconds, ask.done.stable_for_seconds if ask.done else 0)
        phase = _apply if ask.done_request is None else _done
        await self._until_good(phase, stable_seconds=stable_seconds, final=True)

    def say_broken(self) -> None:
        """Report an error of the operator itself, so that a mistake of ours is seen where one waits for it."""
        self._say(Answer.ERROR, Verdict(Answer.ERROR, f"{self.ask.request.label} failed: an error in the operator"))

    async def _settle(self, accepted: Verdict) -> None:
        seconds = self.ask.settle_seconds
        if seconds > 0:
            self._say(Answer.IN_PROGRESS, accepted, f"{accepted.text}; settling for {seconds} s")
            await asyncio.sleep(seconds)

    async def _until_good(self, phase: Phase, *, stable_seconds: float, final: bool) -> Verdict:
        """Send the phase's request until it is good for long enough; for a check, for ever."""
        good_since: float | None = None
        last: Answer | None = None
        streak = 0
        while True:
            request, question = phase(self.ask)
            verdict = verdict_of(request, await self._send(request), question)
            streak = streak + 1 if verdict.answer is last else 1
            last = verdict.answer
            pause = self._pause_after(verdict, streak)
            if verdict.answer is not Answer.DONE:
                good_since = None
                self._say(verdict.answer, verdict)
            elif not final:
                return verdict
            else:
                good_since = self._clock() if good_since is None else good_since
                left = good_since + stable_seconds - self._clock()
                if left > 0:
                    self._say(Answer.IN_PROGRESS, verdict, f"{verdict.text}; must stay so for {stable_seconds:g} s")
                    pause = min(pause, left)
                else:
                    self._say(Answer.DONE, verdict, since=good_since)
                    if not self.ask.repeats:
                        return verdict
                    pause = self._cadence.settled
            await asyncio.sleep(pause)

    def _pause_after(self, verdict: Verdict, streak: int) -> float:
        chance = random.random()  # noqa: S311 - spreads requests over time, guards nothing
        return self._cadence.pause(
            verdict.answer,
            repeats=self.ask.repeats,
            streak=streak,
            retry_after=verdict.retry_after,
            chance=chance,
        )

    def _say(self, answer: Answer, verdict: Verdict, text: str | None = None, *, since: float | None = None) -> None:
        now = self._clock()
        before = self.report
        if since is None:
            since = before.since if before is not None and before.answer is answer else now
        number = verdict.progress
        if number is not None:
            if self._progress is not None and number < self._progress:
                self._progressed = now
            self._progress = number
        self.report = Report(
            answer=answer,
            at=now,
            since=since,
            text=text or verdict.text,
            progress=self._progress,
            value=verdict.value,
            progressed=self._progressed,
            generation=verdict.generation,
        )
        self._publish(self.report)


def _apply(ask: Ask) -> tuple[Request, Question]:
    return ask.request, question_of_apply(ask)


def _done(ask: Ask) -> tuple[Request, Question]:
    if ask.done_request is None:
        raise ValueError(f"{ask.id} has no done_request")
    return ask.done_request, question_of_done(ask)
