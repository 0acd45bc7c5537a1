"""Where a pod stands follows from the pod alone, and from what was true when it was written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from statefulrollout.api import names
from statefulrollout.core.addressing import addressed_containers
from statefulrollout.core.snapshot import ContainerView, Facts, PodView, StatefulSetView
from statefulrollout.core.stages import SCALE_DOWN, Place, Stage, can_be_asked, places_of
from tests.builders import (
    HOUR,
    MEMBERSHIP,
    NOW,
    STORE,
    a_call,
    a_hook,
    a_ledger,
    a_pod,
    a_rolling_set,
    a_set,
    a_snapshot,
    a_spec,
    pods,
)

IDLE, ROLLING = a_set(), a_rolling_set()
OLD = a_pod("db-2")
NEW = a_pod("db-2").at("v2")


def place_of(pod: PodView, target: StatefulSetView = ROLLING, isolated: float | None = 60, **spec: object) -> Place:
    """Where the pod stands, no EndpointSlice having shown it for `isolated` seconds."""
    since = {} if isolated is None else {pod.uid: isolated}
    (place,) = places_of(a_snapshot(target, pod, spec=a_spec(**spec), isolated=since), NOW)
    return place


@pytest.mark.parametrize(
    ("stage", "pod", "target"),
    [
        (Stage.UPDATED, OLD, IDLE),
        (Stage.SOAKING, OLD.serving_since(10), IDLE),
        (Stage.UPDATED, OLD.serving_since(11), IDLE),
        (Stage.SERVING, OLD, ROLLING),
        (Stage.SERVING, a_pod("db-3"), IDLE),
        (Stage.DRAINING, OLD.isolated("v2"), ROLLING),
        (Stage.DRAINING, a_pod("db-3").isolated(SCALE_DOWN), IDLE),
        (Stage.MIGRATING, OLD.drained("v2"), ROLLING),
        (Stage.MIGRATING, OLD.migrated("v2"), ROLLING),
        (Stage.RELEASED, OLD.let_go("v2"), ROLLING),
        (Stage.RELEASED, OLD.let_go("v2").deleted(), ROLLING),
        (Stage.TERMINATING, OLD.deleted(), ROLLING),
        (Stage.TERMINATING, OLD.drained("v2").deleted(), ROLLING),
        (Stage.STARTING, NEW.starting(), ROLLING),
        (Stage.RESTORING, NEW.came_back(), ROLLING),
        (Stage.SOAKING, NEW.serving_since(3), ROLLING),
        (Stage.UPDATED, NEW.serving_since(11), ROLLING),
        (Stage.RETURNING, OLD.isolated("v0"), ROLLING),
        (Stage.RETURNING, OLD.drained("v2"), IDLE),
        (Stage.RETURNING, OLD.isolated(SCALE_DOWN), ROLLING),
        (Stage.RETURNING, a_pod("db-3").isolated("v2"), ROLLING),
    ],
)
def test_a_pod_stands_where_its_marks_say(stage: Stage, pod: PodView, target: StatefulSetView) -> None:
    assert place_of(pod, target).stage is stage


@pytest.mark.parametrize(
    ("stage", "seconds"),
    [(Stage.ISOLATING, None), (Stage.ISOLATING, 0), (Stage.ISOLATING, 4.9), (Stage.DRAINING, 5)],
)
def test_a_pod_is_isolated_when_no_slice_has_shown_it_for_the_propagation(stage: Stage, seconds: float | None) -> None:
    assert place_of(OLD.isolated("v2"), isolated=seconds).stage is stage


def test_without_a_drain_isolation_ends_with_the_last_slice() -> None:
    bare = OLD.isolated("v2").but(facts=Facts("v2"))
    assert place_of(bare, isolated=None, drain=None).stage is Stage.ISOLATING
    assert place_of(bare, isolated=0, drain=None).stage is Stage.DRAINING


@pytest.mark.parametrize("pod", [OLD.isolated("v2").but(gated=False), OLD.isolated("v2", stuck=True)])
def test_who_has_no_gate_or_no_traffic_is_not_isolated_first(pod: PodView) -> None:
    assert place_of(pod, isolated=None).stage is Stage.DRAINING


@pytest.mark.parametrize(
    ("stage", "pod"),
    [
        (Stage.DRAINING, OLD.drained("v2").restarted()),
        (Stage.DRAINING, OLD.migrated("v2").restarted(ready=False)),
        (Stage.MIGRATING, OLD.isolated("v2", stuck=True).condition(names.DRAINED, True).restarted()),
        (Stage.RESTORING, OLD.restarted()),
        (Stage.STARTING, OLD.restarted(ready=False)),
        (Stage.RESTORING, NEW.serving_since(30).restarted()),
    ],
)
def test_a_container_that_restarted_has_forgotten_what_it_was_told(stage: Stage, pod: PodView) -> None:
    assert place_of(pod).stage is stage


def test_a_restart_of_a_container_that_no_hook_addresses_means_nothing() -> None:
    sidecar = ContainerView("log", "other", running=True, ready=True, restarts=9)
    pod = OLD.drained("v2")
    assert place_of(pod.but(containers=(*pod.containers, sidecar))).stage is Stage.MIGRATING


@pytest.mark.parametrize(("stage", "target"), [(Stage.SERVING, ROLLING), (Stage.SOAKING, IDLE)])
def test_a_readiness_probe_that_fails_for_a_moment_sends_nobody_to_be_restored(
    stage: Stage, target: StatefulSetView
) -> None:
    place = place_of(OLD.failing_probe(), target)
    assert place.stage is stage
    assert not place.available


def test_a_drained_pod_that_fails_its_probe_stays_drained() -> None:
    assert place_of(OLD.drained("v2").failing_probe()).stage is Stage.MIGRATING


def test_without_hooks_a_pod_that_is_not_ready_is_starting() -> None:
    pod = OLD.failing_probe().but(facts=Facts())
    assert place_of(pod, drain=None).stage is Stage.STARTING


@pytest.mark.parametrize(
    ("stage", "pod"),
    [
        (Stage.SERVING, OLD.untouched().but(created=NOW - 3 * HOUR)),
        (Stage.SERVING, OLD.untouched().ungated().but(created=NOW - 3 * HOUR)),
        (Stage.RESTORING, OLD.untouched()),
        (Stage.RESTORING, OLD.untouched().ungated()),
        (Stage.RESTORING, OLD.untouched().but(created=NOW - 3 * HOUR).condition(names.SERVING, False)),
    ],
)
def test_only_a_pod_older_than_the_rollout_is_taken_over_as_it_is(stage: Stage, pod: PodView) -> None:
    assert place_of(pod).stage is stage


def test_a_failed_revision_sends_pods_that_leave_for_it_back() -> None:
    leaving, stuck = OLD.drained("v2"), a_pod("db-1").isolated("v2", stuck=True)
    going = a_pod("db-3").isolated(SCALE_DOWN)
    snapshot = a_snapshot(ROLLING, leaving, stuck, going, ledger=a_ledger(failed="v2"), isolated={going.uid: 60})
    stages = {place.pod.name: place.stage for place in places_of(snapshot, NOW)}
    assert stages == {"db-1": Stage.DRAINING, "db-2": Stage.RETURNING, "db-3": Stage.DRAINING}


@pytest.mark.parametrize(
    ("ordered", "others", "stage"),
    [
        (True, (a_pod("db-1"),), Stage.RETURNING),
        (True, (a_pod("db-0").deleted(), a_pod("db-1")), Stage.RETURNING),
        (True, (a_pod("db-0"), a_pod("db-1")), Stage.MIGRATING),
        (False, (a_pod("db-1"),), Stage.MIGRATING),
    ],
)
def test_under_ordered_ready_a_leaving_pod_returns_where_another_is_missing(
    ordered: bool, others: tuple[PodView, ...], stage: Stage
) -> None:
    target = a_rolling_set(ordered=ordered)
    assert places_of(a_snapshot(target, *others, OLD.drained("v2")), NOW)[-1].stage is stage


@pytest.mark.parametrize(
    ("reason", "pod"),
    [
        ("", OLD),
        ("", OLD.failing_probe(since=599)),
        ("", OLD.waiting_in("ContainerCreating")),
        ("", OLD.waiting_in("CrashLoopBackOff").deleted()),
        ("container store CrashLoopBackOff", OLD.waiting_in("CrashLoopBackOff")),
        ("container store CrashLoopBackOff (exit code 3)", OLD.waiting_in("CrashLoopBackOff", exit_code=3)),
        ("container store ImagePullBackOff", OLD.waiting_in("ImagePullBackOff", exit_code=3)),
        ("container store ErrImagePull", OLD.waiting_in("ErrImagePull")),
        ("container store CreateContainerConfigError", OLD.waiting_in("CreateContainerConfigError")),
        ("phase Failed", OLD.failing_probe().but(phase="Failed")),
        ("phase Succeeded", OLD.failing_probe().but(phase="Succeeded")),
        ("containers not ready for 600 s (progressDeadlineSeconds)", OLD.failing_probe(since=600)),
        ("not scheduled: no node", OLD.starting(since=600).but(unschedulable="not scheduled: no node")),
        ("", OLD.starting(since=599).but(unschedulable="not scheduled: no node")),
    ],
)
def test_a_pod_is_stuck_only_for_a_reason(reason: str, pod: PodView) -> None:
    assert place_of(pod).stuck == reason


def test_the_progress_deadline_is_the_users() -> None:
    assert place_of(OLD.failing_probe(since=30), strategy={"progressDeadlineSeconds": 30}).stuck


def test_a_pod_of_a_failed_revision_is_stuck_until_it_is_ready() -> None:
    broken, well = NEW.failing_probe(), a_pod("db-1").at("v2")
    ledger = a_ledger(failed="v2")
    stuck = {place.pod.name: place.stuck for place in places_of(a_snapshot(ROLLING, broken, well, ledger=ledger), NOW)}
    assert stuck == {"db-1": "", "db-2": "revision v2 has failed"}


@pytest.mark.parametrize(("choice", "stuck"), [("Replace", True), ("ReplaceIfStuck", False), ("Wait", False)])
def test_unhealthy_outdated_says_whether_not_ready_is_stuck(choice: str, stuck: bool) -> None:
    assert bool(place_of(OLD.failing_probe(), strategy={"unhealthyOutdated": choice}).stuck) is stuck


@pytest.mark.parametrize(
    ("leaves_for", "pod", "target"),
    [
        (None, OLD, IDLE),
        ("v2", OLD, ROLLING),
        (None, NEW, ROLLING),
        (SCALE_DOWN, a_pod("db-3").at("v2"), ROLLING),
        (SCALE_DOWN, a_pod("db-0"), a_set(2, start_ordinal=1)),
    ],
)
def test_a_pod_leaves_for_another_revision_or_because_its_ordinal_goes(
    leaves_for: str | None, pod: PodView, target: StatefulSetView
) -> None:
    place = place_of(pod, target)
    assert place.leaves_for == leaves_for
    assert place.condemned is (leaves_for == SCALE_DOWN)


@pytest.mark.parametrize(
    ("available", "pod"),
    [
        (True, OLD),
        (True, NEW),
        (False, OLD.serving_since(9)),
        (False, NEW.serving_since(9)),
        (False, OLD.condition("Ready", False)),
        (False, OLD.isolated("v2")),
        (False, OLD.deleted()),
        (False, NEW.came_back()),
    ],
)
def test_only_who_serves_and_has_soaked_carries_load(available: bool, pod: PodView) -> None:
    assert place_of(pod).available is available


def test_a_soak_of_zero_seconds_is_over_at_once() -> None:
    assert place_of(NEW.serving_since(0), strategy={"soakSeconds": 0}).stage is Stage.UPDATED


def test_the_soak_counts_from_the_last_start_of_a_container() -> None:
    for seconds, stage in ((10, Stage.SOAKING), (11, Stage.UPDATED)):
        side = ContainerView("side", running=True, since=NOW - seconds)
        assert place_of(replace(NEW, containers=(*NEW.containers, side))).stage is stage


def test_the_soak_counts_from_the_gate_and_from_readiness() -> None:
    assert place_of(NEW.condition("Ready", True, since=5)).stage is Stage.SOAKING
    assert place_of(NEW.condition(names.SERVING, True, since=5)).stage is Stage.SOAKING


def test_pods_are_in_the_order_of_their_ordinals() -> None:
    named = [place.pod.name for place in places_of(a_snapshot(a_set(12), *reversed(pods(12))), NOW)]
    assert named == [f"db-{ordinal}" for ordinal in range(12)]
    assert places_of(a_snapshot(None, *pods(3)), NOW) == ()


@pytest.mark.parametrize(
    ("containers", "hooks"),
    [
        (set(), {"drain": None}),
        ({"store"}, {}),
        ({"store"}, {"drain": {"apply": a_call("/drain", port=8081)}}),
        ({"store", "side"}, {"drain": {"apply": a_call("/drain", port=9999)}}),
        ({"side"}, {"drain": {"apply": a_call("/drain", port="metrics")}}),
        ({"store", "side"}, {"membership": {"apply": a_call("/members", "Peers", port="metrics")}}),
        (set(), {"drain": {"apply": {**a_call("/drain", "Service"), "service": {"name": "db"}}}}),
    ],
)
def test_facts_are_bound_to_the_containers_that_hooks_address(containers: set[str], hooks: dict[str, object]) -> None:
    ports = {"admin": frozenset({STORE}), "metrics": frozenset({"side"})}
    target = replace(IDLE, ports=ports, numbered_ports={8081: frozenset({STORE}), 9090: frozenset({"side"})})
    assert addressed_containers(a_spec(**hooks), target) == containers
    assert addressed_containers(a_spec(**hooks), None) == set()


@pytest.mark.parametrize(
    ("alive", "pod"),
    [
        (True, OLD),
        (True, OLD.isolated("v2")),
        (False, OLD.isolated("v2", stuck=True)),
        (False, OLD.but(ip="")),
        (False, OLD.but(phase="Failed")),
        (False, OLD.waiting_in("CrashLoopBackOff")),
        (True, OLD.failing_probe()),
    ],
)
def test_who_is_dead_or_was_chosen_as_stuck_is_not_asked(alive: bool, pod: PodView) -> None:
    assert can_be_asked(pod) is alive


def test_membership_alone_binds_facts_too() -> None:
    assert addressed_containers(a_spec(drain=None, membership=MEMBERSHIP), IDLE) == {STORE}


def test_a_hook_that_is_added_later_finds_its_container_among_the_facts() -> None:
    assert place_of(OLD, drain=None).stage is Stage.SERVING
    assert place_of(OLD, restore=a_hook("/restore")).stage is Stage.SERVING


def test_a_template_that_names_the_addressed_container_anew_sends_no_serving_pod_to_be_restored() -> None:
    renamed = replace(ROLLING, ports={"admin": frozenset({"db"})}, numbered_ports={8081: frozenset({"db"})})
    assert place_of(OLD, renamed).stage is Stage.SERVING
