"""What must hold of the chart under every set of values: valid for each Kubernetes, restricted, well named."""

import functools
import json
from typing import Any

import jsonschema
import pytest
import referencing
from kubernetes_validate.utils import schema_contents

from tests.chart.render import CHART, MATRIX, NAMESPACE, Manifest, call_helm, render, the

KUBERNETES = [f"1.{minor}" for minor in range(30, 38)]
CLUSTER_WIDE = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
}


@functools.cache
def validator_of(kubernetes: str, kind: str, api_version: str) -> jsonschema.Draft202012Validator:
    """Kubernetes' own schema of a kind, unknown fields refused."""
    folder = f"kubernetes-json-schema/v{kubernetes}.0-local-strict"
    group, _, version = api_version.rpartition("/")
    suffix = f"{group.partition('.')[0]}-{version}" if group else version
    schema = schema_contents(f"{folder}/{kind.lower()}-{suffix}.json", kubernetes)
    return jsonschema.Draft202012Validator(schema, registry=definitions_of(kubernetes, folder))


@functools.cache
def definitions_of(kubernetes: str, folder: str) -> "referencing.Registry[Any]":
    """What the schemas of one Kubernetes refer to."""
    definitions = schema_contents(f"{folder}/_definitions.json", kubernetes)
    return referencing.Resource.from_contents(definitions) @ referencing.Registry()


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_helm_finds_nothing_to_complain_about(values: Manifest) -> None:
    result = call_helm("lint", "--strict", "--quiet", str(CHART), values=values)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_every_manifest_is_valid_for_every_supported_kubernetes(kubernetes: str) -> None:
    different = {json.dumps(m, sort_keys=True): m for values in MATRIX.values() for m in render(values)}
    assert len(different) > 30
    problems = [
        f"{m['kind']} {m['metadata']['name']}: {error.json_path}: {error.message}"
        for m in different.values()
        for error in validator_of(kubernetes, m["kind"], m["apiVersion"]).iter_errors(m)
    ]
    assert problems == []


def test_an_older_kubernetes_is_refused() -> None:
    result = call_helm("template", "x", str(CHART), "--kube-version", "1.29.9", values={})
    assert result.returncode != 0
    assert "1.30" in result.stderr


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_everything_is_labelled_and_in_the_namespace_of_the_release(values: Manifest) -> None:
    for manifest in render(values):
        metadata = manifest["metadata"]
        assert metadata["labels"]["app.kubernetes.io/instance"] == "statefulrollout", manifest["kind"]
        expected = {None} if manifest["kind"] in CLUSTER_WIDE else {NAMESPACE}
        if manifest["kind"] in ("Role", "RoleBinding"):
            expected |= {*values.get("namespaces", ())}
        assert metadata.get("namespace") in expected, manifest["kind"]


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_the_pod_meets_the_restricted_standard(values: Manifest) -> None:
    pod = the(render(values), "Deployment")["spec"]["template"]["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & pod.keys()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert [volume.keys() - {"name"} for volume in pod["volumes"]] == [{"emptyDir"}]
    for container in pod["containers"] + pod.get("initContainers", []):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not any("hostPort" in port for port in container["ports"])


def test_probes_ask_the_port_that_the_operator_is_told_to_serve() -> None:
    (container,) = the(render(), "Deployment")["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert env["STATEFULROLLOUT_HEALTH_PORT"] == str(ports["health"])
    assert env["STATEFULROLLOUT_WEBHOOK_PORT"] == str(ports["webhook"])
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "statefulrollout:0.1.0"),
        ({"tag": "dev"}, "statefulrollout:dev"),
        ({"tag": "dev", "digest": "sha256:" + "b" * 64}, "statefulrollout@sha256:" + "b" * 64),
    ],
)
def test_the_digest_wins_over_the_tag_and_the_tag_over_the_version(image: dict[str, str], expected: str) -> None:
    (container,) = the(render({"image": image}), "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == expected


def test_one_replica_has_no_budget_and_two_have_one() -> None:
    assert not [m for m in render({"replicas": 1}) if m["kind"] == "PodDisruptionBudget"]
    manifests = render()
    budget = the(manifests, "PodDisruptionBudget")["spec"]
    deployment = the(manifests, "Deployment")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == deployment["selector"]
    assert deployment["template"]["metadata"]["labels"] == deployment["selector"]["matchLabels"]
    assert deployment["replicas"] == 2
