"""Puts the operator's chart on the cluster and sees it ready, and makes the two stores anew.

Both may be run again at any time: what is already as it should be is left alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from e2e.demo.programs import Cluster, DemoError, call
from e2e.demo.terminal import Terminal
from e2e.demo.variants import NAME, PODS, Variant, build_namespace
from e2e.kvstore.manifests import build_store

RELEASE = "statefulrollout"
CHART = Path(__file__).parents[2] / "charts" / "statefulrollout"
HELM = Path(sys.executable).with_name("helm")


async def locate(kubeconfig: str | None) -> Cluster:
    """The cluster that the cluster tool made, or the one of the user's own kubeconfig. Raises DemoError."""
    tool = [sys.executable, "-m", "e2e.cluster", *(["--kubeconfig", kubeconfig] if kubeconfig else [])]
    if kubeconfig:
        await call(*tool, "up")  # creates nothing here: it only says why such a cluster cannot be used
    folder = (await call(*tool, "path")).strip()
    file = (await call(*tool, "kubeconfig")).strip()
    return Cluster(Path(folder) / "kubectl", Path(file), external=bool(kubeconfig))


async def install_operator(cluster: Cluster, image: str, terminal: Terminal) -> None:
    """Install or upgrade the chart, and return when the operator is ready. Raises DemoError."""
    repository, colon, tag = image.rpartition(":")
    if not colon or "/" in tag:
        raise DemoError(f"the operator's image must be named with its tag, as in {image}:dev")
    values = [f"image.repository={repository}", f"image.tag={tag}"]
    if not cluster.external:
        # A rebuilt image has the same name: the identity makes the Deployment take it up.
        identity = (await call("docker", "image", "inspect", "--format", "{{.Id}}", image)).strip()
        values += ["image.pullPolicy=Never", f"podAnnotations.image={identity}"]
    arguments = [word for value in values for word in ("--set-string", value)]
    helm = (HELM, "--kubeconfig", cluster.kubeconfig, "upgrade", RELEASE, CHART, "--install")
    await terminal.during(
        f"installing the operator's chart in namespace {RELEASE}",
        call(*helm, "--namespace", RELEASE, "--create-namespace", *arguments),
        deadline_seconds=120,
    )
    await terminal.during(
        "waiting for the operator to be ready",
        cluster.run("rollout", "status", f"deployment/{RELEASE}", "--namespace", RELEASE),
        deadline_seconds=180,
        look=lambda: pods_in(cluster, RELEASE),
    )


async def remove(cluster: Cluster, variant: Variant, terminal: Terminal) -> None:
    """Delete the variant's namespace, should an earlier run have left it, and return when it is gone."""
    name = f"namespace/{variant.namespace}"
    if await cluster.run("get", name, "--ignore-not-found"):
        await terminal.during(
            f"removing {name} of an earlier run",
            cluster.run("delete", name, "--wait", "--timeout=170s"),
            deadline_seconds=180,
        )


async def start_store(cluster: Cluster, variant: Variant, terminal: Terminal) -> None:
    """Make the variant's namespace and store, and return when all pods serve. Raises DemoError.

    The StatefulRollout comes first, so that every pod has its readiness gate from the beginning.
    """
    namespace = ("--namespace", variant.namespace)
    await cluster.apply([build_namespace(variant)])
    if variant.rollout is not None:
        await cluster.apply([variant.rollout])
        await terminal.during(
            "waiting for the operator to see its StatefulRollout",
            cluster.run(
                "wait", f"sro/{NAME}", *namespace, "--for=jsonpath={.status.observedGeneration}=1", "--timeout=60s"
            ),
            deadline_seconds=70,
        )
    await cluster.apply(build_store(variant.store))
    served = (
        cluster.run("rollout", "status", f"statefulset/{NAME}", *namespace)
        if variant.rollout is None
        else cluster.run("wait", f"sro/{NAME}", *namespace, "--for=condition=Ready", "--timeout=180s")
    )
    await terminal.during(
        f"starting {PODS} pods in namespace {variant.namespace}",
        served,
        deadline_seconds=180,
        look=lambda: pods_in(cluster, variant.namespace),
    )
    if variant.rollout is not None:
        await _require_gates(cluster, variant)


async def pods_in(cluster: Cluster, namespace: str) -> str:
    """One line about the pods of a namespace."""
    pods = (await cluster.get("pods", "--namespace", namespace))["items"]
    ready = sum(
        any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))
        for pod in pods
    )
    return f"{namespace}: {ready} of {len(pods)} pods ready"


async def _require_gates(cluster: Cluster, variant: Variant) -> None:
    rollout = await cluster.get(f"sro/{NAME}", "--namespace", variant.namespace)
    if ungated := rollout["status"].get("ungated", 0):
        raise DemoError(
            f"{ungated} pods in {variant.namespace} were made without a readiness gate, so they cannot be taken out of "
            f"traffic first: does the operator's webhook answer? See `kubectl logs -n {RELEASE} deployment/{RELEASE}`"
        )
