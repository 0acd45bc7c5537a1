"""The webhooks, and the policy on authors: whom they concern and what they cost when we are away."""

import inspect
import re
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from statefulrollout.api import names
from statefulrollout.api.walk import calls_of
from tests.chart.render import CHART, MATRIX, NAMESPACE, RELEASE, Manifest, call_helm, render, the
from tests.chart.test_lid import value_of

STATEFULSET = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "kvstore", "uid": "u", "controller": True}


def webhook(kind: str = "MutatingWebhookConfiguration") -> Manifest:
    """The only webhook of a configuration."""
    (found,) = the(render(), kind)["webhooks"]
    assert isinstance(found, dict)
    return found


def evictions() -> Manifest:
    """The webhook of evictions."""
    return webhook("ValidatingWebhookConfiguration")


def test_a_dead_operator_delays_no_pod_and_no_eviction() -> None:
    for found, effects in ((webhook(), "None"), (evictions(), "NoneOnDryRun")):
        assert found["failurePolicy"] == "Ignore"
        assert found["timeoutSeconds"] == 2
        assert found["sideEffects"] == effects


def test_evictions_are_seen_when_they_are_asked_for() -> None:
    asked = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/eviction"], "scope": "Namespaced"}
    assert evictions()["rules"] == [asked | {"operations": ["CREATE"]}]


@pytest.mark.parametrize(
    ("name", "asked"),
    [("kvstore-3", True), ("kvstore-12", True), ("web-7d9c-x2kqz", False), ("job-1-abc", False)],
)
def test_only_evictions_of_pods_that_may_be_a_statefulsets_are_asked_about(name: str, asked: bool) -> None:
    request = {"request": {"name": name}}
    assert all(value_of(each["expression"], request) for each in evictions()["matchConditions"]) is asked


def test_pods_are_seen_when_they_are_created_and_after_other_webhooks() -> None:
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "Namespaced"}
    assert webhook()["rules"] == [pods | {"operations": ["CREATE"]}]
    assert webhook()["reinvocationPolicy"] == "IfNeeded"


def test_the_control_plane_and_the_operator_itself_are_left_alone() -> None:
    for found in (webhook(), evictions()):
        (rule,) = found["namespaceSelector"]["matchExpressions"]
        assert (rule["key"], rule["operator"]) == ("kubernetes.io/metadata.name", "NotIn")
        assert set(rule["values"]) == {"kube-system", NAMESPACE}


def test_about_what_it_does_not_look_at_it_is_not_asked() -> None:
    manifests = render({"namespaces": ["shop", "web"]})
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        (found,) = the(manifests, kind)["webhooks"]
        (rule,) = found["namespaceSelector"]["matchExpressions"]
        assert (rule["operator"], rule["values"]) == ("In", ["shop", "web"])


@pytest.mark.parametrize("namespace", ["kube-system", NAMESPACE])
def test_a_namespace_that_it_could_not_look_at_is_refused(namespace: str) -> None:
    result = call_helm(
        "template", RELEASE, str(CHART), "--namespace", NAMESPACE, values={"namespaces": ["shop", namespace]}
    )
    assert f"namespaces: {namespace} cannot be one of them" in result.stderr


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
    assert "caBundle" not in webhook()["clientConfig"] | evictions()["clientConfig"]
    assert not {"data", "stringData"} & the(render(), "Secret").keys()


def test_the_webhooks_reach_the_operator() -> None:
    manifests = render()
    service = the(manifests, "Service")
    deployment = the(manifests, "Deployment")
    reference, other = (found["clientConfig"]["service"] for found in (webhook(), evictions()))
    assert (reference["path"], other["path"]) == ("/mutate-pod", "/validate-eviction")
    assert (reference["namespace"], reference["name"]) == (NAMESPACE, service["metadata"]["name"])
    assert reference | {"path": ""} == other | {"path": ""}
    (port,) = service["spec"]["ports"]
    assert reference["port"] == port["port"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert port["targetPort"] in [p["name"] for p in container["ports"]]
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]


