"""The example that docs/hooks.md gives to application authors does what the page says."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from statefulrollout.core.asks import Address, Answer
from statefulrollout.hooks.credentials import NO_CREDENTIALS
from statefulrollout.hooks.http import call_http
from statefulrollout.hooks.protocol import Question, Verdict, verdict_of
from statefulrollout.hooks.replies import Exit, Reply
from tests.unit.hooks.application import Application, http_of, request_to

PAGE = (Path(__file__).parents[3] / "docs" / "hooks.md").read_text()


def example() -> tuple[dict[str, Any], Address]:
    """The Python of the page, running on a free port."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 1
    code = blocks[0].replace('("", 9000)', '("127.0.0.1", 0)')
    namespace: dict[str, Any] = {}
    exec(compile(code, "docs/hooks.md", "exec"), namespace)
    namespace["Admin"].log_message = lambda *_: None
    return namespace, Address("kvstore-3", "127.0.0.1", namespace["admin"].server_port)


async def test_the_example_drains(session: aiohttp.ClientSession, pod: Application) -> None:
    application, address = example()
    draining: threading.Event = application["draining"]

    async def ask(method: str, path: str = "/drain") -> Verdict:
        request = request_to(pod, path=path, method=method, body="{}")
        reply = await call_http(session, http_of(request), request, address, NO_CREDENTIALS)
        return verdict_of(request, [reply], Question())

    assert (await ask("POST", "/drian")).answer is Answer.MISCONFIGURED
    assert (await ask("DELETE")).answer is Answer.DONE
    application["in_flight"] = 3
    begun = await ask("POST")
    assert (begun.answer, begun.progress) == (Answer.IN_PROGRESS, 3.0)
    assert draining.is_set()
    application["in_flight"] = 0
    assert (await ask("POST")).answer is Answer.DONE
    assert (await ask("DELETE")).answer is Answer.DONE
    assert not draining.is_set()
    application["admin"].shutdown()
    application["admin"].server_close()


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("`200`, `204`", Answer.DONE),
        ("`202`", Answer.IN_PROGRESS),
        ("`409`, `423`, `503`", Answer.NOT_NOW),
        ("`404`, `405`, `501`", Answer.MISCONFIGURED),
    ],
)
def test_the_table_of_codes_is_true(code: str, meaning: Answer) -> None:
    assert f"| {code} |" in PAGE
    for status in re.findall(r"\d+", code):
        assert verdict_of(request_to(Application()), [Reply(int(status))], Question()).answer is meaning


@pytest.mark.parametrize(
    ("code", "meaning"),
    [("`0`", Answer.DONE), ("`75`", Answer.IN_PROGRESS), ("`126`, `127`", Answer.MISCONFIGURED)],
)
def test_the_table_of_exit_codes_is_true(code: str, meaning: Answer) -> None:
    assert f"| {code} |" in PAGE
    for number in re.findall(r"\d+", code):
        assert verdict_of(request_to(Application()), [Exit(int(number))], Question()).answer is meaning
