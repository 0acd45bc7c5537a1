"""An operator that is confined to some namespaces: what it looks at it rolls, and nothing else."""

from __future__ import annotations

import pytest

from e2e.harness.installation import Installation
from e2e.scenarios.conftest import OpenShop

pytestmark = pytest.mark.operator_down


def test_what_a_confined_operator_does_not_look_at_waits_for_one_that_does(
    open_shop: OpenShop, installation: Installation
) -> None:
    ours, another = open_shop(replicas=2), open_shop(replicas=2)
    with installation.confined_to(ours.namespace):
        before, told = another.revisions(), another.rollout["status"]
        wanted = another.change_template()
        new = ours.change_template()
        ours.await_complete()
        assert ours.revisions() == [new] * 2
        assert all(pod.gated for pod in ours.pods)
        assert (another.revisions(), another.rollout["status"]) == (before, told)
    another.await_complete()
    assert another.revisions() == [wanted] * 2
    for shop in (ours, another):
        shop.assert_nobody_noticed()
