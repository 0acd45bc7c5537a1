"""Hooks that are slow, busy, hung, broken or missing: the rollout waits, says for what, and takes nothing for done."""

from __future__ import annotations

import pytest

from e2e.harness.journal import PODS
from e2e.harness.kubectl import Json
from e2e.harness.pods import Pod
from e2e.harness.shop import Shop
from e2e.scenarios.conftest import OpenShop
from statefulrollout.api import names

MIGRATE: Json = {"apply": {"http": {"port": "admin", "path": "/migrate"}}, "stallSeconds": 4}
CLOCK_SECONDS = 1.0


@pytest.mark.parametrize(
    ("mode", "seconds"),
    [("accept-202", 20), ("unavailable-503", 6), ("hang", 8), ("error-500", 6)],
    ids=["answers 202 for 20 s", "answers 503 for a while", "hangs", "returns 500"],
)
def test_a_pod_is_not_released_before_its_drain_is_done(open_shop: OpenShop, mode: str, seconds: int) -> None:
    shop = open_shop()
    leaving = shop.pod(2)
    assert leaving is not None
    shop.set_faults({"drain": {"mode": mode, "seconds": seconds}}, leaving.ordinal)
    shop.change_template()
    shop.await_complete()
    assert _seconds_from_isolation_to_release(shop, leaving) >= seconds - CLOCK_SECONDS
    shop.assert_nobody_noticed()


def test_a_drain_hook_that_is_not_there_at_all_stops_the_rollout_until_it_is(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"strategy": {"soakSeconds": 1, "maxUnavailable": 1}})
    old = shop.wanted
    shop.set_faults({"drain": {"mode": "missing-404"}}, 2)
    shop.change_template()
    stalled = shop.await_stalled("kvstore-2", "drain", "misconfigured", "404")
    assert stalled["reason"] == "HookFailed"
    _assert_no_pod_goes(shop, old)
    shop.set_faults({})
    shop.await_complete()
    shop.assert_nobody_noticed()


def test_a_drain_past_its_deadline_stops_the_rollout_until_it_is_done(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"drain": {"deadlineSeconds": 6}})
    old = shop.wanted
    shop.set_faults({"drain": {"mode": "unavailable-503"}}, 2)
    shop.change_template()
    shop.await_stalled("kvstore-2", "drain", "deadlineSeconds", "503")
    _assert_no_pod_goes(shop, old)
    shop.set_faults({})
    shop.await_complete()
    shop.assert_nobody_noticed()


@pytest.mark.parametrize("hook", ["migrate", "membership"])
def test_state_that_does_not_move_stops_the_rollout_until_it_does(open_shop: OpenShop, hook: str) -> None:
    shop = open_shop(rollout={"migrate": MIGRATE, "membership": {"stallSeconds": 4}})
    old = shop.wanted
    path = {"migrate": "migrate", "membership": "members"}[hook]
    shop.set_faults({path: {"mode": "stall"}})
    shop.change_template()
    shop.await_stalled(hook, "stallSeconds", "202")
    _assert_no_pod_goes(shop, old)
    shop.set_faults({})
    shop.await_complete()
    shop.assert_nobody_noticed()


def _assert_no_pod_goes(shop: Shop, old: str) -> None:
    """One pod is out of service, nothing else has happened, and nothing else does."""
    shop.stays(
        "one pod out of service, all at the old revision",
        lambda: shop.revisions() == [old] * 3 and sum(pod.ready for pod in shop.pods) == 2,
        seconds=6,
    )


def _seconds_from_isolation_to_release(shop: Shop, pod: Pod) -> float:
    versions = [(change.at, Pod(change.item)) for change in shop.history_of(PODS) if change.name == pod.name]
    own = [(at, seen) for at, seen in versions if seen.uid == pod.uid]
    isolated = next(at for at, seen in own if not seen.is_true(names.SERVING))
    released = next(at for at, seen in own if seen.is_true(names.RELEASED))
    return released - isolated
