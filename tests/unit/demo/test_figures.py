"""The figures that the demo reports, and what it calls a broken promise."""

from __future__ import annotations

import pytest

from e2e.demo.figures import build_table, figures_of, problems_of
from e2e.load.records import Record
from tests.unit.demo.sides import GOOD, ours, plain

FAILED = Record(102.0, "client", "write", "key-7", "timeout", 5000.0)
LOST = Record(103.0, "client", "read", "key-8", "missing", 3.0)
WATCHED = Record(104.0, "watcher", "read", "key-0+99", "status-503", 4.0)


def test_result_json_has_exactly_these_fields() -> None:
    assert figures_of(plain([*GOOD, FAILED, LOST], keysLost=1)).as_json() == {
        "requests": 22,
        "failed": 1,
        "keysWritten": 50,
        "keysLost": 1,
        "keysStale": 0,
        "p99Ms": 5000.0,
        "lowestServing": 0,
        "seconds": 10.0,
    }


def test_requests_from_before_the_change_count_too() -> None:
    early = Record(96.0, "client", "read", "key-7", "closed", 1.0)
    assert figures_of(ours([early])).failed == 1


def test_nothing_wrong_is_no_problem() -> None:
    assert problems_of(ours()) == []


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (FAILED, "+2.0 s after the change: client's write of key-7: timeout (5000 ms)"),
        (LOST, "+3.0 s after the change: client's read of key-8: missing (3 ms)"),
        (WATCHED, "+4.0 s after the change: watcher's read of key-0+99: status-503 (4 ms)"),
    ],
)
def test_a_bad_request_is_named_whoever_made_it(record: Record, words: str) -> None:
    assert problems_of(ours([*GOOD, record])) == [words]


@pytest.mark.parametrize(
    ("field", "words"),
    [("keysLost", "3 keys lost"), ("keysStale", "3 keys stale"), ("keysUnread", "3 keys unreadable")],
)
def test_keys_that_only_the_last_sweep_misses_are_a_problem(field: str, words: str) -> None:
    assert problems_of(ours(GOOD, **{field: 3})) == [words]


def test_many_bad_requests_are_named_in_part_and_counted() -> None:
    problems = problems_of(ours([FAILED] * 25))
    assert (len(problems), problems[-1]) == (11, "and 15 more requests")


def test_the_table_has_a_column_for_each_side() -> None:
    table = build_table([("Plain", figures_of(plain([FAILED]))), ("Ours", figures_of(ours()))])
    rows = {line[:22].strip(): line[22:].split() for line in table.splitlines()}
    assert rows["failed requests"] == ["1", "0"]
    assert rows["requests"] == ["1", "20"]
    assert rows["duration"] == ["10", "s", "10", "s"]
    assert len({len(line) for line in table.splitlines()}) == 1
