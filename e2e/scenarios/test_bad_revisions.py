"""A revision that does not work: it takes no more pods than the budget allows, and its fix gets through by itself."""

from __future__ import annotations

import pytest

from e2e.harness.executioner import Executioner
from e2e.harness.journal import STATEFUL_SETS
from e2e.harness.shop import Shop
from e2e.scenarios.conftest import OpenShop

SOAK_SECONDS = 12


@pytest.mark.parametrize("max_unavailable", [1, 2])
@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_a_crash_looping_revision_stops_and_its_fix_gets_through_without_a_human(
    open_shop: OpenShop, policy: str, max_unavailable: int
) -> None:
    shop = open_shop(policy=policy, rollout={"strategy": {"soakSeconds": 1, "maxUnavailable": max_unavailable}})
    old = shop.wanted
    bad = shop.change_template(CRASH="1")
    shop.await_stalled(bad, "CrashLoopBackOff")
    _assert_it_takes_at_most(shop, max_unavailable, bad)
    fixed = shop.change_template(CRASH=None, VERSION="fixed")
    shop.await_complete()
    assert fixed not in (old, bad)
    shop.assert_nobody_noticed()


def test_going_back_to_the_old_template_mends_what_a_bad_revision_broke(open_shop: OpenShop) -> None:
    shop = open_shop(policy="OrderedReady")
    old = shop.wanted
    untouched = {pod.uid for pod in shop.pods if pod.ordinal < 2}
    bad = shop.change_template(CRASH="1")
    shop.await_stalled(bad, "CrashLoopBackOff")
    assert shop.change_template(CRASH=None) == old
    shop.await_complete()
    assert untouched < {pod.uid for pod in shop.pods}
    shop.assert_nobody_noticed()


def test_an_image_that_cannot_be_had_stops_after_one_pod(open_shop: OpenShop) -> None:
    shop = open_shop()
    old_uids = {pod.uid for pod in shop.pods if pod.ordinal < 2}
    container = {"name": "kvstore", "image": "kvstore:never-built", "imagePullPolicy": "Never"}
    shop.change_containers([container])
    shop.await_stalled("ErrImageNeverPull")
    _assert_it_takes_at_most(shop, 1, shop.wanted)
    assert old_uids < {pod.uid for pod in shop.pods}
    shop.change_containers([{**container, "image": "kvstore:dev"}])
    shop.await_complete()
    shop.assert_nobody_noticed()


def test_a_revision_is_not_accepted_when_its_last_pod_fails_its_soak(
    open_shop: OpenShop, executioner: Executioner
) -> None:
    shop = open_shop(rollout={"strategy": {"soakSeconds": SOAK_SECONDS}})
    new = shop.change_template()
    shop.wait(
        "the last pod to soak", lambda: shop.revisions() == [new] * 3 and shop.stages().get("kvstore-0") == "Soaking"
    )
    victim = shop.kill_container(0, executioner)
    shop.await_complete()
    pod = shop.pod(0)
    assert pod is not None
    assert pod.restarts > victim.restarts
    (accepted_at, *_) = [
        change.at for change in shop.history_of(STATEFUL_SETS) if change.item["status"].get("currentRevision") == new
    ]
    assert accepted_at >= pod.running_since + SOAK_SECONDS
    # The keys that were in the killed container's memory are gone for good; nobody could have moved them.


def _assert_it_takes_at_most(shop: Shop, number: int, bad: str) -> None:
    shop.stays(
        f"no more than {number} pods at the bad revision, the others serve, and it is not accepted",
        lambda: (
            shop.revisions().count(bad) <= number
            and sum(pod.ready for pod in shop.pods) >= 3 - number
            and shop.accepted != bad
        ),
        seconds=8,
    )
