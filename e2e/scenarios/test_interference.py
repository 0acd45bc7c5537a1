"""Others change the StatefulSet in the middle of a rollout, with the operator up and with it down: the lid holds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import pytest

from e2e.harness.installation import Installation
from e2e.harness.kubectl import Json
from e2e.harness.shop import Shop
from e2e.scenarios.conftest import OpenShop

ENDLESS_DRAIN: Json = {"drain": {"mode": "accept-202"}}
PARTITION_0: Json = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}}
HELD = "is not drained yet"
"""What the lid says."""
DEAF_SECONDS = 5


@dataclass(frozen=True)
class Meanwhile:
    """Calling it gives the context in which the change is made; the operator runs on, or is stopped till its end."""

    installation: Installation
    operator_is_down: bool

    def __call__(self) -> AbstractContextManager[None]:
        return self.installation.down() if self.operator_is_down else nullcontext()

    def assert_nobody_goes(self, shops: list[Shop]) -> None:
        """While there is nobody to drain it, no pod goes."""
        if not self.operator_is_down:
            return
        before = {shop.namespace: {pod.uid for pod in shop.pods} for shop in shops}

        def holds(shop: Shop) -> bool:
            return {pod.uid for pod in shop.pods if not pod.terminating} == before[shop.namespace]

        for shop in shops:
            shop.stays("no pod goes while there is nobody to drain it", partial(holds, shop), DEAF_SECONDS)


@pytest.fixture(params=["operator up", pytest.param("operator down", marks=pytest.mark.operator_down)])
def meanwhile(request: pytest.FixtureRequest, installation: Installation) -> Meanwhile:
    return Meanwhile(installation, request.param == "operator down")


@pytest.fixture
def shops(open_shop: OpenShop) -> list[Shop]:
    """One of each pod management policy, disturbed at the same time."""
    orders = [{"policy": policy, "replicas": 4} for policy in ("OrderedReady", "Parallel")]
    return list(ThreadPoolExecutor().map(lambda order: open_shop(**order), orders))


def test_a_template_changed_again_in_the_middle_drains_every_pod(shops: list[Shop], meanwhile: Meanwhile) -> None:
    _begin(shops)
    with meanwhile():
        second = [shop.change_template(VERSION="second") for shop in shops]
        meanwhile.assert_nobody_goes(shops)
    _finish(shops)
    assert [shop.revisions() for shop in shops] == [[revision] * 4 for revision in second]


def test_a_partition_0_written_by_somebody_else_lets_no_pod_go_undrained(
    shops: list[Shop], meanwhile: Meanwhile
) -> None:
    _begin(shops)
    with meanwhile():
        for shop in shops:
            shop.patch_stateful_set(PARTITION_0)
        meanwhile.assert_nobody_goes(shops)
    _finish(shops)


def test_a_scale_down_in_the_middle_drains_the_pods_that_go(shops: list[Shop], meanwhile: Meanwhile) -> None:
    _begin(shops)
    with meanwhile():
        for shop in shops:
            shop.scale(2)
        meanwhile.assert_nobody_goes(shops)
    _finish(shops)
    assert [[pod.name for pod in shop.pods] for shop in shops] == [["kvstore-0", "kvstore-1"]] * 2


@pytest.mark.operator_down
def test_with_no_operator_a_new_template_and_partition_0_come_up_against_the_lid(
    shops: list[Shop], installation: Installation
) -> None:
    down = Meanwhile(installation, operator_is_down=True)
    with down():
        new = [shop.change_template() for shop in shops]
        for shop in shops:
            shop.patch_stateful_set(PARTITION_0)
        for shop in shops:
            shop.wait("the lid to refuse the controller's delete", partial(shop.was_said, HELD))
        down.assert_nobody_goes(shops)
        assert all(pod.ready for shop in shops for pod in shop.pods)
    _finish(shops)
    assert [shop.revisions() for shop in shops] == [[revision] * 4 for revision in new]


def _begin(shops: list[Shop]) -> None:
    """Be in the middle: the first pod of each drains, until its drain is mended."""
    for shop in shops:
        shop.set_faults(ENDLESS_DRAIN, 3)
        shop.change_template(VERSION="first")
    for shop in shops:
        shop.await_stage(3, "Draining")


def _finish(shops: list[Shop]) -> None:
    """Mend what was broken; then everything gets where it shall, and nobody has noticed."""
    for shop in shops:
        shop.set_faults({})
    for shop in shops:
        shop.await_complete()
        shop.assert_nobody_noticed()
