"""Gives the pods of a cluster without a network add-on their addresses and routes.

Only for nodes of our own image, which carries the script that does it on every start; this module
tells each node the ranges that Kubernetes assigned. Enforces no NetworkPolicy.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from e2e.cluster.commands import call
from e2e.cluster.engine import docker
from e2e.cluster.progress import wait_until

# kind's default, which its own documents promise.
POD_SUBNET = "10.244.0.0/16"
ASSIGN_SECONDS = 60.0


def connect_pods(kubectl: Path, kubeconfig: Path, nodes: int) -> None:
    """Wait until every one of `nodes` nodes has its range of addresses, then connect them all."""
    ranges: dict[str, str] = {}

    def assigned() -> bool:
        listed = json.loads(call([kubectl, "--kubeconfig", kubeconfig, "get", "nodes", "--output", "json"]))
        ranges.update(ranges_of(listed))
        return len(ranges) == nodes

    wait_until(
        f"Kubernetes to assign each of {nodes} nodes a range of pod addresses",
        assigned,
        deadline_seconds=ASSIGN_SECONDS,
        explain=lambda: f"assigned so far: {ranges}",
    )
    for node in ranges:
        text = build_node_routes(node, ranges)
        docker("exec", "--interactive", node, "cp", "/dev/stdin", "/kind/pod-network", stdin=text.encode())
        docker("exec", node, "systemctl", "restart", "pod-network.service")


def reconnect_pods(nodes: Sequence[str]) -> None:
    """Set the routes of our own nodes anew: one that was stopped and started may have another address."""
    for node in nodes:
        docker("exec", node, "systemctl", "try-restart", "pod-network.service")


def ranges_of(listed: Mapping[str, object]) -> dict[str, str]:
    """The range of pod addresses of each node that has one, in a NodeList."""
    items = listed["items"]
    assert isinstance(items, list)
    return {item["metadata"]["name"]: item["spec"]["podCIDR"] for item in items if "podCIDR" in item["spec"]}


def build_node_routes(node: str, ranges: Mapping[str, str]) -> str:
    """The file that tells `node` its own range (first line) and where every other one is."""
    others = [f"{other} {range_}" for other, range_ in sorted(ranges.items()) if other != node]
    return "\n".join([f"{POD_SUBNET} {ranges[node]}", *others]) + "\n"
