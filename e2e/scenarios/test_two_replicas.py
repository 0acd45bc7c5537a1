"""Two replicas of the operator: one is killed, frozen or replaced in the midst of a rollout, and the other goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.harness.executioner import Executioner
from e2e.harness.installation import Installation, restarts_of
from e2e.scenarios.conftest import OpenShop

pytestmark = pytest.mark.operator_down

LEASE_SECONDS = 15
LOST_EXIT_CODE = 3


@pytest.fixture
def replicas(installation: Installation) -> Iterator[None]:
    """Two of them."""
    with installation.replicated(2):
        yield


@pytest.mark.usefixtures("replicas")
def test_a_leader_that_is_killed_is_followed_by_the_standby(
    open_shop: OpenShop, installation: Installation, executioner: Executioner
) -> None:
    shop = open_shop(replicas=2)
    before = installation.holder()
    new = shop.change_template()
    shop.await_stage(1, "Isolating", "Draining", "Migrating", "Released")
    installation.kill(executioner)
    shop.wait("another holder of the Lease", lambda: installation.holder() not in ("", before))
    shop.await_complete()
    assert shop.revisions() == [new] * 2
    assert all(pod.gated for pod in shop.pods), "a replica answers the webhook whoever leads"
    shop.assert_nobody_noticed()


@pytest.mark.usefixtures("replicas")
def test_a_leader_that_is_frozen_and_thawed_does_not_act_twice(
    open_shop: OpenShop, installation: Installation, executioner: Executioner
) -> None:
    shop = open_shop(replicas=3)
    before = installation.holder()
    new = shop.change_template()
    shop.await_stage(2, "Isolating", "Draining", "Migrating", "Released")
    frozen = installation.freeze(executioner, LEASE_SECONDS + 10)
    shop.wait("another holder of the Lease", lambda: installation.holder() not in ("", before))
    shop.await_complete()
    assert shop.revisions() == [new] * 3

    def has_ended() -> bool:
        found = next(pod for pod in installation.pods() if pod["metadata"]["uid"] == frozen["metadata"]["uid"])
        (container,) = found["status"]["containerStatuses"]
        ended = container["lastState"].get("terminated", {})
        return restarts_of(found) > restarts_of(frozen) and ended.get("exitCode") == LOST_EXIT_CODE

    installation.wait_for("the thawed one to end by itself", has_ended)
    shop.assert_nobody_noticed()


@pytest.mark.usefixtures("replicas")
def test_an_upgrade_of_the_operator_interrupts_nothing(open_shop: OpenShop, installation: Installation) -> None:
    shop = open_shop(replicas=3)
    idle = {pod.name: pod.raw["metadata"]["resourceVersion"] for pod in shop.pods}
    installation.restart()
    installation.await_ready(2)
    assert {pod.name: pod.raw["metadata"]["resourceVersion"] for pod in shop.pods} == idle
    new = shop.change_template()
    shop.await_stage(2, "Isolating", "Draining", "Migrating", "Released")
    installation.restart()
    shop.await_complete()
    assert shop.revisions() == [new] * 3
    installation.await_ready(2)
    shop.assert_nobody_noticed()
