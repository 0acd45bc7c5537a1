"""The webhook that adds the gate, and the policy on authors: whom they concern and what they cost when we are away."""

from typing import Any

import pytest

from statefulrollout.api import names
from tests.chart.render import NAMESPACE, Manifest, render, the
from tests.chart.test_lid import value_of

STATEFULSET = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "kvstore", "uid": "u", "controller": True}


def webhook() -> Manifest:
    """The only webhook of the chart."""
    (found,) = the(render(), "MutatingWebhookConfiguration")["webhooks"]
    assert isinstance(found, dict)
    return found


def test_a_dead_operator_delays_no_pod() -> None:
    assert webhook()["failurePolicy"] == "Ignore"
    assert webhook()["timeoutSeconds"] == 2
    assert webhook()["sideEffects"] == "None"


def test_pods_are_seen_when_they_are_created_and_after_other_webhooks() -> None:
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "Namespaced"}
    assert webhook()["rules"] == [pods | {"operations": ["CREATE"]}]
    assert webhook()["reinvocationPolicy"] == "IfNeeded"


def test_the_control_plane_and_the_operator_itself_are_left_alone() -> None:
    (rule,) = webhook()["namespaceSelector"]["matchExpressions"]
    assert (rule["key"], rule["operator"]) == ("kubernetes.io/metadata.name", "NotIn")
    assert set(rule["values"]) == {"kube-system", NAMESPACE}


@pytest.mark.parametrize(
    ("owners", "asked"),
    [
        ([STATEFULSET], True),
        ([{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "c"}, STATEFULSET], True),
        ([STATEFULSET | {"controller": False}], False),
        ([{key: STATEFULSET[key] for key in STATEFULSET if key != "controller"}], False),
        ([STATEFULSET | {"kind": "ReplicaSet"}], False),
        ([STATEFULSET | {"apiVersion": "example.com/v1"}], False),
        ([], False),
        (None, False),
    ],
)
def test_only_pods_that_a_statefulset_controls_are_asked_about(owners: list[Any] | None, asked: bool) -> None:
    metadata = {"name": "kvstore-3"} | ({} if owners is None else {"ownerReferences": owners})
    (condition,) = webhook()["matchConditions"]
    assert value_of(condition["expression"], {"object": {"metadata": metadata}}) is asked


def test_an_upgrade_keeps_what_the_operator_wrote() -> None:
    assert "caBundle" not in webhook()["clientConfig"]
    assert not {"data", "stringData"} & the(render(), "Secret").keys()


def test_the_webhook_reaches_the_operator() -> None:
    manifests = render()
    service = the(manifests, "Service")
    deployment = the(manifests, "Deployment")
    reference = webhook()["clientConfig"]["service"]
    assert reference["path"] == "/mutate-pod"
    assert (reference["namespace"], reference["name"]) == (NAMESPACE, service["metadata"]["name"])
    (port,) = service["spec"]["ports"]
    assert reference["port"] == port["port"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert port["targetPort"] in [p["name"] for p in container["ports"]]
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]


def test_the_operator_is_told_the_names_that_it_may_write_to() -> None:
    manifests = render()
    (container,) = the(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    env = {variable["name"].removeprefix("STATEFULROLLOUT_"): variable.get("value") for variable in container["env"]}
    rules = the(manifests, "Role")["rules"] + the(manifests, "ClusterRole", "statefulrollout")["rules"]
    narrowed = [rule for rule in rules if "resourceNames" in rule]
    named = {resource: rule["resourceNames"] for rule in narrowed for resource in rule["resources"]}
    assert named == {
        "leases": [env["LEASE_NAME"]],
        "secrets": [env["WEBHOOK_SECRET"]],
        "mutatingwebhookconfigurations": [env["WEBHOOK_CONFIGURATION"]],
    }
    assert env["WEBHOOK_SECRET"] == the(manifests, "Secret")["metadata"]["name"]
    assert env["WEBHOOK_SERVICE"] == the(manifests, "Service")["metadata"]["name"]
    assert env["WEBHOOK_CONFIGURATION"] == the(manifests, "MutatingWebhookConfiguration")["metadata"]["name"]


def test_authors_are_judged_when_the_spec_changes() -> None:
    policy = the(render(), "ValidatingAdmissionPolicy", "statefulrollout-author")["spec"]
    (rule,) = policy["matchConstraints"]["resourceRules"]
    assert (rule["apiGroups"], rule["resources"]) == ([names.GROUP], [names.PLURAL])
    assert set(rule["operations"]) == {"CREATE", "UPDATE"}
    assert policy["failurePolicy"] == "Fail"
    (condition,) = policy["matchConditions"]
    old = {"spec": {"paused": False}, "metadata": {}}
    for new, judged in (({"spec": {"paused": True}}, True), ({**old, "metadata": {"labels": {"a": "b"}}}, False)):
        assert value_of(condition["expression"], {"object": new, "oldObject": old}) is judged
    assert value_of(condition["expression"], {"object": old, "oldObject": None}) is True


def test_a_refused_author_reads_what_is_missing() -> None:
    (validation,) = the(render(), "ValidatingAdmissionPolicy", "statefulrollout-author")["spec"]["validations"]
    assert validation["expression"] == (
        "authorizer.group('').resource('pods').namespace(request.namespace).check('delete').allowed()"
    )
    request = {"namespace": "shop", "userInfo": {"username": "jane"}}
    message = value_of(validation["messageExpression"], {"request": request})
    assert message.startswith("jane may not delete pods in namespace shop")


@pytest.mark.parametrize(
    ("spec", "runs_commands"),
    [
        ({}, False),
        ({"drain": {"apply": {"http": {}}}, "membership": {"apply": {"http": {}}}, "checks": []}, False),
        ({"drain": {"apply": {"exec": {}}}}, True),
        ({"migrate": {"apply": {"http": {}}, "done": {"call": {"exec": {}}}}}, True),
        ({"restore": {"apply": {"http": {}}, "undo": {"exec": {}}}}, True),
        ({"membership": {"apply": {"exec": {}}}}, True),
        ({"beforeRollout": [{"apply": {"http": {}}, "undo": {"exec": {}}}]}, True),
        ({"beforeRollout": [{"apply": {"http": {}}}]}, False),
        ({"strategy": {"order": {"role": {"ask": {"call": {"exec": {}}}}}}}, True),
        ({"strategy": {"order": {"role": {"label": "role"}}}}, False),
        ({"capacity": {"load": {"call": {"exec": {}}}}}, True),
        ({"checks": [{"call": {"http": {}}}, {"call": {"exec": {}}}]}, True),
    ],
)
def test_whoever_has_commands_run_in_pods_must_be_allowed_to(spec: dict[str, Any], runs_commands: bool) -> None:
    policy = the(render({"exec": {"enabled": True}}), "ValidatingAdmissionPolicy", "statefulrollout-author")["spec"]
    (variable,) = policy["variables"]
    assert value_of(variable["expression"], {"object": {"spec": spec}}) is runs_commands
    validation = policy["validations"][1]
    assert validation["expression"].split() == [
        "!variables.runsCommands",
        "||",
        "authorizer.group('').resource('pods').subresource('exec').namespace(request.namespace)"
        ".check('create').allowed()",
    ]
    request = {"namespace": "shop", "userInfo": {"username": "jane"}}
    message = value_of(validation["messageExpression"], {"request": request})
    assert message.startswith("jane may not run commands in pods of namespace shop")
