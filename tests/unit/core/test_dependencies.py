"""What comes first: whether it is done, and whether two wait for each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from statefulrollout.core.dependencies import cycle_of, dependency_in_the_way, motion_of, unfinished_of
from statefulrollout.core.guards import Verdict, judge
from statefulrollout.core.ledger import Choice, Ledger
from statefulrollout.core.snapshot import PodView, StatefulSetView
from statefulrollout.core.validation import problems_of
from tests.builders import NOW, a_ledger, a_pod, a_rolling_set, a_set, a_snapshot, a_spec, pods
from tests.unit.core.guarded import CANDIDATE, CONDEMNED, STUCK, scene_of

DEPENDS: dict[str, Any] = {"dependsOn": [{"name": "etcd"}, {"name": "kafka"}]}
WHOLE = replace(a_set(3), updated=3, ready=3)


@pytest.mark.parametrize(
    ("unfinished", "target"),
    [
        ("", WHOLE),
        ("", replace(WHOLE, replicas=0, updated=0, ready=0)),
        ("StatefulSet db has just changed", replace(WHOLE, observed_generation=0)),
        ("revision v2 is not accepted yet", replace(WHOLE, update_revision="v2")),
        ("2 of 3 pods are updated and ready", replace(WHOLE, ready=2)),
        ("1 of 3 pods are updated and ready", replace(WHOLE, updated=1)),
    ],
)
def test_a_rollout_is_complete_when_its_revision_is_accepted_and_all_pods_are_ready(
    unfinished: str, target: StatefulSetView
) -> None:
    assert unfinished_of(target) == unfinished


@pytest.mark.parametrize(
    ("observed", "present", "unfinished"),
    [
        ("", {"etcd": (), "kafka": ()}, {"etcd": "", "kafka": ""}),
        (
            "kafka: revision k2 is not accepted yet",
            {"etcd": (), "kafka": ()},
            {"kafka": "revision k2 is not accepted yet"},
        ),
        ("there is no StatefulRollout etcd: create it, or remove it from spec.dependsOn", {"kafka": ()}, {}),
    ],
)
def test_the_first_that_is_not_complete_is_named(
    observed: str, present: dict[str, tuple[str, ...]], unfinished: dict[str, str]
) -> None:
    snapshot = replace(a_snapshot(a_set(), spec=a_spec(**DEPENDS)), dependencies=present, unfinished=unfinished)
    assert dependency_in_the_way(snapshot) == observed


@pytest.mark.parametrize(
    ("held", "candidate", "spec"),
    [
        (True, CANDIDATE, {}),
        (False, CONDEMNED, {}),
        (False, STUCK, {}),
        (False, a_pod("db-2").at("v2"), {"abort": {"revision": "v2"}}),
    ],
)
def test_only_what_moves_forward_waits(held: bool, candidate: PodView, spec: dict[str, Any]) -> None:
    others = pods(3) if candidate is CONDEMNED else pods(2)
    verdict = judge(*scene_of(candidate, others, **DEPENDS, **spec))
    missing = "there is no StatefulRollout etcd: create it, or remove it from spec.dependsOn"
    assert verdict == (Verdict("dependencies_are_complete", missing) if held else None)


@pytest.mark.parametrize(
    ("cycle", "dependencies"),
    [
        ((), {"a": ("b", "c"), "b": ("c",), "c": ()}),
        ((), {"a": ("b",), "b": ("c",), "c": ("b",)}),
        ((), {"a": ("gone",)}),
        (("a", "a"), {"a": ("a",)}),
        (("a", "b", "c", "a"), {"a": ("b",), "b": ("c",), "c": ("a",)}),
        (("a", "c", "a"), {"a": ("b", "c"), "b": (), "c": ("a",)}),
    ],
)
def test_a_circle_is_found_from_wherever_one_is_part_of_it(
    cycle: tuple[str, ...], dependencies: dict[str, tuple[str, ...]]
) -> None:
    assert cycle_of("a", dependencies) == cycle


def test_a_circle_is_refused_with_its_members() -> None:
    snapshot = a_snapshot(a_set(), *pods(3), spec=a_spec(dependsOn=[{"name": "etcd"}]))
    (problem,) = problems_of(replace(snapshot, dependencies={"db": ("etcd",), "etcd": ("db",)}))
    assert str(problem) == "spec.dependsOn: db waits for etcd waits for db: remove one of these dependencies"


@pytest.mark.parametrize(
    ("motion", "present", "ledger"),
    [
        ("", pods(3), None),
        ("", (*pods(2), a_pod("db-2").at("v2")), None),
        ("db-2 is Isolating", (*pods(2), a_pod("db-2").isolated("v2")), None),
        ("db-2 is Starting", (*pods(2), a_pod("db-2").at("v2").starting()), None),
        ("db-2 is Soaking", (*pods(2), a_pod("db-2").at("v2").serving_since(3)), None),
        ("db-1 is about to leave", pods(3), a_ledger(chosen=(Choice(uid="uid-db-1", version="71"),))),
        ("", pods(3), a_ledger(chosen=(Choice(uid="uid-db-1", version="an earlier one"),))),
    ],
)
def test_a_set_is_in_motion_while_a_pod_leaves_or_is_not_back(
    motion: str, present: tuple[PodView, ...], ledger: Ledger | None
) -> None:
    assert motion_of(a_snapshot(a_rolling_set(3), *present, ledger=ledger), NOW) == motion


def test_what_moves_forward_waits_for_the_others_of_its_group() -> None:
    scene, place = scene_of(group="shop")
    moving = replace(scene, snapshot=replace(scene.snapshot, motion="etcd-1 is Draining"))
    assert judge(moving, place) == Verdict("group_has_no_other_motion", "etcd-1 is Draining")
    scene, place = scene_of(CONDEMNED, pods(3), group="shop")
    assert judge(replace(scene, snapshot=replace(scene.snapshot, motion="etcd-1 is Draining")), place) is None
