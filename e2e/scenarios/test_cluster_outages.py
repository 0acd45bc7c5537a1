"""The cluster itself fails in the midst of a rollout: its API server, its etcd, a node; afterwards all goes on."""

from __future__ import annotations

import time

import pytest

from e2e.harness.control_plane import ControlPlane
from e2e.harness.drains import control_plane_of
from e2e.harness.executioner import Executioner
from e2e.harness.installation import Installation
from e2e.harness.kubectl import Kubectl
from e2e.scenarios.conftest import OpenShop

pytestmark = pytest.mark.operator_down

LONG = 240.0
UNKNOWN_SECONDS = 5
LATENCY_SECONDS = 2
"""A request that was due so long before the power went may still have been on its way."""


@pytest.fixture
def control_plane(kubectl: Kubectl, executioner: Executioner) -> ControlPlane:
    return ControlPlane(kubectl, executioner)


def test_a_rollout_goes_on_when_the_api_server_was_restarted(
    open_shop: OpenShop, control_plane: ControlPlane, installation: Installation
) -> None:
    shop = open_shop(replicas=3)
    new = shop.change_template()
    shop.await_stage(2, "Isolating", "Draining", "Migrating", "Released")
    control_plane.restart_api_server()
    shop.await_complete(LONG)
    assert shop.revisions() == [new] * 3
    shop.assert_nobody_noticed()
    control_plane.await_calm()
    installation.await_ready()


def test_a_rollout_goes_on_when_etcd_stood_still_for_half_a_minute(
    open_shop: OpenShop, control_plane: ControlPlane, installation: Installation
) -> None:
    shop = open_shop(replicas=3)
    new = shop.change_template()
    shop.await_stage(2, "Isolating", "Draining", "Migrating", "Released")
    control_plane.freeze_etcd(30)
    shop.await_complete(LONG)
    assert shop.revisions() == [new] * 3
    shop.assert_nobody_noticed()
    control_plane.await_calm()
    installation.await_ready()


def test_a_pod_whose_volume_is_on_a_cordoned_node_waits_until_the_node_takes_pods_again(
    open_shop: OpenShop, kubectl: Kubectl
) -> None:
    shop = open_shop(replicas=3, volume=True)
    node = shop.pods[1].node
    kept = [pod.name for pod in shop.pods if pod.node == node]
    kubectl.run("cordon", node)
    try:
        new = shop.change_template()
        shop.wait("the others to go, and the node to be named", lambda: f"node {node} is cordoned" in shop.message
                  and [pod.name for pod in shop.pods if pod.revision != new] == kept)  # fmt: skip
        assert "node_can_take_the_replacement" in shop.message
        assert all(pod.ready for pod in shop.pods)
    finally:
        kubectl.run("uncordon", node)
    shop.await_complete()
    shop.assert_nobody_noticed()


def test_a_rollout_goes_on_when_a_node_was_lost_and_came_back(
    open_shop: OpenShop, control_plane: ControlPlane, installation: Installation, kubectl: Kubectl
) -> None:
    """The keys are on volumes: what was acknowledged is on a disk, and requests to the lost pods fail meanwhile."""
    rollout = {"membership": {"unknownAfterSeconds": UNKNOWN_SECONDS}}
    shop = open_shop(replicas=4, volume=True, load_node=control_plane_of(kubectl), rollout=rollout)
    lost = next(pod.node for pod in shop.pods if pod.node != shop.pods[3].node)
    victims = [pod for pod in shop.pods if pod.node == lost]
    installation.keep_off(lost)
    new = shop.change_template()
    shop.await_stage(3, "Isolating", "Draining", "Migrating", "Released")
    off_at = time.time()
    control_plane.power_off(lost)
    try:
        shop.wait("the members to settle without the lost pods",
                  lambda: all(shop.members_are_done(without=pod.ordinal) for pod in victims), LONG)  # fmt: skip
        settled_at = time.time()
        missing = ", ".join(pod.name for pod in victims)
        shop.wait("the missing pods to be named", lambda: f"unavailable: {missing}" in shop.message)
        assert f"Not heard of: {victims[0].name} on {lost}" in shop.message
        assert {pod.uid for pod in victims} <= {pod.uid for pod in shop.pods if not pod.terminating}
    finally:
        on_at = time.time()
        control_plane.power_on(lost)
    shop.await_complete(LONG)
    assert shop.revisions() == [new] * 4
    stats, failures = shop.assert_no_key_is_lost(), shop.clients.failures()
    events = {"off": off_at, "first failure": min(failures), "last failure": max(failures), "settled": settled_at,
              "on": on_at}  # fmt: skip
    print("\n", {what: round(at - off_at) for what, at in events.items()}, stats)
    assert min(failures) > off_at - LATENCY_SECONDS
    assert max(failures) < settled_at
    control_plane.await_calm()
    installation.await_ready()
