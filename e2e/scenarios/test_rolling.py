"""The change that everything is about: a new template, and no client notices."""

from __future__ import annotations

import time

import pytest

from e2e.scenarios.conftest import OpenShop

POLICIES = ["OrderedReady", "Parallel"]


@pytest.mark.parametrize("max_unavailable", [1, 2])
@pytest.mark.parametrize("policy", POLICIES)
def test_every_pod_moves_to_the_new_revision_and_nobody_notices(
    open_shop: OpenShop, policy: str, max_unavailable: int
) -> None:
    shop = open_shop(
        policy=policy, replicas=4, rollout={"strategy": {"soakSeconds": 1, "maxUnavailable": max_unavailable}}
    )
    before, began = {pod.uid for pod in shop.pods}, time.time()
    revision = shop.change_template()
    shop.await_complete()
    assert shop.revisions() == [revision] * 4
    assert not before & {pod.uid for pod in shop.pods}
    lowest = shop.lowest_serving(began)
    assert lowest >= 4 - max_unavailable
    if policy == "Parallel":
        assert lowest == 4 - max_unavailable, "the budget was not used"
    shop.assert_nobody_noticed()


def test_a_paused_rollout_stays_in_the_middle_until_it_is_resumed(open_shop: OpenShop) -> None:
    shop = open_shop()
    old = shop.wanted
    new = shop.change_template()
    shop.await_stage(2, "Isolating", "Draining", "Migrating", "Released")
    shop.pause()
    shop.wait(
        "the pod in motion to finish, and the rest to be paused",
        lambda: (
            sorted(shop.revisions()) == sorted([old, old, new])
            and shop.rollout["status"]["phase"] == "Paused"
            and all(pod.ready for pod in shop.pods)
        ),
    )
    shop.stays(
        "two outdated pods serve, paused",
        lambda: shop.revisions().count(old) == 2 and all(pod.ready for pod in shop.pods) and shop.accepted == old,
        seconds=6,
    )
    assert shop.condition("Paused")["status"] == "True"
    assert "spec.paused" in shop.message
    shop.pause(paused=False)
    shop.await_complete()
    shop.assert_nobody_noticed()
