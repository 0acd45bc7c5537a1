"""The cluster's own parts, for scenarios in which they fail: the API server, etcd, and the power of a node.

Needs a control plane that runs in pods of the cluster, and for the power a cluster that the cluster tool made; where
there is none, a scenario is skipped.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from e2e.harness.executioner import Executioner
from e2e.harness.installation import container_id_of
from e2e.harness.kubectl import Json, Kubectl

NAMESPACE = "kube-system"
BACK_SECONDS = 180.0
LOOK_SECONDS = 0.2
POWER_SECONDS = 240


@dataclass(frozen=True)
class ControlPlane:
    """The control plane and the nodes."""

    kubectl: Kubectl
    executioner: Executioner

    def restart_api_server(self) -> None:
        """SIGKILL to the API server; returns once another one answers."""
        pod = self._pod_of("kube-apiserver")
        before = container_id_of(pod)
        self.executioner.kill_soon(pod["spec"]["nodeName"], before)
        self._wait_for("another API server", lambda: container_id_of(self._pod_of("kube-apiserver")) != before)

    def freeze_etcd(self, seconds: float) -> None:
        """SIGSTOP to etcd, and SIGCONT so many seconds later; returns once the API server can write again."""
        pod = self._pod_of("etcd")
        self.executioner.freeze(pod["spec"]["nodeName"], container_id_of(pod), seconds)
        time.sleep(seconds / 2)
        self._wait_for("an API server that reads from etcd", lambda: self._pod_of("etcd"))

    def power_off(self, node: str) -> None:
        """Cut the power of a node."""
        self._cluster("power-off", node)

    def power_on(self, node: str) -> None:
        """Start it again; returns once it is Ready."""
        self._cluster("power-on", node)

    def await_calm(self) -> None:
        """Wait until every pod of the control plane is ready: one that was cut off from etcd starts anew."""
        self._wait_for("the control plane to be ready", lambda: all(
            condition["status"] == "True"
            for pod in self._pods("-l", "tier=control-plane")
            for condition in pod["status"].get("conditions", ())
            if condition["type"] == "Ready"
        ))  # fmt: skip

    def _cluster(self, *command: str) -> None:
        argv = [sys.executable, "-m", "e2e.cluster", *command]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=POWER_SECONDS)
        if "was not made by this tool" in ended.stderr:
            pytest.skip(ended.stderr)
        assert ended.returncode == 0, ended.stderr

    def _pod_of(self, component: str) -> Json:
        found = self._pods("-l", f"component={component}")
        if not found:
            pytest.skip(f"no pod of this cluster is {component}")
        return found[0]

    def _pods(self, *selection: str) -> list[Json]:
        argv = ["get", "pods", "-n", NAMESPACE, *selection, "-o", "json", "--request-timeout=5s"]
        items: list[Json] = json.loads(self.kubectl.run(*argv))["items"]
        return items

    def _wait_for(self, what: str, probe: object) -> None:
        give_up_at = time.monotonic() + BACK_SECONDS
        problem = ""
        while True:
            try:
                if probe():  # type: ignore[operator]
                    return
            except AssertionError as error:
                problem = str(error)
            assert time.monotonic() < give_up_at, f"awaited: {what}; last seen: {problem}"
            time.sleep(LOOK_SECONDS)
