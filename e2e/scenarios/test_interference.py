"""Others change the StatefulSet in the middle of a rollout, with the operator up and with it down: the lid holds."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import pytest

from e2e.harness.installation import Installation
from e2e.harness.kubectl import Json
from e2e.harness.shop import Shop
from e2e.scenarios.conftest import OpenShop

SLOW_DRAIN: Json = {"drain": {"mode": "accept-202", "seconds": 6}}
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
    _begin(shop)
    with meanwhile():
        second = shop.change_template(VERSION="second")
        _watch_the_lid(shop, meanwhile)
    shop.await_complete()
    assert shop.revisions() == [second] * 3
    shop.assert_nobody_noticed()


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_a_partition_0_written_by_somebody_else_lets_no_pod_go_undrained(
    open_shop: OpenShop, meanwhile: Meanwhile, policy: str
) -> None:
    shop = open_shop(policy=policy)
    _begin(shop)
    with meanwhile():
        shop.patch_stateful_set(PARTITION_0)
        if meanwhile.operator_is_down:
            shop.wait("the controller to be told by the lid", lambda: HELD in _events_of(shop))
        _watch_the_lid(shop, meanwhile)
    shop.await_complete()
    shop.assert_nobody_noticed()


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_a_scale_down_in_the_middle_drains_the_pods_that_go(
    open_shop: OpenShop, meanwhile: Meanwhile, policy: str
) -> None:
    shop = open_shop(policy=policy, replicas=4)
    _begin(shop, ordinal=3)
    with meanwhile():
        shop.scale(2)
        _watch_the_lid(shop, meanwhile)
    shop.await_complete()
    assert [pod.name for pod in shop.pods] == ["kvstore-0", "kvstore-1"]
    shop.assert_nobody_noticed()


def _begin(shop: Shop, ordinal: int = 2) -> None:
    """Be in the middle: one pod drains, and takes its time."""
    shop.set_faults(SLOW_DRAIN, ordinal)
    shop.change_template(VERSION="first")
    shop.await_stage(ordinal, "Draining")


def _watch_the_lid(shop: Shop, meanwhile: Meanwhile) -> None:
    """While nobody drains, nobody goes."""
    if not meanwhile.operator_is_down:
        return
    before = {pod.uid for pod in shop.pods}
    shop.stays("no pod goes while there is nobody to drain it", lambda: {pod.uid for pod in shop.pods
               if not pod.terminating} == before, DEAF_SECONDS)  # fmt: skip


def _events_of(shop: Shop) -> str:
    return shop.kubectl.run("get", "events", "-n", shop.namespace, "--field-selector=involvedObject.name=kvstore")
