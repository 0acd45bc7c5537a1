"""Whether something follows from what was done before others have answered."""

from __future__ import annotations

import pytest

from statefulrollout.api import names
from statefulrollout.core.actions import (
    Action,
    Change,
    MarkPod,
    RemoveBudget,
    RemovePod,
    UpdateInPlace,
    WriteLedger,
    awaits_others,
)
from statefulrollout.core.snapshot import Facts, PodView
from tests.builders import a_ledger, a_pod

SERVES = a_pod("db-1")
SHUT = a_pod("db-2").isolated("v2")
LEDGER = WriteLedger(a_ledger())
REMOVE = RemovePod(SHUT, "PodRemoved", "")
IN_PLACE = UpdateInPlace(SHUT, "v2", Change({"store": "db:2"}), Facts(), "PodUpdatedInPlace", "")


def marked(pod: PodView, **conditions: bool) -> MarkPod:
    return MarkPod(pod, "", "", {getattr(names, kind.upper()): value for kind, value in conditions.items()})


@pytest.mark.parametrize(
    ("awaits", "actions"),
    [
        (False, []),
        (False, [LEDGER]),
        (True, [marked(SERVES, serving=False)]),
        (True, [LEDGER, marked(SERVES, serving=False)]),
        (True, [marked(SHUT, serving=True)]),
        (True, [REMOVE]),
        (True, [IN_PLACE]),
        (True, [marked(SHUT, released=True), REMOVE]),
        (False, [marked(SHUT, released=True)]),
        (False, [marked(SHUT, drained=True)]),
        (False, [marked(SHUT, drained=True), marked(SERVES, serving=False)]),
        (False, [marked(SHUT.condition("Ready", False), serving=False)]),
        (False, [marked(SHUT.condition("ContainersReady", False), serving=True)]),
        (False, [RemoveBudget("db-statefulrollout-in-motion", "u"), REMOVE]),
    ],
)
def test_it_is_for_others_to_go_on_with_a_gate_that_was_moved_and_a_pod_that_goes(
    awaits: bool, actions: list[Action]
) -> None:
    assert awaits_others(actions) is awaits
