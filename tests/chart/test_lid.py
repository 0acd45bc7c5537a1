"""The lid, decided by its own expressions: who is held, what is let through, and what the refused one reads.

The expressions are evaluated as Kubernetes would, over deletes that are written as the API server sees them.
"""

from typing import Any

import pytest
from cel_expr_python import cel

from statefulrollout.api import names
from tests.chart.render import Manifest, render, the

CONTROLLER = "system:serviceaccount:kube-system:statefulset-controller"
SHARED = "system:kube-controller-manager"
COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"
BY_UID = {"preconditions": {"uid": "u"}, "propagationPolicy": "Background"}
RELEASED = {"type": names.RELEASED, "status": "True"}


def lid_of(*, shared: bool) -> Manifest:
    """The policy; `shared`: for a control plane with one user for all controllers."""
    manifests = render({"lid": {"sharedControllerIdentity": shared}})
    spec: Manifest = the(manifests, "ValidatingAdmissionPolicy", "statefulrollout-lid")["spec"]
    return spec


def value_of(expression: str, variables: dict[str, Any]) -> Any:
    """What a CEL expression says, and that it says it without an error."""
    env = cel.NewEnv(variables=dict.fromkeys(variables, cel.Type.DYN))
    result = env.compile(expression).eval(data=variables)
    assert result.type() in (cel.Type.BOOL, cel.Type.STRING), f"{expression}: {result.value()}"
    return result.value()


def refusal_of(delete: dict[str, Any], *, shared: bool = False) -> str | None:
    """The sentence that the one who deletes is told, or None if the pod goes."""
    spec = lid_of(shared=shared)
    if not all(value_of(condition["expression"], delete) for condition in spec["matchConditions"]):
        return None
    found = {variable["name"]: value_of(variable["expression"], delete) for variable in spec["variables"]}
    for validation in spec["validations"]:
        if not value_of(validation["expression"], {**delete, "variables": found}):
            return str(value_of(validation["messageExpression"], delete))
    return None


def delete(
    *conditions: dict[str, str],
    by: str = CONTROLLER,
    phase: str = "Running",
    options: dict[str, Any] | None = None,
    dying: bool = False,
) -> dict[str, Any]:
    """The delete of pod kvstore-3, as a policy sees it."""
    status: dict[str, Any] = {"phase": phase} | ({"conditions": list(conditions)} if conditions else {})
    return {
        "oldObject": {"metadata": {"name": "kvstore-3"}, "status": status},
        "request": {"userInfo": {"username": by}, "options": options or {}},
        "namespaceObject": {"metadata": {"name": "shop"} | ({"deletionTimestamp": "now"} if dying else {})},
    }


def test_an_undrained_pod_stays_and_the_controller_is_told_why() -> None:
    refusal = refusal_of(delete())
    assert refusal == "pod kvstore-3 is not drained yet: its StatefulRollout releases it once it is"


@pytest.mark.parametrize(
    "held",
    [
        delete({"type": "Ready", "status": "True"}),
        delete({"type": names.RELEASED, "status": "False"}),
        delete({"type": names.DRAINED, "status": "True"}),
        delete(phase="Pending"),
        delete(phase="Unknown"),
        delete(options=BY_UID),
        delete(dying=True),
    ],
    ids=["ready", "not released", "drained only", "pending", "unknown", "by UID", "namespace goes"],
)
def test_only_released_lets_the_controller_delete(held: dict[str, Any]) -> None:
    assert refusal_of(held) is not None


@pytest.mark.parametrize(
    "free",
    [
        delete({"type": "Ready", "status": "False"}, RELEASED),
        delete(phase="Failed"),
        delete(phase="Succeeded"),
        delete(by="jane@example.com"),
        delete(by=COLLECTOR, options=BY_UID),
        delete(by=SHARED),
    ],
    ids=["released", "failed", "succeeded", "a user", "the garbage collector", "a user the lid does not know"],
)
def test_everything_else_goes(free: dict[str, Any]) -> None:
    assert refusal_of(free) is None


@pytest.mark.parametrize("by", [CONTROLLER, SHARED])
def test_a_shared_identity_is_held_like_the_controller_itself(by: str) -> None:
    assert refusal_of(delete(by=by), shared=True) is not None
    assert refusal_of(delete(RELEASED, by=by), shared=True) is None


def test_a_shared_identity_still_collects_garbage_and_empties_dying_namespaces() -> None:
    assert refusal_of(delete(by=SHARED, options=BY_UID), shared=True) is None
    assert refusal_of(delete(by=SHARED, dying=True), shared=True) is None
    assert refusal_of(delete(by=SHARED, options={"preconditions": {"resourceVersion": "7"}}), shared=True) is not None


def test_the_exemptions_of_the_shared_identity_are_not_the_controllers_own() -> None:
    assert refusal_of(delete(options=BY_UID), shared=True) is not None
    assert refusal_of(delete(dying=True), shared=True) is not None


def test_the_lid_covers_deletes_of_labelled_pods_and_denies() -> None:
    spec = lid_of(shared=False)
    assert spec["failurePolicy"] == "Fail"
    assert spec["matchConstraints"] == {
        "objectSelector": {"matchLabels": {names.FENCED_LABEL: "true"}},
        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["pods"]}],
    }
    binding = the(render(), "ValidatingAdmissionPolicyBinding", "statefulrollout-lid")["spec"]
    assert binding == {"policyName": "statefulrollout-lid", "validationActions": ["Deny"]}
