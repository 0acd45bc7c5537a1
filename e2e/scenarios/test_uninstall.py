"""`helm uninstall`, as the chart's README says: only the CRDs and the released Lease are left, nobody is stranded."""

from __future__ import annotations

import json

import pytest

from e2e.harness.installation import NAMESPACE, Installation
from e2e.harness.kubectl import Kubectl
from e2e.scenarios.conftest import OpenShop

pytestmark = pytest.mark.operator_down

CLUSTER_KINDS = (
    "clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingadmissionpolicies,"
    "validatingadmissionpolicybindings"
)
NAMESPACED_KINDS = "deployments,pods,services,secrets,serviceaccounts,roles,rolebindings,leases,poddisruptionbudgets"
EXPECTED = {"default", "statefulrollout-leader"}
"""The ServiceAccount that each namespace has, and the Lease, which the operator makes and not the chart."""


def test_an_uninstalled_release_strands_nobody_and_leaves_only_what_is_said(
    open_shop: OpenShop, installation: Installation, kubectl: Kubectl
) -> None:
    shop = open_shop()
    shop.delete_rollout()
    shop.wait("every pod to be free", lambda: not any(pod.fenced for pod in shop.pods))
    installation.uninstall()
    try:
        left = [name for name in _names_of(kubectl, CLUSTER_KINDS) if "statefulrollout" in name]
        left += [name for name in _names_of(kubectl, NAMESPACED_KINDS, "-n", NAMESPACE) if name not in EXPECTED]
        assert not left
        kept = [
            name for name in _names_of(kubectl, "customresourcedefinitions") if name.endswith("statefulrollout.dev")
        ]
        assert len(kept) == 2
        gone = shop.pod(2)
        assert gone is not None
        shop.scale(2)
        shop.wait("a scale-down without the operator", lambda: len(shop.pods) == 2)
        shop.scale(3)
        shop.wait("a scale-up without the operator", lambda: (pod := shop.newer(gone)) and pod.ready)
    finally:
        installation.ensure()


def _names_of(kubectl: Kubectl, kinds: str, *where: str) -> list[str]:
    items = json.loads(kubectl.run("get", kinds, *where, "-o", "json"))["items"]
    return [item["metadata"]["name"] for item in items]
