"""Keeps exactly the asks open that the plan lists: one task each, reports kept, the rollout woken on news.

What is said and what it means is left to `conversation.py` and `protocol.py`. Nothing here decides what becomes of
a rollout, and nothing is remembered beyond the asks that are listed.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from statefulrollout.core.asks import Address, Ask, Report, Request
from statefulrollout.hooks.cadence import Cadence
from statefulrollout.hooks.conversation import Conversation
from statefulrollout.hooks.reach import Reach
from statefulrollout.hooks.replies import NoReply, Outcome

Key = tuple[str, str]
"""Namespace and name of a StatefulSet."""

MOST_REQUESTS = 800
"""Requests in flight at one time, over all rollouts: a process may have 1,024 files open at least, and has others."""

SHARE = 4
"""No rollout takes more than one part in so many of them, so that one that hangs does not starve the others."""

log = structlog.get_logger(__name__)


class Hooks(Protocol):
    """What a reconciler needs of whoever asks the application."""

    def sync(self, key: Key, asks: Sequence[Ask]) -> None:
        """Make exactly these asks open for this rollout; none closes all."""
        ...

    def reports(self, key: Key) -> Mapping[str, Report]:
        """The latest report of each listed ask that has been answered, by ask id."""
        ...

    @property
    def may_exec(self) -> bool:
        """Whether commands are run in pods."""
        ...


@dataclass
class _Open:
    conversation: Conversation
    task: asyncio.Task[None]


@dataclass
class _Rollout:
    share: asyncio.Semaphore
    opened: dict[str, _Open] = field(default_factory=dict)


class HookRunner(Hooks):
    """Runs the asks of all rollouts.

    * An ask whose answer is final keeps its report while it is listed, whatever else changes in it: it was answered.
    * An ask listed again with other bodies, variables or title goes on; the new ones count from the next request.
      What has been accepted is not sent again.
    * Any other change (addresses, path, expressions, times) asks anew from the beginning. The report is dropped until
      the new answer; how far the progress had come is not.
    * `wake` is called when answer, progress, text or generation of a report differ from the one before, or what was
      measured. A number differs all the time, and does not count: whoever needs it looks again.
    * Nothing is sent where `may_ask` says no, as it does on a replica that does not lead any more.
    """

    def __init__(
        self,
        reach: Reach,
        wake: Callable[[Key], None],
        may_ask: Callable[[], bool],
        clock: Callable[[], float] = time.time,
        *,
        cadence: Cadence | None = None,
        most_requests: int = MOST_REQUESTS,
    ) -> None:
        self._reach = reach
        self._wake = wake
        self._may_ask = may_ask
        self._clock = clock
        self._cadence = cadence or Cadence()
        self._most_requests = most_requests
        self._slots = asyncio.Semaphore(most_requests)
        self._rollouts: dict[Key, _Rollout] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def sync(self, key: Key, asks: Sequence[Ask]) -> None:
        """See `Hooks`. Returns at once; requests of asks that are no longer listed are cancelled in flight."""
        wanted = {ask.id: ask for ask in asks}
        rollout = self._rollouts.get(key)
        if rollout is None:
            if not wanted:
                return
            rollout = self._rollouts[key] = _Rollout(asyncio.Semaphore(max(1, self._most_requests // SHARE)))
        for gone in rollout.opened.keys() - wanted.keys():
            rollout.opened.pop(gone).task.cancel()
        for ask in wanted.values():
            self._list(key, rollout, ask)
        if not rollout.opened:
            del self._rollouts[key]

    def reports(self, key: Key) -> Mapping[str, Report]:
        """See `Hooks`."""
        rollout = self._rollouts.get(key)
        if rollout is None:
            return {}
        latest = ((ask_id, opened.conversation.report) for ask_id, opened in rollout.opened.items())
        return {ask_id: report for ask_id, report in latest if report is not None}

    @property
    def may_exec(self) -> bool:
        """See `Hooks`."""
        return self._reach.execute is not None

    async def aclose(self) -> None:
        """Stop asking, and return once no request is in flight."""
        self._rollouts.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _list(self, key: Key, rollout: _Rollout, ask: Ask) -> None:
        opened = rollout.opened.get(ask.id)
        if opened is None:
            rollout.opened[ask.id] = self._open(key, rollout, ask, after=None)
            return
        if opened.task.done() or _essence_of(opened.conversation.ask) == _essence_of(ask):
            opened.conversation.ask = ask
            return
        opened.task.cancel()
        rollout.opened[ask.id] = self._open(key, rollout, ask, after=opened.conversation)

    def _open(self, key: Key, rollout: _Rollout, ask: Ask, *, after: Conversation | None) -> _Open:
        told: Report | None = None

        def publish(report: Report) -> None:
            nonlocal told
            is_news = told is None or _news_of(told) != _news_of(report)
            told = report
            if is_news:
                self._wake(key)

        async def send(request: Request) -> Sequence[Outcome]:
            async with asyncio.TaskGroup() as group:
                calls = [
                    group.create_task(self._call(key[0], rollout.share, request, address)) for address in request.to
                ]
            return [call.result() for call in calls]

        conversation = Conversation(
            ask, send=send, publish=publish, clock=self._clock, cadence=self._cadence, after=after
        )
        task = asyncio.create_task(self._converse(conversation), name=f"hook {ask.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return _Open(conversation, task)

    async def _converse(self, conversation: Conversation) -> None:
        """Run the conversation; after a mistake of our own, say so and begin again."""
        while True:
            try:
                await conversation.run()
            except Exception as error:
                # The exception's message may quote an answer, its place in our code cannot.
                where = "".join(traceback.format_tb(error.__traceback__))
                log.error("ask broke", ask=conversation.ask.id, error=type(error).__name__, where=where)  # noqa: TRY400
                conversation.say_broken()
                await asyncio.sleep(self._cadence.retry_most)
            else:
                return

    async def _call(self, namespace: str, share: asyncio.Semaphore, request: Request, address: Address) -> Outcome:
        async with share, self._slots:
            if not self._may_ask():
                return NoReply("another replica leads by now")
            return await self._reach.call(namespace, request, address)


def _news_of(report: Report) -> tuple[object, ...]:
    measured = None if isinstance(report.value, float) else report.value
    return report.answer, report.progress, report.text, report.generation, measured


def _essence_of(ask: Ask) -> Ask:
    """The ask without what may change while it stays the same conversation."""
    done_request = None if ask.done_request is None else replace(ask.done_request, body=None)
    return replace(ask, title="", variables={}, request=replace(ask.request, body=None), done_request=done_request)
