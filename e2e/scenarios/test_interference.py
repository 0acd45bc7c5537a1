"""Others change the StatefulSet in the middle of a rollout, with the operator up and with it down: the lid holds."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import pytest

from e2e.harness.installation import Installation
from e2e.harness.kubectl import Json
from e2e.harness.shop import Shop
from e2e.scenarios.conftest import OpenShop

ENDLESS_DRAIN: Json = {"drain": {"mode": "accept-202"}}
PARTITION_0: Json = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}}
HELD = "is not drained yet"
DEAF_SECONDS = 6


@dataclass(frozen=True)
class Meanwhile:
    """Calling it gives the context in which the change is made; the operator runs on, or is stopped till its end."""

    installation: Installation
    operator_is_down: bool

    def __call__(self) -> AbstractContextManager[None]:
        return self.installation.down() if self.operator_is_down else nullcontext()


@pytest.fixture(params=["operator up", pytest.param("operator down", marks=pytest.mark.operator_down)])
def meanwhile(request: pytest.FixtureRequest, installation: Installation) -> Meanwhile:
    return Meanwhile(installation, request.param == "operator down")


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_a_template_changed_again_in_the_middle_drains_every_pod(
    open_shop: OpenShop, meanwhile: Meanwhile, policy: str
) -> None:
    shop = open_shop(policy=policy)
    _begin(shop, ordinal=2)
    with meanwhile():
        second = shop.change_template(VERSION="second")
        if meanwhile.operator_is_down:
            _assert_nobody_goes(shop)
    shop.set_faults({}, 2)
    shop.await_complete()
    assert shop.revisions() == [second] * 3
    shop.assert_nobody_noticed()


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_a_partition_0_written_by_somebody_else_lets_no_pod_go_undrained(
    open_shop: OpenShop, meanwhile: Meanwhile, policy: str
) -> None:
    shop = open_shop(policy=policy)
    _begin(shop, ordinal=2)
    with meanwhile():
        shop.patch_stateful_set(PARTITION_0)
        if meanwhile.operator_is_down:
            _assert_nobody_goes(shop)
    shop.set_faults({}, 2)
    shop.await_complete()
    shop.assert_nobody_noticed()


@pytest.mark.operator_down
@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_with_no_operator_a_new_template_and_partition_0_come_up_against_the_lid(
    open_shop: OpenShop, installation: Installation, policy: str
) -> None:
    shop = open_shop(policy=policy)
    with installation.down():
        new = shop.change_template()
        shop.patch_stateful_set(PARTITION_0)
        shop.wait("the lid to refuse the controller's delete", lambda: shop.was_said(HELD))
        _assert_nobody_goes(shop)
        assert all(pod.ready for pod in shop.pods)
    shop.await_complete()
    assert shop.revisions() == [new] * 3
    shop.assert_nobody_noticed()


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_a_scale_down_in_the_middle_drains_the_pods_that_go(
    open_shop: OpenShop, meanwhile: Meanwhile, policy: str
) -> None:
    shop = open_shop(policy=policy, replicas=4)
    _begin(shop, ordinal=3)
    with meanwhile():
        shop.scale(2)
        if meanwhile.operator_is_down:
            _assert_nobody_goes(shop)
    shop.set_faults({}, 3)
    shop.await_complete()
    assert [pod.name for pod in shop.pods] == ["kvstore-0", "kvstore-1"]
    shop.assert_nobody_noticed()


def _begin(shop: Shop, ordinal: int) -> None:
    """Be in the middle: one pod drains, until its drain is mended."""
    shop.set_faults(ENDLESS_DRAIN, ordinal)
    shop.change_template(VERSION="first")
    shop.await_stage(ordinal, "Draining")


def _assert_nobody_goes(shop: Shop) -> None:
    before = {pod.uid for pod in shop.pods}
    shop.stays("no pod goes while there is nobody to drain it", lambda: {pod.uid for pod in shop.pods
               if not pod.terminating} == before, DEAF_SECONDS)  # fmt: skip
