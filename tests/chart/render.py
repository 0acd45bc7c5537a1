"""The chart as Helm renders it: real Helm, run as a program, no cluster.

`MATRIX` names the sets of values that every general assertion runs over. Rendering is cached for the process, so a
test may ask again and again; what is handed out is a fresh copy.
"""

import functools
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "statefulrollout"
HELM = Path(sys.executable).with_name("helm")
NAMESPACE = "operators"
RELEASE = "statefulrollout"

Manifest = dict[str, Any]
Values = Mapping[str, Any]

ALL_ON: Values = {
    "replicas": 2,
    "image": {"repository": "statefulrollout", "tag": "1.2.3", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "pull"}],
    "fullnameOverride": "sro",
    "namespaces": ["shop", "web"],
    "crds": {"enabled": True, "keep": True},
    "lid": {"sharedControllerIdentity": True},
    "authorPolicy": {"enabled": True},
    "exec": {"enabled": True},
    "userRoles": {"enabled": True},
    "webhook": {"port": 10443, "existingSecret": "webhook-tls"},
    "logging": {"format": "console", "level": "debug"},
    "serviceAccount": {"create": True, "name": "roller", "annotations": {"a": "b"}},
    "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}
            ]
        }
    },
    "podAnnotations": {"scrape": "yes"},
    "extraEnv": [
        {"name": "PLAIN", "value": "1"},
        {"name": "FROM", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "from"}}},
    ],
}
ALL_OFF: Values = {
    "crds": {"enabled": False},
    "authorPolicy": {"enabled": False},
    "userRoles": {"enabled": False},
    "serviceAccount": {"create": False, "name": "given"},
    "resources": {"requests": None, "limits": None},
}
MATRIX: Mapping[str, Values] = {
    "default": {},
    "all on": ALL_ON,
    "all off": ALL_OFF,
    "image by digest": {"image": {"digest": "sha256:" + "a" * 64}},
    "one replica": {"replicas": 1},
    "CRDs not kept": {"crds": {"keep": False}},
    "certificates kept by others": {"webhook": {"existingSecret": "webhook-tls"}},
    "some namespaces": {"namespaces": ["shop", "web"]},
    "part of another chart": {"global": {"anything": 1}},
}


def call_helm(*arguments: str, values: Values) -> "subprocess.CompletedProcess[str]":
    """Run Helm on values given as a file on a pipe; the caller judges the exit code."""
    return subprocess.run(
        [str(HELM), *arguments, "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def render(values: Values | None = None) -> list[Manifest]:
    """Every manifest of the release, in Helm's order.

    Raises AssertionError with Helm's own words where it refuses the values.
    """
    text = _rendered(json.dumps(values or {}, sort_keys=True))
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def the(manifests: list[Manifest], kind: str, name: str | None = None) -> Manifest:
    """The one manifest of that kind (and name)."""
    found = [m for m in manifests if m["kind"] == kind and name in (None, m["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} manifests of kind {kind}, name {name}"
    return found[0]


@functools.cache
def _rendered(values: str) -> str:
    result = call_helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, values=json.loads(values))
    assert result.returncode == 0, result.stderr
    return result.stdout
