"""The application that answers slowly: what it says, what it counts, and the rollout that asks it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from bench import slow_application
from bench.cases import Case, build_rollout
from bench.slow_server import SlowServer
from statefulrollout.core.validation import parse_spec

PACE = slow_application.Pace(answer_seconds=1.5, unfinished_answers=3)
CASE = Case(20, 20, 0.0, 0.0, ours=True, drains_for=PACE.drain_seconds)


def a_question(name: str) -> bytes:
    return json.dumps({"id": name}).encode()


async def test_a_question_is_answered_so_often_with_in_progress_and_then_with_done() -> None:
    server = SlowServer(0.0, 2)
    statuses = [(await server.answer("POST", a_question("a")))[0] for _ in range(4)]
    assert statuses == [202, 202, 200, 200]
    assert await server.answer("POST", a_question("b")) == (202, {"progress": 2})


async def test_the_server_counts_what_is_in_flight() -> None:
    server = SlowServer(0.01, 0)
    await asyncio.gather(*(server.answer("POST", a_question(name)) for name in "abc"))
    await server.answer("POST", a_question("d"))
    assert await server.answer("GET", b"") == (200, {"requests": 4, "mostInFlight": 3})


async def test_the_server_speaks_http() -> None:
    slow = SlowServer(0.0, 0)
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        body = a_question("a")
        writer.write(b"POST /drain HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        answer = (await reader.read()).decode()
        writer.close()
    assert answer.startswith("HTTP/1.1 200 ")
    assert answer.endswith('\r\n\r\n{"progress": 0}')


@pytest.mark.parametrize("budget", [5, 20])
def test_a_rollout_that_drains_is_what_the_operator_accepts(budget: int) -> None:
    spec = build_rollout(replace(CASE, budget=budget))["spec"]
    assert not isinstance(parse_spec(spec), tuple)
    assert "drain" in spec
    assert spec["strategy"].get("allowFullOutage", False) == (budget == 20)


def test_the_ideal_has_the_time_of_the_application_in_it() -> None:
    assert CASE.ideal_seconds == 6.0


def test_the_program_of_the_pod_is_the_server() -> None:
    program, pod, _ = slow_application.build(PACE)
    assert "class SlowServer" in program["data"]["slow_server.py"]
    assert pod["spec"]["containers"][0]["args"] == ["9000", "1.5", "3"]
