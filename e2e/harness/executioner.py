"""SIGKILL to the processes of a container, from the node: they get no chance to say goodbye.

From inside a container its first process cannot be killed, and deleting a pod by force still sends SIGTERM first.
A pod that sees the node's processes works the same on every cluster; it stands ready on each node, so that a kill
hits the moment that was meant.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from e2e.harness.kubectl import Kubectl

NAME = "executioner"
IMAGE = "kvstore:dev"
WAIT = "import signal; signal.pause()"
KILL = """
import os, pathlib, signal, sys, time
def processes():
    for line in pathlib.Path("/proc").glob("[0-9]*/cgroup"):
        try:
            if sys.argv[1] in line.read_text():
                yield int(line.parent.name)
        except OSError:
            continue
found = list(processes())
for number in found:
    os.kill(number, signal.SIGKILL)
while list(processes()):
    time.sleep(0.02)
print(len(found))
"""
"""Kills every process of a container and waits for their end; prints how many there were."""


@dataclass(frozen=True)
class Executioner:
    """The pods that kill. They belong to the root user with the right to kill, and to nothing else."""

    kubectl: Kubectl
    namespace: str

    def ensure(self) -> None:
        """Put a pod on each node that takes ordinary pods, and wait until all are ready."""
        labels = {"app": NAME}
        container = {
            "name": NAME,
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "args": ["-c", WAIT],
            "command": ["python"],
            "securityContext": {"runAsUser": 0, "capabilities": {"drop": ["ALL"], "add": ["KILL"]}},
        }
        pod = {"hostPID": True, "terminationGracePeriodSeconds": 0, "containers": [container]}
        self.kubectl.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "DaemonSet",
                "metadata": {"name": NAME, "namespace": self.namespace},
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": pod},
                },
            },
        )
        self.kubectl.run("rollout", "status", "daemonset", NAME, "-n", self.namespace, "--timeout=60s")

    def kill(self, node: str, container_id: str) -> None:
        """Kill a container on a node; the ID is as the pod's status gives it."""
        listed = self.kubectl.run(
            "get",
            "pods",
            "-n",
            self.namespace,
            "-l",
            f"app={NAME}",
            f"--field-selector=spec.nodeName={node}",
            "-o",
            "json",
        )
        (pod,) = json.loads(listed)["items"]
        name, identity = pod["metadata"]["name"], container_id.rpartition("/")[2]
        killed = self.kubectl.run("exec", "-n", self.namespace, name, "--", "python", "-c", KILL, identity)
        assert int(killed) > 0, f"no process of container {identity} runs on {node}"
