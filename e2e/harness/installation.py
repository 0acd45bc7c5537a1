"""The operator under test: installed by its chart, stopped, started, and killed as hard as a process can be.

One operator serves the cluster and therefore every scenario that runs at the time: those that stop or kill it run
alone (marker `operator_down`).
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.harness.executioner import Executioner
from e2e.harness.kubectl import Json, Kubectl

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "statefulrollout"
NAMESPACE = "statefulrollout"
SELECTOR = "app.kubernetes.io/name=statefulrollout"
IMAGE = "statefulrollout:dev"
START_SECONDS = 120.0
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Installation:
    """The release, in a namespace of the same name; the CRDs belong to the first."""

    kubectl: Kubectl
    name: str = NAMESPACE

    def ensure(self, replicas: int = 1, namespaces: Sequence[str] = ()) -> None:
        """Install the chart, or upgrade the release, and wait until it leads; one that has not changed goes on running.

        One replica, so that whoever stops it stops all; in all namespaces, unless some are named.
        """
        repository, _, tag = IMAGE.partition(":")
        values = [f"image.repository={repository}", f"image.tag={tag}", "image.pullPolicy=Never"]
        if image := _local_image_id():
            # A new build has the same tag: only this makes the Deployment replace the pod.
            values.append(f"podAnnotations.image={image}")
        options = [
            "--set",
            f"replicas={replicas},exec.enabled=true,crds.enabled={json.dumps(self.name == NAMESPACE)}",
            "--set-json",
            f"namespaces={json.dumps(namespaces)}",
            *(option for value in values for option in ("--set-string", value)),
        ]
        self.kubectl.helm("upgrade", "--install", self.name, str(CHART), "--namespace", self.name, "--create-namespace",
                          "--wait", "--timeout", f"{START_SECONDS:.0f}s", *options)  # fmt: skip
        self.await_ready(replicas)

    def uninstall(self) -> None:
        """Remove the release, and wait until the operator has stopped."""
        self.kubectl.helm("uninstall", self.name, "--namespace", self.name, "--wait")
        self.wait_for("the operator's pods to be gone", lambda: not self.pods())

    def pods(self) -> list[Json]:
        """The operator's pods, those on their way out included."""
        listed = self.kubectl.run("get", "pods", "-n", self.name, "-l", SELECTOR, "-o", "json")
        items: list[Json] = json.loads(listed)["items"]
        return items

    def log(self, lines: int = 60) -> str:
        """The end of the log, of the container before this one too where it was killed."""
        selection = ["logs", "-n", self.name, "-l", SELECTOR, f"--tail={lines}"]
        before, now = self.kubectl.try_run(*selection, "--previous"), self.kubectl.try_run(*selection)
        return (f"{before.out}--- killed ---\n" if before.code == 0 else "") + now.out + now.err

    @contextmanager
    def down(self) -> Iterator[None]:
        """No operator runs for as long as the context lasts; afterwards one does again."""
        try:
            self.stop()
            yield
        finally:
            self.start()

    @contextmanager
    def replicated(self, replicas: int) -> Iterator[None]:
        """So many replicas run for as long as the context lasts; afterwards a fresh one."""
        try:
            self.start(replicas)
            yield
        finally:
            self.stop()
            self.start()

    @contextmanager
    def as_users_have_it(self) -> Iterator[None]:
        """Two replicas for as long as the context lasts, on two nodes and under the chart's own disruption budget."""
        try:
            self.ensure(replicas=2)
            yield
        finally:
            self.ensure()

    @contextmanager
    def confined_to(self, *namespaces: str) -> Iterator[None]:
        """It looks at no other namespace for as long as the context lasts."""
        try:
            self.ensure(namespaces=namespaces)
            yield
        finally:
            self.ensure()

    def stop(self) -> None:
        """Scale to zero and wait until the last pod is gone."""
        self._scale(0)
        self.wait_for("the operator's pods to be gone", lambda: not self.pods())

    def keep_off(self, node: str) -> None:
        """Have no replica run on this node: where one does, a fresh one starts elsewhere."""
        if any(pod["spec"]["nodeName"] == node for pod in self.pods()):
            self.kubectl.run("cordon", node)
            try:
                self.stop()
                self.start()
            finally:
                self.kubectl.run("uncordon", node)

    def start(self, replicas: int = 1) -> None:
        """Scale to so many and wait until all are ready."""
        self._scale(replicas)
        self.await_ready(replicas)

    def await_ready(self, replicas: int = 1) -> None:
        """Wait until so many pods are ready and no other is left, and one of them leads."""
        self.wait_for(f"{replicas} replicas of the operator that are ready", lambda: self._are_ready(replicas))
        self.wait_for("one of them to lead", self.find_leader)

    def find_leader(self) -> Json | None:
        """The pod that holds the Lease; None while nobody does, or whoever did is gone."""
        holder = self.holder().rpartition("_")[0]
        return next((pod for pod in self.pods() if pod["metadata"]["name"] == holder), None)

    def holder(self) -> str:
        """Who holds the Lease: the pod's name and what is new with every start of its process; empty for nobody."""
        lease = json.loads(self.kubectl.run("get", "lease", f"{self.name}-leader", "-n", self.name, "-o", "json"))
        return str(lease["spec"].get("holderIdentity", ""))

    def leader(self) -> Json:
        """The pod that leads."""
        found = self.find_leader()
        assert found is not None, "nobody leads"
        return found

    def renew(self) -> None:
        """Replace a pod that was killed before: the kubelet would wait ever longer to start its container again."""
        if any(restarts_of(pod) for pod in self.pods()):
            self.stop()
            self.start()

    def kill(self, executioner: Executioner) -> None:
        """SIGKILL to the leader's process; returns once it is dead. The kubelet starts the container again."""
        pod = self.leader()
        executioner.kill(pod["spec"]["nodeName"], container_id_of(pod))

    def kill_all(self, executioner: Executioner) -> None:
        """SIGKILL to every replica at once; returns once all are dead."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda pod: executioner.kill(pod["spec"]["nodeName"], container_id_of(pod)), self.pods()))

    def freeze(self, executioner: Executioner, seconds: float) -> Json:
        """SIGSTOP to the leader's process, and SIGCONT so many seconds later; returns its pod."""
        pod = self.leader()
        executioner.freeze(pod["spec"]["nodeName"], container_id_of(pod), seconds)
        return pod

    def restart(self) -> None:
        """`kubectl rollout restart`: an upgrade of the operator; returns while it goes on."""
        self.kubectl.run("rollout", "restart", "deployment", "-n", self.name, "-l", SELECTOR)

    def _scale(self, replicas: int) -> None:
        self.kubectl.run("scale", "deployment", "-n", self.name, "-l", SELECTOR, f"--replicas={replicas}")

    def _are_ready(self, replicas: int) -> bool:
        pods = self.pods()
        return len(pods) == replicas and all("deletionTimestamp" not in pod["metadata"] and _is_ready(pod)
                                             for pod in pods)  # fmt: skip

    def wait_for(self, what: str, probe: Callable[[], object]) -> None:
        """Look until it is true; raises AssertionError where that takes too long."""
        give_up_at = time.monotonic() + START_SECONDS
        while not probe():
            assert time.monotonic() < give_up_at, f"awaited: {what}; last seen: {self.pods()}"
            time.sleep(LOOK_SECONDS)


def container_id_of(pod: Json) -> str:
    """The ID of a pod's only container."""
    (container,) = pod["status"]["containerStatuses"]
    return str(container["containerID"])


def restarts_of(pod: Json) -> int:
    """How often its containers were started again."""
    return sum(each["restartCount"] for each in pod["status"].get("containerStatuses", ()))


def _is_ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _local_image_id() -> str:
    """The ID of the image in the local engine; empty where there is no engine, on a cluster of the user's own."""
    try:
        asked = subprocess.run(["docker", "image", "inspect", "--format={{.Id}}", IMAGE],
                               capture_output=True, text=True, check=False)  # fmt: skip
    except FileNotFoundError:
        return ""
    return asked.stdout.strip().rpartition(":")[2]
