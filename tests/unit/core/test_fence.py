"""Which `updateStrategy` stands when: the table of docs/design.md, and the ways from one fence to another."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from statefulrollout.api import names
from statefulrollout.core.fence import (
    STRATEGIES,
    UNREACHABLE,
    build_set_fence,
    fence_of,
    fence_of_way_back,
    kind_of,
)
from statefulrollout.core.snapshot import KUBELET_SECONDS, FenceKind, PodView
from statefulrollout.core.stages import places_of
from tests.builders import NOW, a_pod, a_rolling_set, a_set, a_snapshot, a_spec, pods

HOLD, FORWARD, ACCEPT, FOREIGN = FenceKind.HOLD, FenceKind.FORWARD, FenceKind.ACCEPT, FenceKind.FOREIGN
OLD, NEW = pods(3), pods(3, "v2")


@pytest.mark.parametrize(
    ("kind", "strategy"),
    [
        (FORWARD, {"type": "OnDelete"}),
        (HOLD, {"type": "RollingUpdate", "rollingUpdate": {"partition": UNREACHABLE}}),
        (HOLD, {"type": "RollingUpdate", "rollingUpdate": {"partition": UNREACHABLE, "maxUnavailable": 1}}),
        (ACCEPT, {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
        (ACCEPT, {"type": "RollingUpdate", "rollingUpdate": {}}),
        (ACCEPT, {"type": "RollingUpdate", "rollingUpdate": None}),
        (ACCEPT, {"type": "RollingUpdate"}),
        (ACCEPT, {}),
        (FOREIGN, {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}),
        (FOREIGN, {"type": "RollingUpdate", "rollingUpdate": {"partition": UNREACHABLE - 1}}),
    ],
)
def test_a_strategy_is_judged_by_what_it_does(kind: FenceKind, strategy: dict[str, object]) -> None:
    assert kind_of(strategy) is kind


class Row(NamedTuple):
    name: str
    stands: FenceKind
    wanted: FenceKind
    pods: tuple[PodView, ...]
    revision: str = "v2"
    may_move: bool = True
    may_accept: bool = True


ROWS = [
    Row("idle", HOLD, HOLD, OLD, revision="v1"),
    Row("idle, and somebody wrote partition 0", ACCEPT, HOLD, OLD, revision="v1"),
    Row("idle, and somebody wrote partition 3", FOREIGN, HOLD, OLD, revision="v1"),
    Row("idle, a pod is missing", FORWARD, HOLD, OLD[:2], revision="v1"),
    Row("the template went from A to B and back: pods of B come back at A", FORWARD, HOLD, NEW, revision="v1"),
    Row("a new template", HOLD, FORWARD, OLD),
    Row("a new template, and somebody wrote partition 0", ACCEPT, FORWARD, OLD),
    Row("a new template, and somebody wrote partition 3", FOREIGN, FORWARD, OLD),
    Row("half of the way", FORWARD, FORWARD, (*OLD[:2], NEW[2])),
    Row("a released pod is on its way back", FORWARD, FORWARD, OLD[:2]),
    Row("paused before anything moved", HOLD, HOLD, OLD, may_move=False),
    Row("paused while nothing is under way", FORWARD, HOLD, (*OLD[:2], NEW[2]), may_move=False),
    Row("paused, a pod is still on its way out", FORWARD, FORWARD, (*OLD[:2], OLD[2].isolated("v2")), may_move=False),
    Row("paused, the place of a released pod is vacant", FORWARD, FORWARD, OLD[:2], may_move=False),
    Row("paused, a pod is released", FORWARD, FORWARD, (*OLD[:2], OLD[2].let_go("v2")), may_move=False),
    Row("paused, a pod terminates", FORWARD, FORWARD, (*OLD[:2], OLD[2].deleted()), may_move=False),
    Row("paused and held, a pod dies: it comes back as it was", HOLD, HOLD, OLD[:2], may_move=False),
    Row("paused, a pod dies, and somebody wrote partition 0", ACCEPT, HOLD, OLD[:2], may_move=False),
    Row("failed", FORWARD, HOLD, (*OLD[:2], NEW[2].failing_probe()), may_move=False, may_accept=False),
    Row("failed at the last pod", FORWARD, FORWARD, NEW, may_move=False, may_accept=False),
    Row("all updated, the last still soaks", FORWARD, FORWARD, (*NEW[:2], NEW[2].serving_since(3))),
    Row("all updated, one is missing", FORWARD, FORWARD, NEW[:2]),
    Row("all updated, one is missing, while accepting", ACCEPT, FORWARD, NEW[:2]),
    Row("all soaked", FORWARD, ACCEPT, NEW),
    Row("all soaked, a check has not passed", FORWARD, FORWARD, NEW, may_accept=False),
    Row("all soaked while paused", HOLD, ACCEPT, NEW, may_move=False),
    Row("accepting", ACCEPT, ACCEPT, NEW),
    Row("accepting, and one loses its health", ACCEPT, FORWARD, (*NEW[:2], NEW[2].failing_probe())),
    Row("all soaked, a condemned one is still there", FORWARD, ACCEPT, (*NEW, a_pod("db-3"))),
    Row("scaled to zero", FORWARD, ACCEPT, ()),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_fence_follows_the_table(row: Row) -> None:
    replicas = 0 if row.name == "scaled to zero" else 3
    target = a_set(replicas, wanted=row.revision, fence=row.stands)
    places = places_of(a_snapshot(target, *row.pods), NOW)
    assert fence_of(target, places, may_move=row.may_move, may_accept=row.may_accept) is row.wanted


class WayBack(NamedTuple):
    """`updated` and `ready` are what the StatefulSet controller has counted."""

    name: str
    stands: FenceKind
    wanted: FenceKind
    pods: tuple[PodView, ...]
    updated: int
    ready: int = 3
    observed: bool = True


CLOSED = a_pod("db-2").at("v2").isolated("v1")
LEAVING = CLOSED.condition(names.SERVING, False, 3).condition("Ready", False, 3)
JUST_CLOSED = CLOSED.condition(names.SERVING, False, 2).condition("Ready", False, 3)
LONG_CLOSED = CLOSED.condition(names.SERVING, False, KUBELET_SECONDS).condition("Ready", False, 60)
NEVER_OPEN = a_pod("db-2").at("v2").came_back()
UNGATED = NEVER_OPEN.ungated()
WAYS_BACK = [
    WayBack("some have not moved", FORWARD, HOLD, (*OLD[:2], NEW[2]), updated=1),
    WayBack("some have not moved, and somebody wrote partition 0", ACCEPT, HOLD, (*OLD[:2], NEW[2]), updated=1),
    WayBack("all have moved and serve", FORWARD, FORWARD, NEW, updated=3),
    WayBack("all have moved and serve, and are just being accepted", ACCEPT, FORWARD, NEW, updated=3),
    WayBack("one has left service, and is not counted yet", FORWARD, FORWARD, (*NEW[:2], LEAVING), updated=3),
    WayBack("one has left service, and that is counted", FORWARD, HOLD, (*NEW[:2], LEAVING), updated=3, ready=2),
    WayBack("one has left service while it was not ready", FORWARD, FORWARD, (*NEW[:2], JUST_CLOSED), 3, ready=2),
    WayBack("one has been out of service for long", FORWARD, HOLD, (*NEW[:2], LONG_CLOSED), updated=3, ready=2),
    WayBack("one has never been in service", FORWARD, HOLD, (*NEW[:2], NEVER_OPEN), updated=3, ready=2),
    WayBack("one without a gate is not ready", FORWARD, FORWARD, (*NEW[:2], UNGATED), updated=3, ready=2),
    WayBack("one terminates", FORWARD, HOLD, (*NEW[:2], NEW[2].deleted()), updated=2),
    WayBack("one is missing", FORWARD, FORWARD, NEW[:2], updated=2, ready=2),
    WayBack("one is counted as lost that serves again", FORWARD, FORWARD, NEW, updated=3, ready=2),
    WayBack("what was counted is of an earlier spec", FORWARD, FORWARD, (*NEW[:2], LEAVING), 3, 2, observed=False),
    WayBack("one is at the accepted revision again", HOLD, HOLD, (*NEW[:2], OLD[2]), updated=3),
    WayBack("all are at the accepted revision again", HOLD, HOLD, OLD, updated=0),
]


@pytest.mark.parametrize("row", WAYS_BACK, ids=lambda row: row.name)
def test_on_the_way_back_it_holds_once_the_revision_cannot_be_accepted_by_that(row: WayBack) -> None:
    seen = 7 if row.observed else 6
    target = a_rolling_set(fence=row.stands, updated=row.updated, ready=row.ready, observed_generation=seen)
    places = places_of(a_snapshot(target, *row.pods, spec=a_spec(abort={"revision": "v2"})), NOW)
    assert fence_of_way_back(target, places, NOW) is row.wanted


@pytest.mark.parametrize("kind", [HOLD, FORWARD, ACCEPT])
def test_a_fence_that_stands_is_left_alone(kind: FenceKind) -> None:
    assert build_set_fence(a_set(fence=kind), kind, ours=True) is None


@pytest.mark.parametrize(
    ("stands", "wanted", "reason"),
    [
        (HOLD, FORWARD, "RolloutMoves"),
        (FOREIGN, FORWARD, "RolloutMoves"),
        (FORWARD, ACCEPT, "RevisionAccepted"),
        (ACCEPT, HOLD, "RolloutComplete"),
        (FORWARD, HOLD, "FenceHolds"),
        (FOREIGN, HOLD, "FenceHolds"),
    ],
)
def test_a_fence_is_replaced_as_a_whole_and_says_why(stands: FenceKind, wanted: FenceKind, reason: str) -> None:
    target = a_rolling_set(fence=stands)
    change = build_set_fence(target, wanted, ours=True)
    assert change is not None
    assert change.strategy == STRATEGIES[wanted]
    assert change.reason == reason
    assert kind_of(change.strategy) is wanted


@pytest.mark.parametrize(
    ("ours", "writers", "reason", "named"),
    [
        (True, ("helm", "kubectl"), "FenceHolds", True),
        (True, (), "RolloutComplete", False),
        (False, ("helm", "kubectl"), "FenceHolds", False),
        (False, (), "FenceHolds", False),
    ],
)
def test_whoever_wrote_over_our_strategy_is_named(
    ours: bool, writers: tuple[str, ...], reason: str, named: bool
) -> None:
    change = build_set_fence(a_set(fence=ACCEPT, strategy_writers=writers), HOLD, ours=ours)
    assert change is not None
    assert change.reason == reason
    assert ("had been written by helm, kubectl" in change.message) is named
