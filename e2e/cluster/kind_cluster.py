"""A kind cluster of one control-plane node and two workers: its states, and the ways between them.

A cluster is complete when it carries the mark that is set last. Which change is due is decided by
`lifecycle`, which image the nodes run by `ways`.
"""

import enum
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import cache, pod_network, tools
from e2e.cluster.commands import CommandError, call, call_logged, succeeds
from e2e.cluster.engine import docker
from e2e.cluster.errors import ClusterToolError
from e2e.cluster.progress import step, wait_until

ROLES = ("control-plane", "worker", "worker")
NODE_LABEL = "io.x-k8s.kind.cluster"
MARK = ("--namespace=kube-system", "configmap", "statefulrollout-e2e")
CREATE_SECONDS = 600.0
READY_SECONDS = 180.0
ANSWER_SECONDS = 60.0
DELETE_SECONDS = 180.0
UNANSWERED_TIMEOUT = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_syn_sent"
UNANSWERED_SECONDS = 5
BUILD_FOLDER = Path(__file__).parents[2] / "build"


class State(enum.Enum):
    """What the engine knows of a cluster's nodes."""

    ABSENT = "absent"
    PARTIAL = "partial"
    STOPPED = "stopped"
    RUNNING = "running"


@dataclass(frozen=True)
class KindCluster:
    """One cluster, by name. Its kubeconfig is a file of its own: the user's is never touched.

    `feature_gates` are those of Kubernetes that are on when it is made, beside its defaults.
    """

    name: str
    feature_gates: tuple[str, ...] = ()

    @property
    def kubeconfig(self) -> Path:
        return BUILD_FOLDER / f"{self.name}.kubeconfig"

    def nodes(self) -> list[str]:
        """The names of the containers that are the nodes, running or not."""
        return [line.partition(" ")[0] for line in self._listed()]

    def state(self) -> State:
        """What of this cluster the engine has, complete or not."""
        return state_of(self._listed())

    def image(self) -> str:
        """The name of the image that the nodes run."""
        return docker("inspect", "--format", "{{.Config.Image}}", self.nodes()[0])

    def is_complete(self) -> bool:
        """Whether the API server answers, within a minute, and carries the mark that is set last.

        A busy server is given that minute: what is not complete gets deleted.
        """
        # A program that cannot be had says nothing of the cluster: that error is not for the `try`.
        tools.ensure_kind()
        asked = [*self._kubectl(), "--request-timeout=5s", "get", *MARK, "--ignore-not-found", "--output", "name"]
        answers: list[str] = []

        def answered() -> bool:
            try:
                answers.append(call(asked))
            except CommandError:
                return False
            return True

        try:
            self.write_kubeconfig()
            wait_until("the API server to answer", answered, deadline_seconds=ANSWER_SECONDS)
        except ClusterToolError:
            return False
        return bool(answers[-1])

    @property
    def _settings(self) -> Path:
        return cache.folder() / f"{self.name}-kind.json"

    def missing_gates(self) -> list[str]:
        """The feature gates that were asked for and that it was made without."""
        made = json.loads(self._settings.read_bytes()) if self._settings.exists() else {}
        return [gate for gate in self.feature_gates if gate not in made.get("featureGates", {})]

    def create(self, image: str, *, own_image: bool) -> None:
        """Make the cluster from `image`; `own_image` brings no network add-on, so pods are connected here."""
        kind = tools.ensure_kind()
        config = json.dumps(build_config(own_image=own_image, feature_gates=self.feature_gates)).encode()
        self._settings.write_bytes(config)
        named: list[str | Path] = ["--name", self.name, "--kubeconfig", self.kubeconfig]
        log = cache.folder() / "logs" / f"kind-create-{self.name}.log"
        with step(f"starting the nodes of cluster {self.name}"):
            call_logged(
                [kind, "create", "cluster", *named, "--image", image, "--config", self._settings],
                log=log,
                timeout_seconds=CREATE_SECONDS,
            )
            self.write_kubeconfig()
        with step("waiting for the nodes and the add-ons"):
            if own_image:
                pod_network.connect_pods(tools.ensure_kubectl(), self.kubeconfig, len(ROLES))
            self._wait_ready()
            call([*self._kubectl(), "create", *MARK, f"--from-literal=image={image}"])

    def start(self) -> None:
        """Start the stopped nodes. Raises ClusterToolError if the cluster does not come back from it."""
        with step(f"starting the stopped nodes of cluster {self.name}"):
            nodes = self.nodes()
            docker("start", *nodes)
            if not self.is_complete():
                raise ClusterToolError("the API server does not answer, or the cluster was never completed")
            pod_network.reconnect_pods(nodes)
            self._wait_ready()

    def power_off(self, node: str) -> None:
        """Cut the power of one node.

        The kernels of the others remember for two minutes to which pod they sent a connection that nobody answered,
        and send the next one from the same port to the same dead pod, whatever kube-proxy says by then: the longer a
        node is away, the more ports lead there. Here they remember it for seconds.
        """
        self._own(node)
        for line in self._listed():
            running, _, state = line.rpartition(" ")
            if state == "running":
                docker("exec", running, "sh", "-c", f"echo {UNANSWERED_SECONDS} >{UNANSWERED_TIMEOUT}")
        docker("kill", node)

    def power_on(self, node: str) -> None:
        """Start a node again, and return once it is Ready."""
        docker("start", self._own(node))
        booted = ["docker", "exec", node, "systemctl", "is-active", "--quiet", "kubelet.service"]
        wait_until(f"{node} to boot", lambda: succeeds(booted), deadline_seconds=ANSWER_SECONDS)
        pod_network.reconnect_pods(self.nodes())
        self.wait_for_nodes()

    def _own(self, node: str) -> str:
        if node not in self.nodes():
            raise ClusterToolError(f"cluster {self.name} has no node {node}; it has {', '.join(self.nodes())}")
        return node

    def delete(self) -> None:
        """Delete the nodes and the kubeconfig, whatever state they are in."""
        with step(f"deleting cluster {self.name}"):
            call(
                [tools.ensure_kind(), "delete", "cluster", "--name", self.name, "--kubeconfig", self.kubeconfig],
                timeout_seconds=DELETE_SECONDS,
            )
        self.kubeconfig.unlink(missing_ok=True)

    def write_kubeconfig(self) -> None:
        """Write the kubeconfig: the port of the API server changes when nodes are started again."""
        text = call([tools.ensure_kind(), "get", "kubeconfig", "--name", self.name])
        BUILD_FOLDER.mkdir(exist_ok=True)
        fresh = self.kubeconfig.with_suffix(f".{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(text)
        fresh.replace(self.kubeconfig)

    def wait_for_nodes(self) -> None:
        """Return once every node is Ready. Raises ClusterToolError that says which one is not."""
        kubectl = self._kubectl()
        call(
            [*kubectl, "wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={READY_SECONDS:.0f}s"],
            timeout_seconds=READY_SECONDS + 10,
        )

    def _wait_ready(self) -> None:
        self.wait_for_nodes()
        waiting = [*self._kubectl(), "rollout", "status", f"--timeout={READY_SECONDS:.0f}s"]
        for namespace, deployment in (("kube-system", "coredns"), ("local-path-storage", "local-path-provisioner")):
            named = ["--namespace", namespace, f"deployment/{deployment}"]
            call([*waiting, *named], timeout_seconds=READY_SECONDS + 10)

    def _kubectl(self) -> list[str | Path]:
        return [tools.ensure_kubectl(), "--kubeconfig", self.kubeconfig]

    def _listed(self) -> list[str]:
        shown = "{{.Names}} {{.State}}"
        return docker("ps", "--all", "--filter", f"label={NODE_LABEL}={self.name}", "--format", shown).splitlines()


def state_of(listed: Sequence[str]) -> State:
    """The state of a cluster from its nodes, each as `NAME STATE` of the engine."""
    states = [line.rpartition(" ")[2] for line in listed]
    if not states:
        return State.ABSENT
    if len(states) < len(ROLES) or "created" in states:
        return State.PARTIAL
    return State.RUNNING if set(states) == {"running"} else State.STOPPED


def build_config(*, own_image: bool, feature_gates: Sequence[str] = ()) -> dict[str, object]:
    """kind's configuration of the cluster.

    Kubernetes refuses cgroup v1 unless told not to; on cgroup v2 the setting means nothing. Its controllers and its
    scheduler send 20 and 50 requests a second unless told to send more: scenarios side by side would wait for that, and
    benchmarks measure little else. And kube-proxy lets a second pass between two looks at what Services lead to: where
    many scenarios change that, one second of `propagationSeconds` would not be enough.
    """
    kubelet = {"kind": "KubeletConfiguration", "failCgroupV1": False}
    kube_proxy = {"kind": "KubeProxyConfiguration", "iptables": {"minSyncPeriod": "100ms"}}
    generous = {"extraArgs": {"kube-api-qps": "1000", "kube-api-burst": "2000"}}
    control_plane = {"kind": "ClusterConfiguration", "controllerManager": generous, "scheduler": generous}
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "featureGates": dict.fromkeys(feature_gates, True),
        "networking": {"disableDefaultCNI": own_image, "podSubnet": pod_network.POD_SUBNET},
        "kubeadmConfigPatches": [json.dumps(patch) for patch in (kubelet, kube_proxy, control_plane)],
        "nodes": [{"role": role} for role in ROLES],
    }
