"""Others change the StatefulSet in the middle of a rollout, with the operator up and with it down: the lid holds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pytest

from e2e.harness.installation import Installation
from e2e.harness.kubectl import Json
from e2e.harness.shop import Shop, pod_name
from e2e.scenarios.conftest import OpenShop

ENDLESS_DRAIN: Json = {"drain": {"mode": "accept-202"}}
PARTITION_0: Json = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}}
HELD = "is not drained yet"
"""What the lid says."""
DEAF_SECONDS = 2
REPLICAS = 3
POLICIES = ["OrderedReady", "Parallel"]


@dataclass(frozen=True)
class Disturbance:
    """What somebody does to the StatefulSet, and the pods that there are in the end."""

    deed: Callable[[Shop], object]
    pods: int = REPLICAS

    def assert_done(self, shop: Shop) -> None:
        """What was wanted has come about."""
        assert [pod.name for pod in shop.pods] == [pod_name(ordinal) for ordinal in range(self.pods)]
        assert set(shop.revisions()) == {shop.wanted}


DISTURBANCES = {
    "a template changed again": Disturbance(lambda shop: shop.change_template(VERSION="second")),
    "a partition 0 written by somebody else": Disturbance(lambda shop: shop.patch_stateful_set(PARTITION_0)),
    "a scale-down": Disturbance(lambda shop: shop.scale(REPLICAS - 1), REPLICAS - 1),
}


@pytest.mark.parametrize("disturbance", DISTURBANCES.values(), ids=DISTURBANCES)
def test_a_disturbance_in_the_middle_lets_no_pod_go_undrained(open_shop: OpenShop, disturbance: Disturbance) -> None:
    shops = _open_all(open_shop, 1)
    _begin(shops)
    for shop in shops:
        disturbance.deed(shop)
    _finish(shops)
    for shop in shops:
        disturbance.assert_done(shop)


@pytest.mark.operator_down
def test_a_disturbance_without_an_operator_lets_no_pod_go(open_shop: OpenShop, installation: Installation) -> None:
    shops = _open_all(open_shop, len(DISTURBANCES))
    disturbances = [disturbance for disturbance in DISTURBANCES.values() for _ in POLICIES]
    _begin(shops)
    with installation.down():
        for shop, disturbance in zip(shops, disturbances, strict=True):
            disturbance.deed(shop)
        _assert_nobody_goes(shops)
    _finish(shops)
    for shop, disturbance in zip(shops, disturbances, strict=True):
        disturbance.assert_done(shop)


@pytest.mark.operator_down
def test_with_no_operator_a_new_template_and_partition_0_come_up_against_the_lid(
    open_shop: OpenShop, installation: Installation
) -> None:
    shops = _open_all(open_shop, 1)
    with installation.down():
        new = [shop.change_template() for shop in shops]
        for shop in shops:
            shop.patch_stateful_set(PARTITION_0)
        for shop in shops:
            shop.wait("the lid to refuse the controller's delete", partial(shop.was_said, HELD))
        _assert_nobody_goes(shops)
        assert all(pod.ready for shop in shops for pod in shop.pods)
    for shop in shops:
        shop.await_complete()
        shop.assert_nobody_noticed()
    assert [shop.revisions() for shop in shops] == [[revision] * REPLICAS for revision in new]


def _open_all(open_shop: OpenShop, times: int) -> list[Shop]:
    """So many of each pod management policy, to be disturbed at the same time."""
    orders = [{"policy": policy, "replicas": REPLICAS} for _ in range(times) for policy in POLICIES]
    with ThreadPoolExecutor() as threads:
        return list(threads.map(lambda order: open_shop(**order), orders))


def _assert_nobody_goes(shops: list[Shop]) -> None:
    """While there is nobody to drain it, no pod goes."""
    before = {shop.namespace: {pod.uid for pod in shop.pods} for shop in shops}

    def holds(shop: Shop) -> bool:
        return {pod.uid for pod in shop.pods if not pod.terminating} == before[shop.namespace]

    for shop in shops:
        shop.stays("no pod goes while there is nobody to drain it", partial(holds, shop), DEAF_SECONDS)


def _begin(shops: list[Shop]) -> None:
    """Be in the middle: the first pod of each drains, until its drain is mended."""
    for shop in shops:
        shop.set_faults(ENDLESS_DRAIN, REPLICAS - 1)
        shop.change_template(VERSION="first")
    for shop in shops:
        shop.await_stage(REPLICAS - 1, "Draining")


def _finish(shops: list[Shop]) -> None:
    """Mend what was broken; then everything gets where it shall, and nobody has noticed."""
    for shop in shops:
        shop.set_faults({}, REPLICAS - 1)
    for shop in shops:
        shop.await_complete()
        shop.assert_nobody_noticed()
