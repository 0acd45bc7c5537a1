"""What the operator does after an outage, and the memory that it took."""

from __future__ import annotations

import pytest

from bench.legs import first_deed
from bench.memory import peak_mib_in
from e2e.harness.journal import PODS, Change
from statefulrollout.api import names


def a_moment(name: str, at: float, *true: str) -> Change:
    conditions = [{"type": kind, "status": "True"} for kind in true]
    return Change(at, "MODIFIED", PODS, {"metadata": {"name": name}, "status": {"conditions": conditions}})


def test_the_first_deed_is_what_the_operator_did_and_not_what_became_of_a_pod() -> None:
    up = ("ContainersReady", names.SERVING, "Ready")
    changes = [
        a_moment("db-1", 1.0, *up),
        a_moment("db-1", 2.0, "ContainersReady", "Ready"),
        a_moment("db-1", 3.0, "ContainersReady"),
        Change(4.0, "DELETED", PODS, {"metadata": {"name": "db-1"}, "status": {}}),
        a_moment("db-1", 5.0, *up),
        a_moment("db-1", 6.0, *up, names.RELEASED),
    ]
    assert [first_deed(changes, after) for after in (0.0, 2.0, 6.0)] == [2.0, 6.0, None]


def test_the_peak_of_the_memory_is_a_line_of_the_status_of_a_process() -> None:
    assert peak_mib_in("Name:\tpython\nVmHWM:\t  102400 kB\nVmRSS:\t 1 kB\n") == 100
    with pytest.raises(AssertionError):
        peak_mib_in("")
