"""The cluster itself fails in the midst of a rollout: its API server, its etcd, a node; afterwards all goes on."""

from __future__ import annotations

import pytest

from e2e.harness.control_plane import ControlPlane
from e2e.harness.executioner import Executioner
from e2e.harness.installation import Installation
from e2e.harness.kubectl import Kubectl
from e2e.scenarios.conftest import OpenShop

pytestmark = pytest.mark.operator_down

LONG = 240.0


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
    open_shop: OpenShop, control_plane: ControlPlane, installation: Installation
) -> None:
    """The keys are on volumes: what was acknowledged is on a disk, and requests to the lost pods fail meanwhile."""
    kept = installation.leader()["spec"]["nodeName"]
    shop = open_shop(replicas=4, volume=True, load_node=kept)
    lost = next((pod.node for pod in shop.pods if pod.node != kept), None)
    if lost is None:
        pytest.skip("the scheduler put every pod of the store where the operator is")
    new = shop.change_template()
    shop.await_stage(3, "Isolating", "Draining", "Migrating", "Released")
    control_plane.power_off(lost)
    try:
        shop.wait("the pods of the lost node to be missed",
                  lambda: any(not pod.ready for pod in shop.pods if pod.node == lost), LONG)  # fmt: skip
    finally:
        control_plane.power_on(lost)
    shop.await_complete(LONG)
    assert shop.revisions() == [new] * 4
    shop.assert_no_key_is_lost()
    control_plane.await_calm()
    installation.await_ready()
