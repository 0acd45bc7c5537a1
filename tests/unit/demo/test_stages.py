"""What each pod went through, from the operator's reports and from the pods."""

from __future__ import annotations

from e2e.demo.stages import Bar, bars_of
from tests.unit.demo.sides import POD, ours, plain


def test_under_a_statefulrollout_the_operator_tells_the_stages() -> None:
    assert bars_of(ours()) == [
        Bar(POD, "Serving", 90.0, 101.0),
        Bar(POD, "Draining", 101.0, 102.0),
        Bar(POD, "Starting", 104.0, 108.0),
        Bar(POD, "Updated", 108.0, 114.0),
    ]


def test_under_a_plain_statefulset_the_pods_tell_them() -> None:
    assert bars_of(plain()) == [
        Bar(POD, "Serving", 90.0, 101.0),
        Bar(POD, "Terminating", 101.0, 103.0),
        Bar(POD, "Starting", 104.0, 108.0),
        Bar(POD, "Updated", 108.0, 114.0),
    ]
