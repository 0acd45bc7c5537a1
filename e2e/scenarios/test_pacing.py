"""Rollouts that rest at steps, wait for a window, and go at the user's pace; scaled and changed while they rest."""

from __future__ import annotations

from datetime import UTC, datetime

from e2e.harness.kubectl import Json
from e2e.harness.shop import Shop
from e2e.scenarios.conftest import OpenShop

CANARY: Json = {"pods": 1, "pause": {}}


def test_a_canary_waits_to_be_promoted_through_changes_of_the_template_and_of_the_size(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"strategy": {"soakSeconds": 1, "maxUnavailable": 2, "steps": [CANARY]}})
    old = shop.wanted
    first = shop.change_template()
    _await_rest(shop, first, moved=1)
    assert shop.rollout["status"]["step"] == "0/1"
    assert f"set spec.promote to {{revision: {first}, step: 1}}" in shop.message
    shop.scale(4)
    shop.wait("the new pod to be of the accepted revision", lambda: shop.revisions().count(old) == 3)
    second = shop.change_template()
    _await_rest(shop, second, moved=1)
    shop.scale(3)
    shop.wait("the scale-down", lambda: len(shop.pods) == 3)
    _await_rest(shop, second, moved=1)
    shop.patch_rollout({"promote": {"revision": first, "step": 1}})
    shop.stays("a word on another revision is none on this", lambda: shop.revisions().count(second) == 1, seconds=3)
    shop.patch_rollout({"promote": {"revision": second, "step": 1}})
    shop.await_complete()
    shop.assert_nobody_noticed()


def test_a_canary_is_given_up(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"strategy": {"soakSeconds": 1, "steps": [CANARY]}})
    old, untouched = shop.wanted, {pod.uid for pod in shop.pods if pod.ordinal < 2}
    new = shop.change_template()
    _await_rest(shop, new, moved=1)
    shop.patch_rollout({"abort": {"revision": new}})
    shop.await_stalled("3 of 3 pods are at revision", "was given up")
    assert shop.revisions() == [old] * 3
    assert untouched < {pod.uid for pod in shop.pods}
    shop.assert_nobody_noticed()


def test_a_rest_of_some_seconds_ends_by_itself_and_pods_go_at_their_pace(open_shop: OpenShop) -> None:
    steps = [{"pods": 1, "pause": {"seconds": 8}}]
    strategy = {"soakSeconds": 1, "maxUnavailable": 2, "minSecondsBetweenPods": 6, "steps": steps}
    shop = open_shop(rollout={"strategy": strategy})
    shop.change_template()
    shop.await_complete()
    first, second, third = (at for at, _ in shop.departures())
    assert second - first >= 8
    assert third - second >= 5.5
    shop.assert_nobody_noticed()


def test_outside_its_windows_nothing_moves_and_the_message_says_when_it_will(open_shop: OpenShop) -> None:
    elsewhen = (datetime.now(UTC).hour + 12) % 24
    window = {"schedule": f"0 {elsewhen} * * *", "durationSeconds": 60}
    shop = open_shop(rollout={"strategy": {"soakSeconds": 1, "windows": [window]}})
    before = {pod.uid for pod in shop.pods}
    shop.change_template()
    shop.wait("the reason", lambda: f"no window is open before {datetime.now(UTC):%Y}" in shop.message)
    shop.stays("nothing moves", lambda: {pod.uid for pod in shop.pods} == before, seconds=3)
    shop.patch_rollout({"strategy": {"windows": [window, {"schedule": "* * * * *", "durationSeconds": 61}]}})
    shop.await_complete()
    shop.assert_nobody_noticed()


def _await_rest(shop: Shop, revision: str, moved: int) -> None:
    """Wait until the rollout rests at its step with so many pods of the revision, and see that it stays so."""
    shop.wait(
        f"a rest with {moved} pods at {revision}",
        lambda: shop.rollout["status"]["phase"] == "Resting" and shop.revisions().count(revision) == moved
        and shop.rollout["status"]["wantedRevision"] == revision,
    )  # fmt: skip
    shop.stays("it rests", lambda: shop.revisions().count(revision) == moved, seconds=2)
