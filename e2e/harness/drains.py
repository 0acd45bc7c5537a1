"""`kubectl drain`, as an administrator does it, while a scenario watches."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from e2e.harness.kubectl import Kubectl

SECONDS = 240
NODE_IS_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


@dataclass
class Drain:
    """One drain that is under way, or over."""

    node: str
    process: subprocess.Popen[str]

    def finish(self, *, well: bool = True) -> str:
        """Wait for its end, and return what it printed. Raises AssertionError where it does not end as told."""
        said, _ = self.process.communicate(timeout=SECONDS + 30)
        assert (self.process.returncode == 0) is well, said
        return said


@contextmanager
def draining(kubectl: Kubectl, node: str, seconds: int = SECONDS) -> Iterator[Drain]:
    """Drain a node; it takes pods again when the context ends."""
    argv = [str(kubectl.program), "--kubeconfig", str(kubectl.kubeconfig), "drain", node, "--ignore-daemonsets"]
    argv += ["--delete-emptydir-data", f"--timeout={seconds}s"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield Drain(node, process)
    finally:
        process.kill()
        process.communicate()
        kubectl.run("uncordon", node)


def workers_of(kubectl: Kubectl) -> list[str]:
    """Names of the nodes that are there for pods."""
    names = kubectl.run("get", "nodes", "-l", f"!{NODE_IS_CONTROL_PLANE}", "-o", "jsonpath={.items[*].metadata.name}")
    return names.split()


def control_plane_of(kubectl: Kubectl) -> str:
    """Name of a node that is never drained here."""
    return kubectl.run("get", "nodes", "-l", NODE_IS_CONTROL_PLANE, "-o", "jsonpath={.items[0].metadata.name}")
