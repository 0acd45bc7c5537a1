"""Nodes are drained while a client never stops: pods are drained first, and whoever asked takes them."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from e2e.harness.api import Api
from e2e.harness.drains import control_plane_of, draining, workers_of
from e2e.harness.evictions import evict
from e2e.harness.executioner import Executioner
from e2e.harness.installation import Installation
from e2e.harness.kubectl import Kubectl
from e2e.harness.shop import Shop
from e2e.scenarios.conftest import OpenShop
from statefulrollout.core.evicting import PATIENCE_SECONDS

pytestmark = pytest.mark.operator_down

STUCK_DRAIN = {"drain": {"mode": "accept-202", "seconds": 600}}


def pods_on(shop: Shop, node: str) -> list[str]:
    return [pod.name for pod in shop.pods if pod.node == node]


def all_serve(shop: Shop) -> bool:
    return len(shop.pods) == shop.order.replicas and all(pod.ready for pod in shop.pods)


def test_both_workers_are_drained_one_after_the_other_and_nobody_notices(
    open_shop: OpenShop, kubectl: Kubectl, installation: Installation
) -> None:
    shop = open_shop(replicas=5, load_node=control_plane_of(kubectl))
    with installation.as_users_have_it():
        for node in workers_of(kubectl):
            wanted = pods_on(shop, node)
            with draining(kubectl, node) as drain:
                said = drain.finish()
                shop.wait("every pod to serve elsewhere", lambda: all_serve(shop) and not pods_on(shop, node))  # noqa: B023
            assert all(f"pod/{name} evicted" in said for name in wanted), said
            shop.await_complete()
            installation.await_ready(2)
    shop.assert_nobody_noticed()


def test_a_drain_in_the_midst_of_a_rollout_shares_its_budget(
    open_shop: OpenShop, kubectl: Kubectl, installation: Installation
) -> None:
    shop = open_shop(replicas=5, load_node=control_plane_of(kubectl))
    with installation.as_users_have_it():
        _drain_during_a_rollout(shop, kubectl)
    shop.assert_nobody_noticed()


def _drain_during_a_rollout(shop: Shop, kubectl: Kubectl) -> None:
    new = shop.change_template()
    shop.await_stage(4, "Isolating", "Draining", "Migrating", "Released")
    node = shop.pods[0].node
    with draining(kubectl, node) as drain:
        drain.finish()
        shop.wait("every pod to serve elsewhere", lambda: all_serve(shop) and not pods_on(shop, node))
    shop.await_complete()
    assert shop.revisions() == [new] * 5


def test_who_is_told_to_wait_reads_why_and_who_gives_up_leaves_nothing_behind(
    open_shop: OpenShop, kubectl: Kubectl
) -> None:
    shop = open_shop(replicas=3, load_node=control_plane_of(kubectl))
    pod = shop.pods[2]
    shop.set_faults(STUCK_DRAIN, 2)
    with draining(kubectl, pod.node, seconds=15) as drain:
        said = drain.finish(well=False)
    assert "kvstore-2 is drained before it may be evicted: it is Draining and waits for drain" in said, said
    shop.set_faults({}, 2)
    shop.wait("the pod to serve again", lambda: all_serve(shop) and not any(each.leaves_for for each in shop.pods),
              PATIENCE_SECONDS + 60)  # fmt: skip
    shop.await_complete()
    assert shop.pods[2].uid == pod.uid
    shop.assert_nobody_noticed()


def test_a_drain_ends_though_every_replica_of_the_operator_is_killed_in_its_midst(
    open_shop: OpenShop, kubectl: Kubectl, api: Api, installation: Installation, executioner: Executioner
) -> None:
    """While nobody is there to judge evictions, our disruption budget holds the only pod on the node."""
    shop = open_shop(replicas=2, load_node=control_plane_of(kubectl))
    moving = shop.pods[1]
    assert pods_on(shop, moving.node) == [moving.name], "the scheduler put both pods on one node"
    shop.set_faults(STUCK_DRAIN, 1)
    with installation.as_users_have_it(), draining(kubectl, moving.node) as drain:
        shop.await_stage(1, "Draining")
        installation.await_ready(2)
        installation.kill_all(executioner)
        refused = evict(api, shop.namespace, moving.name)
        assert "would violate the pod's disruption budget" in refused.message, refused
        shop.set_faults({}, 1)
        assert f"pod/{moving.name} evicted" in drain.finish()
        shop.wait("every pod to serve elsewhere", lambda: all_serve(shop) and not pods_on(shop, moving.node))
    shop.await_complete()
    print("\n", shop.assert_nobody_noticed())


def test_a_drain_that_meets_no_operator_is_held_by_the_floor_and_ends_once_it_is_back(
    open_shop: OpenShop, kubectl: Kubectl, installation: Installation
) -> None:
    """While a pod is to leave nobody else goes without the operator: whoever is on the node stays, too."""
    shop = open_shop(replicas=4, load_node=control_plane_of(kubectl))
    shop.set_faults(STUCK_DRAIN, 3)
    new = shop.change_template()
    shop.await_stage(3, "Draining")
    before = {pod.uid for pod in shop.pods}
    with ExitStack() as drains:
        with installation.down():
            node = next(pod.node for pod in shop.pods if pod.ready)
            drain = drains.enter_context(draining(kubectl, node))
            shop.stays("nobody is evicted", lambda: {pod.uid for pod in shop.pods if not pod.terminating} == before, 12)
        shop.set_faults({}, 3)
        assert "would violate the pod's disruption budget" in drain.finish()
        shop.wait("every pod to serve elsewhere", lambda: all_serve(shop) and not pods_on(shop, node))
    shop.await_complete()
    assert shop.revisions() == [new] * 4
    shop.assert_nobody_noticed()


def test_with_the_operator_down_nobody_evicts_a_pod_in_the_midst_of_its_migration(
    open_shop: OpenShop, api: Api, installation: Installation
) -> None:
    shop = open_shop(rollout={"migrate": {"apply": {"http": {"port": "admin", "path": "/migrate"}}}})
    shop.set_faults({"migrate": {"mode": "accept-202", "seconds": 600}}, 2)
    new = shop.change_template()
    shop.await_stage(2, "Migrating")
    moving = shop.pods[2]
    with installation.down():
        refused = evict(api, shop.namespace, moving.name)
        assert "would violate the pod's disruption budget" in refused.message, refused
        assert shop.pods[2].uid == moving.uid
    shop.set_faults({}, 2)
    shop.await_complete()
    assert shop.revisions() == [new] * 3
    shop.assert_nobody_noticed()
