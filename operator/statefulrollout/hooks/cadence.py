"""How often an application is asked: pure arithmetic over the answers so far.

Quick where work advances, gentle where it is refused, slow where only a human can help.
"""

from __future__ import annotations

from dataclasses import dataclass

from statefulrollout.core.asks import Answer


@dataclass(frozen=True)
class Cadence:
    """The pauses between two requests of one ask, all in seconds.

    Attributes:
        progress_first: after the first answer "in progress".
        progress_growth: factor from one such answer to the next.
        progress_most: upper bound of it.
        retry_first: after the first "not now" or error; at random up to as much again is added.
        retry_growth: factor from one such answer to the next.
        retry_most: upper bound of it, before the random part.
        misconfigured: after an answer that only another spec or application can change.
        unsettled: between requests of a check that is failing or not yet stable, and of any ask while it proves stable.
        settled: between requests of a check that passes.
        retry_after_least: lower bound of what an application may ask for by Retry-After.
        retry_after_most: upper bound of it.
    """

    progress_first: float = 0.2
    progress_growth: float = 1.25
    progress_most: float = 2.0
    retry_first: float = 0.5
    retry_growth: float = 2.0
    retry_most: float = 10.0
    misconfigured: float = 10.0
    unsettled: float = 1.0
    settled: float = 2.0
    retry_after_least: float = 0.1
    retry_after_most: float = 30.0

    def pause(self, answer: Answer, *, repeats: bool, streak: int, retry_after: float | None, chance: float) -> float:
        """Seconds until the next request.

        Args:
            answer: what the last one meant, before any wish for stability.
            repeats: the ask is a check.
            streak: how many answers with this meaning came in a row, the last one included.
            retry_after: what the application asked for, where it did.
            chance: a random number from 0 to 1, so that many asks do not come back in step.
        """
        if answer is Answer.MISCONFIGURED:
            return self.misconfigured
        if retry_after is not None:
            return min(max(retry_after, self.retry_after_least), self.retry_after_most)
        if repeats or answer is Answer.DONE:
            return self.unsettled
        steps = min(streak - 1, 32)
        if answer is Answer.IN_PROGRESS:
            return min(self.progress_first * self.progress_growth**steps, self.progress_most)
        return min(self.retry_first * self.retry_growth**steps, self.retry_most) * (1 + chance)
