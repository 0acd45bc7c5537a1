"""The StatefulRollout deleted in the middle of a rollout: nobody is stranded, and the fence is as the user chose."""

from __future__ import annotations

from e2e.harness.kubectl import Json
from e2e.harness.shop import Shop
from e2e.scenarios.conftest import OpenShop
from statefulrollout.api import names

HOLD: Json = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2_147_483_647}}
AS_BEFORE: Json = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}


def test_deleted_with_freeze_leaves_the_pods_where_they_are_and_in_service(open_shop: OpenShop) -> None:
    shop = open_shop()
    old, before = shop.wanted, {pod.uid for pod in shop.pods}
    new = _begin(shop)
    shop.delete_rollout()
    shop.wait("every pod to be free and in service", lambda: _are_free(shop))
    assert shop.stateful_set["spec"]["updateStrategy"] == HOLD
    shop.stays("the pods that were there serve at their revision", lambda: {pod.uid for pod in shop.pods} == before
               and shop.revisions() == [old] * 3 and all(pod.ready for pod in shop.pods), seconds=6)  # fmt: skip
    assert shop.wanted == new
    shop.assert_nobody_noticed()
    shop.scale(1)
    shop.wait("the scale-down that nobody holds any more", lambda: len(shop.pods) == 1)


def test_deleted_with_release_gives_the_update_strategy_back(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"deletionPolicy": "Release"}, load=False)
    new = _begin(shop)
    shop.delete_rollout()
    shop.wait("the strategy from before", lambda: shop.stateful_set["spec"]["updateStrategy"] == AS_BEFORE)
    shop.wait("the StatefulSet controller to roll by itself", lambda: shop.revisions() == [new] * 3
              and all(pod.containers for pod in shop.pods) and shop.accepted == new)  # fmt: skip
    shop.wait("no mark of ours on any pod", lambda: _are_free(shop))


def _begin(shop: Shop) -> str:
    """Be in the middle: one pod has been asked to drain and has not."""
    shop.set_faults({"drain": {"mode": "accept-202"}}, 2)
    new = shop.change_template()
    shop.await_stage(2, "Draining")
    return new


def _are_free(shop: Shop) -> bool:
    marks = [pod for pod in shop.pods if pod.fenced or pod.leaves_for or pod.is_true(names.RELEASED)]
    return not shop.rollout and not marks and all(pod.ready for pod in shop.pods)
