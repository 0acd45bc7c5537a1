"""Nodes and pods that exist in the API server alone: KWOK plays their kubelets, as `stages.yaml` tells it to."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster import cache, components, golang
from e2e.harness.kubectl import Json, Kubectl

STAGES = Path(__file__).with_name("stages.yaml")
MARK = "kwok.x-k8s.io/node"
TAINT = {"key": MARK, "value": "fake", "effect": "NoSchedule"}
STOP_SECONDS = 20.0


@contextmanager
def fake_nodes(kubectl: Kubectl, count: int) -> Iterator[None]:
    """So many of them, for as long as the context lasts. Raises BlockingIOError: another run has its own there."""
    names = [f"fake-{number}" for number in range(count)]
    with _alone(), _kwok(kubectl):
        kubectl.apply(*(_node(name) for name in names))
        try:
            kubectl.run("wait", "--for=condition=Ready", *(f"node/{name}" for name in names), "--timeout=60s")
            yield
        finally:
            kubectl.run("delete", "node", *names, "--ignore-not-found")


@contextmanager
def _alone() -> Iterator[None]:
    """One run at a time on this machine: two would play each other's nodes, and the first to end deletes them."""
    with (cache.folder() / "bench.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(f"another benchmark runs on this machine: {lock.name} is locked") from error
        yield


@contextmanager
def _kwok(kubectl: Kubectl) -> Iterator[None]:
    program = golang.ensure_programs(components.KWOK) / "kwok"
    argv: list[str | Path] = [program, "--kubeconfig", kubectl.kubeconfig, "--config", STAGES]
    argv += ["--manage-nodes-with-annotation-selector", f"{MARK}=fake", "--node-lease-duration-seconds", "40"]
    log = cache.folder() / "logs" / "kwok.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as sink, subprocess.Popen(argv, stdout=sink, stderr=subprocess.STDOUT) as process:
        try:
            yield
            if process.poll() is not None:
                raise RuntimeError(f"kwok ended by itself, with status {process.returncode}; see {log}")
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def _node(name: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": {MARK: "fake"}, "labels": {MARK: "fake"}},
        "spec": {"taints": [TAINT]},
    }
