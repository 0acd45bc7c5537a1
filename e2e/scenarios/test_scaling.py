"""Sets that are scaled down and up again, at rest and in the midst of a rollout: whoever goes is drained first."""

from __future__ import annotations

from e2e.harness.journal import LEDGERS, PODS
from e2e.harness.kubectl import Json
from e2e.harness.pods import Pod
from e2e.harness.shop import Shop
from e2e.scenarios.conftest import OpenShop
from statefulrollout.api import names

MIGRATE: Json = {"apply": {"http": {"port": "admin", "path": "/migrate"}}}
ENDLESS_DRAIN: Json = {"drain": {"mode": "accept-202"}}


def test_a_scale_down_and_a_scale_up_at_its_end_are_noticed_by_nobody(open_shop: OpenShop) -> None:
    shop = open_shop(replicas=5, rollout={"migrate": MIGRATE})
    staying, condemned = shop.pods[:3], shop.pods[3:]
    shop.set_faults(ENDLESS_DRAIN, 4)
    shop.scale(3)
    shop.wait("the status to say what goes on", lambda: "kvstore-4 is Draining and waits for drain" in shop.message)
    assert shop.rollout["status"]["replicas"] == 3
    shop.set_faults({}, 4)
    shop.wait("both to be on their way out", lambda: not {pod.uid for pod in condemned} & _uids_that_stay(shop))
    shop.scale(6)
    shop.await_complete()
    assert [pod.ordinal for pod in shop.pods] == list(range(6))
    assert [pod.uid for pod in shop.pods[:3]] == [pod.uid for pod in staying]
    for pod in condemned:
        _assert_left_in_order(shop, pod)
    print("\n", shop.assert_nobody_noticed())


def test_a_scale_down_in_the_midst_of_a_rollout_that_is_taken_back_half_way_is_noticed_by_nobody(
    open_shop: OpenShop,
) -> None:
    shop = open_shop(replicas=5, rollout={"migrate": MIGRATE})
    last = shop.pods[4]
    shop.set_faults(ENDLESS_DRAIN, 3, 4)
    new = shop.change_template()
    shop.await_stage(4, "Draining")
    shop.scale(3)
    shop.wait("the last one to leave for the scale-down", lambda: leaves_for(shop, 4) == "scale-down")
    shop.set_faults({}, 4)
    shop.wait("the one before it to follow", lambda: leaves_for(shop, 3) == "scale-down")
    shop.scale(6)
    shop.wait("it to be called back", lambda: leaves_for(shop, 3) != "scale-down")
    shop.set_faults({}, 3)
    shop.await_complete()
    assert shop.revisions() == [new] * 6
    _assert_left_in_order(shop, last)
    print("\n", shop.assert_nobody_noticed())


def leaves_for(shop: Shop, ordinal: int) -> str:
    pod = shop.pod(ordinal)
    return pod.leaves_for if pod else ""


def _uids_that_stay(shop: Shop) -> set[str]:
    return {pod.uid for pod in shop.pods if not pod.terminating}


def _assert_left_in_order(shop: Shop, pod: Pod) -> None:
    """It was drained, then migrated, and released once the members had settled without it."""
    versions = [(change.version, Pod(change.item)) for change in shop.history_of(PODS)]
    own = [(version, seen) for version, seen in versions if seen.uid == pod.uid]

    def first(condition: str) -> int:
        found = [version for version, seen in own if seen.is_true(condition)]
        assert found, f"{pod.name} went without {condition}"
        return found[0]

    released = first(names.RELEASED)
    assert first(names.DRAINED) < first(names.MIGRATED) <= released
    assert not any(seen.terminating for version, seen in own if version < released)
    ledger = next(change.item for change in reversed(shop.history_of(LEDGERS)) if change.version < released)
    declaration = ledger["spec"]["declaration"]
    assert declaration["done"]
    assert pod.name not in {member["name"] for member in declaration["members"]}
