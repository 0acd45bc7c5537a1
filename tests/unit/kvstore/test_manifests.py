"""The application's objects fit each other and the restricted Pod Security Standard."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.kvstore.__main__ import settings_of
from e2e.kvstore.manifests import Kvstore, build_disruption_budget, build_rollout, build_store
from e2e.load.manifests import build_load


def store(**changes: Any) -> dict[str, dict[str, Any]]:
    objects = build_store(Kvstore("kv", "shop", "kvstore:1", **changes))
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in objects}


def container_of(statefulset: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = statefulset["spec"]["template"]["spec"]["containers"][0]
    return container


def test_services_and_budget_select_the_pods() -> None:
    objects = store()
    labels = objects["StatefulSet/kv"]["spec"]["template"]["metadata"]["labels"]
    assert objects["Service/kv"]["spec"]["selector"] == labels
    assert objects["Service/kv-peers"]["spec"]["publishNotReadyAddresses"] is True
    assert objects["StatefulSet/kv"]["spec"]["serviceName"] == "kv-peers"
    assert build_disruption_budget("kv", "shop")["spec"]["selector"]["matchLabels"] == labels


def test_hooks_use_a_port_that_the_pods_have() -> None:
    ports = {port["name"] for port in container_of(store()["StatefulSet/kv"])["ports"]}
    spec = build_rollout("kv", "shop", strategy={"maxUnavailable": 2})["spec"]
    calls = [spec["drain"]["apply"], spec["drain"]["undo"], spec["membership"]["apply"]]
    assert {call["http"]["port"] for call in calls} <= ports
    assert spec["strategy"] == {"maxUnavailable": 2}
    assert "membership" not in build_rollout("kv", "shop", membership=None)["spec"]


@pytest.mark.parametrize(
    "changes", [{"membership": "static", "replicas": 3}, {"volume": True, "env": {"VERSION": "2"}}]
)
def test_the_program_understands_the_environment(changes: dict[str, Any]) -> None:
    env = {"POD_NAME": "kv-0"}
    env |= {
        each["name"]: each["value"]
        for each in container_of(store(**changes)["StatefulSet/kv"])["env"]
        if "value" in each
    }
    settings = settings_of(env)
    assert (settings.static_members is not None) == (changes.get("membership") == "static")
    assert (settings.data_dir is not None) == changes.get("volume", False)
    assert settings.version == env.get("VERSION", "")


def test_pods_are_restricted() -> None:
    pods = [
        store()["StatefulSet/kv"]["spec"]["template"]["spec"],
        build_load("load", "shop", "kvstore:1", "kv")["spec"],
    ]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        security = pod["containers"][0]["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
