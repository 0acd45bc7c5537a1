"""Revisions that are given up: their pods go back to the accepted one, no client notices, and the template stays."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.harness.kubectl import Json
from e2e.harness.shop import Shop
from e2e.scenarios.conftest import OpenShop
from statefulrollout.api import names

ROLLBACK: Json = {"strategy": {"soakSeconds": 1, "onFailure": "Rollback"}}
POLICIES = pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
STUCK_RESTORE = json.dumps({"restore": {"mode": "accept-202"}})
STATE: Json = {"http": {"port": "admin", "path": "/state", "method": "GET"}, "target": "Peers"}


def a_check(fail_when: str) -> Json:
    return {"name": "versions", "call": STATE, "expect": "true", "failWhen": fail_when}


@POLICIES
def test_a_crash_looping_revision_goes_back_by_itself(open_shop: OpenShop, policy: str) -> None:
    shop = open_shop(policy=policy, rollout=ROLLBACK)
    old = shop.wanted
    untouched = {pod.uid for pod in shop.pods if pod.ordinal < 2}
    bad = shop.change_template(CRASH="1")
    await_back(shop, old, "failed (PodNotStarting)", "CrashLoopBackOff")
    assert untouched < {pod.uid for pod in shop.pods}
    shop.stays("it is not tried again", lambda: shop.revisions() == [old] * 3, seconds=5)
    assert shop.wanted == bad
    shop.change_template(CRASH=None, VERSION="fixed")
    shop.await_complete()
    shop.assert_nobody_noticed()


def test_a_revision_that_a_check_fails_at_the_soak_of_its_last_pod_goes_back(open_shop: OpenShop) -> None:
    everywhere = "answers.filter(answer, answer.json.version == 'bad').size() == 3"
    rollout = {"strategy": {"soakSeconds": 6, "onFailure": "Rollback"}, "checks": [a_check(everywhere)]}
    shop = open_shop(rollout=rollout)
    old = shop.wanted
    shop.change_template(VERSION="bad")
    await_back(shop, old, "failed (CheckFailed)", "check versions")
    shop.assert_nobody_noticed()


def test_a_revision_that_a_check_fails_at_its_first_pod_goes_back_and_is_tried_again_on_demand(
    open_shop: OpenShop,
) -> None:
    somewhere = "answers.exists(answer, answer.json.version == 'bad')"
    shop = open_shop(rollout={**ROLLBACK, "checks": [a_check(somewhere)]})
    old = shop.wanted
    bad = shop.change_template(VERSION="bad")
    await_back(shop, old, f"set spec.retry to {{revision: {bad}, nonce: 1}} to try it again")
    shop.patch_rollout({"checks": [], "retry": {"revision": bad, "nonce": 1}})
    shop.await_complete()
    assert shop.accepted == bad
    shop.assert_nobody_noticed()


def test_a_revision_whose_pods_never_restore_goes_back(open_shop: OpenShop) -> None:
    restore = {"apply": {"http": {"port": "admin", "path": "/restore"}}, "deadlineSeconds": 6}
    shop = open_shop(rollout={**ROLLBACK, "restore": restore})
    old = shop.wanted
    shop.change_template(FAULTS=STUCK_RESTORE)
    await_back(shop, old, "failed (RestoreFailed)", "restore is not done")
    shop.assert_nobody_noticed()


@POLICIES
def test_the_user_gives_a_revision_up_at_its_last_pod_and_goes_on_with_it(open_shop: OpenShop, policy: str) -> None:
    shop = open_shop(policy=policy, rollout={"strategy": {"soakSeconds": 8}})
    old = shop.wanted
    new = shop.change_template()
    shop.wait("the last pod to serve", lambda: shop.revisions() == [new] * 3 and all(pod.ready for pod in shop.pods))
    shop.patch_rollout({"abort": {"revision": new}})
    await_back(shop, old, "was given up (spec.abort)")
    shop.patch_rollout({"abort": None})
    shop.await_complete()
    assert shop.accepted == new
    shop.assert_nobody_noticed()


def test_other_managers_that_keep_applying_their_manifest_do_not_turn_a_way_back(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"strategy": {"soakSeconds": 4}})
    old = shop.wanted
    new = shop.change_template()
    shop.await_stage(2, "Soaking")
    shop.patch_rollout({"abort": {"revision": new}})
    with ThreadPoolExecutor() as others:
        applied = others.submit(_apply_again_and_again, shop)
        await_back(shop, old, "was given up (spec.abort)")
        applied.result()
    shop.assert_nobody_noticed()


def _apply_again_and_again(shop: Shop) -> None:
    """What GitOps controllers do (the StatefulRollout as it is in git), and Helm (the update strategy of its chart)."""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    for _ in range(5):
        shop.apply_rollout_again("gitops")
        shop.patch_stateful_set({"updateStrategy": strategy})
        shop.wait("the fence to be set right", lambda: shop.stateful_set["spec"]["updateStrategy"] != strategy)


def await_back(shop: Shop, old: str, *words: str) -> None:
    """Wait until every pod serves at the old revision, and the status says so and why."""
    shop.await_stalled(*words, f"3 of 3 pods are at revision {old} again")
    assert shop.revisions() == [old] * 3
    assert all(pod.ready and pod.is_true(names.SERVING) for pod in shop.pods)
    assert shop.accepted == old != shop.wanted
    assert shop.rollout["status"]["phase"] == "RolledBack"


def test_a_drain_that_takes_longer_than_a_rollout_may_wait_gives_the_revision_up(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"drain": {"deadlineSeconds": 5, "onTimeout": "Rollback"}})
    old = shop.wanted
    shop.set_faults({"drain": {"mode": "accept-202", "seconds": 300}}, 2)
    shop.change_template()
    await_back(shop, old, "failed (HookTimedOut)", "kvstore-2: drain is not done after")
    shop.set_faults({}, 2)
    shop.change_template()
    shop.await_complete()
    shop.assert_nobody_noticed()
