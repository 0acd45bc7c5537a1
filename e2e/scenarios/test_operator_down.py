"""No operator for a while: pods come and go as ever, and what was missed is made up for."""

from __future__ import annotations

import pytest

from e2e.harness.api import Api
from e2e.harness.evictions import evict
from e2e.harness.installation import Installation
from e2e.scenarios.conftest import OpenShop
from statefulrollout.api import names
from statefulrollout.kube import paths

pytestmark = pytest.mark.operator_down


def test_pods_created_while_the_operator_is_down_become_ready(open_shop: OpenShop, installation: Installation) -> None:
    shop = open_shop(load=False)
    deleted = shop.pod(1)
    assert deleted is not None
    with installation.down():
        shop.scale(4)
        shop.delete_pod(1)
        shop.wait("the new pod to be Ready", lambda: (pod := shop.pod(3)) and pod.ready)
        shop.await_replaced(deleted)
        assert not any(pod.gated for pod in shop.pods if pod.ordinal in (1, 3))
    shop.await_complete()
    assert all(pod.fenced for pod in shop.pods)
    new = shop.change_template()
    shop.await_complete()
    assert shop.revisions() == [new] * 4
    assert all(pod.gated for pod in shop.pods)


def test_a_rollout_deleted_while_the_operator_is_down_is_let_go_of_later(
    open_shop: OpenShop, api: Api, installation: Installation
) -> None:
    shop = open_shop()
    before = {pod.uid for pod in shop.pods}
    shop.set_faults({"drain": {"mode": "accept-202"}}, 2)
    shop.change_template()
    shop.await_stage(2, "Draining")
    with installation.down():
        shop.delete_rollout()
        shop.wait("the StatefulRollout to be gone", lambda: not shop.rollout)
        # Long enough for Kubernetes to collect what belonged to it.
        shop.stays("nobody evicts the pod that drains", lambda: "disruption budget"
                   in evict(api, shop.namespace, shop.pods[2].name).message, seconds=5)  # fmt: skip
    shop.wait("every pod to be free and in service", lambda: all(
        pod.ready and not pod.fenced and not pod.leaves_for and not pod.is_true(names.RELEASED) for pod in shop.pods
    ))  # fmt: skip
    assert {pod.uid for pod in shop.pods} == before
    shop.wait("the budgets to go with it", lambda: not api.get(paths.poddisruptionbudgets(shop.namespace))["items"])
    shop.assert_nobody_noticed()