def test_a_replica_that_is_told_to_go_still_answers_for_a_while() -> None:
    (container,) = the(render(), "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}


def environment_of(manifests: list[Manifest]) -> dict[str, str | None]:
    """The operator's variables without their prefix; None where the pod fills them in."""
    (container,) = the(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    return {variable["name"].removeprefix("STATEFULROLLOUT_"): variable.get("value") for variable in container["env"]}


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_the_chart_creates_the_secret_that_the_operator_keeps_and_no_other(values: Manifest) -> None:
    manifests = render(values)
    env = environment_of(manifests)
    created = [m["metadata"]["name"] for m in manifests if m["kind"] == "Secret"]
    if given := values.get("webhook", {}).get("existingSecret"):
        assert (env["WEBHOOK_SECRET"], env["WEBHOOK_CERTIFICATES_KEPT_BY"], created) == (given, "others", [])
    else:
        assert "WEBHOOK_CERTIFICATES_KEPT_BY" not in env
        assert created == [env["WEBHOOK_SECRET"]]


def test_the_certificate_that_the_readme_shows_is_for_the_service_that_it_installs() -> None:
    page = (CHART / "README.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    certificate = yaml.safe_load(block)
    (secret,) = re.findall(r"--set webhook.existingSecret=(\S+)", page)
    (installed,) = set(re.findall(rf"helm (?:upgrade --)?install ({RELEASE}) \S+ --namespace (\S+)", page))
    service = the(render(), "Service")["metadata"]["name"]
    assert installed == (RELEASE, certificate["metadata"]["namespace"])
    assert certificate["spec"]["dnsNames"] == [f"{service}.{installed[1]}.svc"]
    assert certificate["spec"]["secretName"] == secret
    assert "server auth" in certificate["spec"]["usages"]


def test_the_operator_is_told_the_names_that_it_may_write_to() -> None:
    manifests = render()
    env = environment_of(manifests)
    rules = the(manifests, "Role")["rules"] + the(manifests, "ClusterRole", "statefulrollout")["rules"]
    narrowed = [rule for rule in rules if "resourceNames" in rule]
    named = {resource: rule["resourceNames"] for rule in narrowed for resource in rule["resources"]}
    assert named == {
        "leases": [env["LEASE_NAME"]],
        "secrets": [env["WEBHOOK_SECRET"]],
        "mutatingwebhookconfigurations": [env["WEBHOOK_CONFIGURATION"]],
        "validatingwebhookconfigurations": [env["WEBHOOK_CONFIGURATION"]],
    }
    assert env["WEBHOOK_SERVICE"] == the(manifests, "Service")["metadata"]["name"]
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        assert env["WEBHOOK_CONFIGURATION"] == the(manifests, kind)["metadata"]["name"]


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
    validation = the(render(), "ValidatingAdmissionPolicy", "statefulrollout-author")["spec"]["validations"][0]
    assert validation["expression"] == (
        "authorizer.group('').resource('pods').namespace(request.namespace).check('delete').allowed()"
    )
    request = {"namespace": "shop", "userInfo": {"username": "jane"}}
    message = value_of(validation["messageExpression"], {"request": request})
    assert message.startswith("jane may not delete pods in namespace shop")


HTTP: dict[str, Any] = {"http": {}}
EXEC: dict[str, Any] = {"exec": {}}
CALLS = [
    ({}, []),
    ({"drain": {"apply": EXEC}}, [EXEC]),
    ({"migrate": {"apply": HTTP, "done": {"call": EXEC}}}, [HTTP, EXEC]),
    ({"restore": {"apply": HTTP, "undo": EXEC}}, [HTTP, EXEC]),
    ({"membership": {"apply": EXEC}, "checks": []}, [EXEC]),
    ({"checks": [{"call": HTTP}, {"call": EXEC}]}, [HTTP, EXEC]),
    (
        {"beforeRollout": [{"apply": HTTP, "undo": EXEC}, {"apply": HTTP, "done": {"call": HTTP}}]},
        [HTTP, HTTP, HTTP, EXEC],
    ),
    ({"strategy": {"order": {"role": {"ask": {"call": EXEC}}}}}, [EXEC]),
    ({"strategy": {"order": {"role": {"label": "role"}}}}, []),
    ({"capacity": {"load": {"call": EXEC}}}, [EXEC]),
]


def author_policy() -> Manifest:
    policy = the(render({"exec": {"enabled": True}}), "ValidatingAdmissionPolicy", "statefulrollout-author")["spec"]
    assert isinstance(policy, dict)
    return policy


@pytest.mark.parametrize(("spec", "calls"), CALLS)
def test_every_call_of_a_spec_is_judged(spec: dict[str, Any], calls: list[dict[str, Any]]) -> None:
    variables = {entry["name"]: entry["expression"] for entry in author_policy()["variables"]}
    assert value_of(f"({variables['calls']}) == calls", {"object": {"spec": spec}, "calls": calls}) is True


def test_the_calls_that_are_judged_are_all_that_there_are() -> None:
    """A call that `api/walk.py` knows and the policy does not would be a way to borrow the operator's rights."""
    (expression,) = (entry["expression"] for entry in author_policy()["variables"] if entry["name"] == "calls")
    walked = inspect.getsource(calls_of)
    for field in set(re.findall(r"spec\.([a-z_]+)", walked)) - {"strategy"}:
        assert to_camel(field) in expression, field
    assert "order.role.ask" in expression


def test_whoever_has_commands_run_in_pods_must_be_allowed_to() -> None:
    validation = author_policy()["validations"][2]
    assert " ".join(validation["expression"].split()) == (
        "!variables.calls.exists(call, has(call.exec)) || authorizer.group('').resource('pods').subresource('exec')"
        ".namespace(request.namespace).check('create').allowed()"
    )
    request = {"namespace": "shop", "userInfo": {"username": "jane"}}
    message = value_of(validation["messageExpression"], {"request": request})
    assert message.startswith("jane may not run commands in pods of namespace shop")


def test_whoever_has_a_secret_sent_must_be_allowed_to_read_it() -> None:
    policy = author_policy()
    variables = {entry["name"]: entry["expression"] for entry in policy["variables"]}
    calls = [HTTP, EXEC, {"http": {"authFrom": {"name": "login"}}}]
    assert value_of(f"({variables['secrets']}) == ['login']", {"variables": {"calls": calls}}) is True
    expression = "".join(policy["validations"][1]["expression"].split())
    assert expression == (
        "variables.secrets.all(name,authorizer.group('').resource('secrets').namespace(request.namespace)"
        ".name(name).check('get').allowed())"
    )
