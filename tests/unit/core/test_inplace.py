"""When a pod may go on in place, what is written for that, and how it is known that its containers are new."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from statefulrollout.core.actions import Change
from statefulrollout.core.inplace import Verdict, verdict_of
from statefulrollout.core.snapshot import Facts, PodView, Restart
from statefulrollout.core.stages import Stage, broken_reason_of, places_of
from tests.builders import NOW, STORE, APod, a_pod, a_rolling_set, a_snapshot, a_spec, pods

IN_PLACE = {"podUpdate": "InPlaceIfPossible"}
OLD: dict[str, Any] = {
    "metadata": {"labels": {"app": "db", "tier": "a"}, "annotations": {"note": "1"}},
    "spec": {
        "terminationGracePeriodSeconds": 30,
        "initContainers": [{"name": "init", "image": "init:1"}],
        "containers": [
            {"name": STORE, "image": "db:1", "env": [{"name": "A", "value": "1"}]},
            {"name": "log", "image": "log:1"},
        ],
    },
}
LEAVING = a_pod("db-2").migrated("v2")


def changed(path: str, value: object) -> dict[str, Any]:
    """The old template with something else at the path; numbers index lists, and None takes the field away."""
    template = copy.deepcopy(OLD)
    place: Any = template
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return template


def verdict(new: dict[str, Any] | None, pod: PodView = LEAVING, **strategy: Any) -> Verdict:
    snapshot = a_snapshot(a_rolling_set(), *pods(2), pod, spec=a_spec(strategy={**IN_PLACE, **strategy}))
    snapshot = replace(snapshot, templates={"v1": OLD} if new is None else {"v1": OLD, "v2": new})
    place = next(place for place in places_of(snapshot, NOW) if place.pod.uid == pod.uid)
    return verdict_of(snapshot, place)


IMAGE = changed("spec.containers.0.image", "db:2")


def test_another_image_is_written() -> None:
    assert verdict(IMAGE) == Verdict(Change({STORE: "db:2"}))
    assert verdict(IMAGE, podUpdate="Recreate") == Verdict()


def test_labels_and_annotations_go_with_it() -> None:
    template = copy.deepcopy(IMAGE)
    template["metadata"] = {"labels": {"app": "db", "new": "b"}, "annotations": {"note": "2"}}
    found = verdict(template).change
    assert found is not None
    assert found.labels == {"new": "b", "tier": None}
    assert found.annotations == {"note": "2"}


@pytest.mark.parametrize(
    ("why", "new"),
    [
        ("spec.containers[store].env differs", changed("spec.containers.0.env", [])),
        ("spec.containers[store].env differs", changed("spec.containers.0.env", None)),
        ("spec.containers[log].ports differs", changed("spec.containers.1.ports", [])),
        ("spec.containers differs", changed("spec.containers", OLD["spec"]["containers"][:1])),
        ("spec.containers differs", changed("spec.containers", OLD["spec"]["containers"][::-1])),
        ("spec.initContainers differs", changed("spec.initContainers.0.image", "init:2")),
        ("spec.terminationGracePeriodSeconds differs", changed("spec.terminationGracePeriodSeconds", 60)),
        ("no image differs, so a restart is meant", changed("metadata.annotations.note", "2")),
        ("the ControllerRevision of its revision is gone", None),
        (f"container {STORE}, which a hook addresses, would not restart", changed("spec.containers.1.image", "log:2")),
    ],
)
def test_anything_else_is_re_created_and_says_why(why: str, new: dict[str, Any] | None) -> None:
    assert verdict(new) == Verdict(why_not=why)


@pytest.mark.parametrize(
    ("why", "pod"),
    [
        ("the pod has no readiness gate", LEAVING.ungated()),
        ("the pod is broken", a_pod("db-2").isolated("v2", stuck=True)),
        ("", a_pod("db-3").migrated("scale-down")),
    ],
)
def test_some_pods_are_re_created_whatever_the_templates_are(why: str, pod: PodView) -> None:
    assert verdict(IMAGE, pod) == Verdict(why_not=why)


def restarting(at: float = NOW - 5) -> APod:
    """Updated in place a moment ago: the old container still runs, and is ready."""
    pod = a_pod("db-2").migrated("v2").at("v2")
    facts = Facts(restart=Restart({STORE: pod.containers[0].id}, at))
    return replace(pod, facts=facts).condition("ContainersReady", True, 600)


def stage_of(pod: PodView) -> Stage:
    snapshot = a_snapshot(a_rolling_set(), *pods(2), pod)
    return next(place.stage for place in places_of(snapshot, NOW) if place.pod.uid == pod.uid)


def test_the_old_container_does_not_count_for_the_new_revision() -> None:
    pod = restarting()
    assert pod.awaits_restart == (STORE,)
    assert stage_of(pod) is Stage.STARTING
    assert stage_of(pod.restarted(ready=False)) is Stage.STARTING
    assert stage_of(pod.restarted()) is Stage.RESTORING


@pytest.mark.parametrize(("ago", "broken"), [(599, ""), (600, "container store not restarted for 600 s")])
def test_a_kubelet_that_does_not_restart_it_is_not_waited_for_for_ever(ago: int, broken: str) -> None:
    snapshot = a_snapshot(a_rolling_set(), *pods(2))
    assert broken_reason_of(snapshot, restarting(NOW - ago), NOW).startswith(broken)
    assert bool(broken_reason_of(snapshot, restarting(NOW - ago), NOW)) is bool(broken)


@pytest.mark.parametrize(
    ("reason", "broken"),
    [("CrashLoopBackOff", ""), ("ImagePullBackOff", "container store ImagePullBackOff")],
)
def test_how_a_container_ended_that_is_to_be_replaced_says_nothing_about_its_successor(
    reason: str, broken: str
) -> None:
    snapshot = a_snapshot(a_rolling_set(), *pods(2))
    pod = restarting()
    assert broken_reason_of(snapshot, replace(pod.waiting_in(reason), facts=pod.facts), NOW) == broken
