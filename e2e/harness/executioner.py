"""Signals to the processes of a container, from its node: SIGKILL leaves no chance to say goodbye, SIGSTOP freezes.

From inside a container its first process cannot be signalled so, and deleting a pod by force still sends SIGTERM first.
A pod that sees the node's processes works the same on every cluster; it stands ready on each node, so that a signal
hits the moment that was meant.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from e2e.harness.kubectl import Kubectl

NAME = "executioner"
IMAGE = "kvstore:dev"
WAIT = "import signal; signal.pause()"
FIND = """
import os, pathlib, signal, subprocess, sys, time
def processes():
    for line in pathlib.Path("/proc").glob("[0-9]*/cgroup"):
        try:
            if sys.argv[1] in line.read_text():
                yield int(line.parent.name)
        except OSError:
            continue
def send(number):
    found = list(processes())
    for process in found:
        os.kill(process, number)
    return len(found)
"""
KILL = """
print(send(signal.SIGKILL))
while list(processes()):
    time.sleep(0.02)
"""
"""Kills every process of a container and waits for their end; prints how many there were."""
LATER = """
if os.fork():
    print(len(list(processes())), flush=True)
    os._exit(0)
os.setsid()
for stream in (0, 1, 2):
    os.dup2(os.open(os.devnull, os.O_RDWR), stream)
time.sleep(0.5)
for word in sys.argv[2:]:
    time.sleep(float(word)) if word[0].isdigit() else send(getattr(signal, word))
"""
"""Sends signals with pauses between them, once whoever asked for it has gone; prints how many processes get them.

So it works where the signal takes away the very connection over which it was asked for.
"""


@dataclass(frozen=True)
class Executioner:
    """The pods that send signals. They belong to the root user with the right to kill, and to nothing else."""

    kubectl: Kubectl
    namespace: str

    def ensure(self) -> None:
        """Put a pod on each node, and wait until all are ready."""
        labels = {"app": NAME}
        container = {
            "name": NAME,
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "args": ["-c", WAIT],
            "command": ["python"],
            "securityContext": {"runAsUser": 0, "capabilities": {"drop": ["ALL"], "add": ["KILL"]}},
        }
        pod = {
            "hostPID": True,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
        }
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
        """Kill a container on a node, and return once it is dead; the ID is as the pod's status gives it."""
        self._run(node, container_id, FIND + KILL)

    def kill_soon(self, node: str, container_id: str) -> None:
        """Kill a container half a second from now."""
        self._run(node, container_id, FIND + LATER, "SIGKILL")

    def freeze(self, node: str, container_id: str, seconds: float) -> None:
        """Stop a container half a second from now, and let it go on after so many seconds."""
        self._run(node, container_id, FIND + LATER, "SIGSTOP", f"{seconds:g}", "SIGCONT")

    def _run(self, node: str, container_id: str, script: str, *words: str) -> None:
        selection = ["-l", f"app={NAME}", f"--field-selector=spec.nodeName={node}"]
        (pod,) = json.loads(self.kubectl.run("get", "pods", "-n", self.namespace, *selection, "-o", "json"))["items"]
        name, identity = pod["metadata"]["name"], container_id.rpartition("/")[2]
        argv = ["exec", "-n", self.namespace, name, "--", "python", "-c", script, identity, *words]
        found = self.kubectl.run(*argv)
        assert int(found) > 0, f"no process of container {identity} runs on {node}"
