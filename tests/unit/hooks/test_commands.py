"""Commands in containers: what the hook client makes of their end, and of everything that can go wrong on the way."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from statefulrollout.api.v1alpha1 import Exec
from statefulrollout.core.asks import Address, Answer, Request
from statefulrollout.errors import NotFound, Unavailable, api_error_of
from statefulrollout.hooks.commands import call_exec
from statefulrollout.hooks.replies import MOST_BYTES, Exit, NoReply
from statefulrollout.hooks.runner import HookRunner
from tests.unit.hooks.application import FAST, KEY, Listener, ask_of, reach_of

DRAIN = Exec(container="store", command=["ctl", "drain"])
POD = Address("kvstore-3", "10.0.0.4", 0, "uid-3")
REQUEST = Request(DRAIN, (POD,), 1, body='{"hook": "drain"}')


class Container:
    """Where commands end as they are told to: with code and output, with an error, or never (None)."""

    def __init__(self, *ends: tuple[int, bytes] | Exception | None) -> None:
        self.ends = list(ends)
        self.ran: list[tuple[str, Address, Exec, str]] = []

    async def __call__(
        self, namespace: str, address: Address, command: Exec, stdin: str, *, most_bytes: int
    ) -> tuple[int, bytes]:
        self.ran.append((namespace, address, command, stdin))
        end = self.ends.pop(0)
        if end is None:
            await asyncio.get_running_loop().create_future()
        if isinstance(end, Exception):
            raise end
        assert end is not None
        return end[0], end[1][:most_bytes]


async def test_a_command_runs_in_the_pod_with_the_document_on_its_input() -> None:
    container = Container((75, b'{"progress": 3}'))
    assert await call_exec(container, "shop", DRAIN, REQUEST, POD) == Exit(75, b'{"progress": 3}')
    assert container.ran == [("shop", POD, DRAIN, '{"hook": "drain"}')]


@pytest.mark.parametrize(
    ("end", "reply"),
    [
        (None, NoReply("timed out after 1 s")),
        (NotFound(404, {}), NoReply("the pod is gone, or the container does not run")),
        (api_error_of(500, {"message": "kubelet says no"}), NoReply("the API server answered 500")),
        (Unavailable("broken"), NoReply("the connection to the pod broke")),
        (
            api_error_of(403, {}),
            NoReply("the operator's role does not let it run commands in pods", misconfigured=True),
        ),
        ((0, b"x" * (MOST_BYTES + 1)), NoReply("it printed more than 64 KiB")),
    ],
)
async def test_what_goes_wrong_is_said_in_words(end: tuple[int, bytes] | Exception | None, reply: NoReply) -> None:
    assert await call_exec(Container(end), "shop", DRAIN, REQUEST, POD) == reply


async def test_the_most_that_may_be_printed_is_read() -> None:
    printed = b"x" * MOST_BYTES
    assert await call_exec(Container((0, printed)), "shop", DRAIN, REQUEST, POD) == Exit(0, printed)


async def test_an_ask_by_command_is_repeated_until_it_is_done(
    session: aiohttp.ClientSession, listener: Listener
) -> None:
    container = Container((1, b""), (75, b'{"progress": 3}'), (0, b""))
    runner = listener.runner = HookRunner(reach_of(session, container), listener, lambda: True, cadence=FAST)
    assert runner.may_exec
    runner.sync(KEY, [ask_of(REQUEST)])
    await listener.until(lambda reports: any(report.answer is Answer.DONE for report in reports.values()))
    await runner.aclose()
    assert [report.answer for report in listener.heard] == [Answer.ERROR, Answer.IN_PROGRESS, Answer.DONE]
    assert {ran[0] for ran in container.ran} == {KEY[0]}


async def test_without_the_means_nothing_is_run(session: aiohttp.ClientSession, listener: Listener) -> None:
    runner = listener.runner = HookRunner(reach_of(session), listener, lambda: True, cadence=FAST)
    assert not runner.may_exec
    runner.sync(KEY, [ask_of(REQUEST)])
    reports = await listener.until(bool)
    await runner.aclose()
    (report,) = reports.values()
    assert report.answer is Answer.MISCONFIGURED
