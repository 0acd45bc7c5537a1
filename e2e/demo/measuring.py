"""One side of the comparison, live: load on, change the template, watch the update to its end, final sweep.

What was seen is returned as a `Measurement`; nothing is judged here. The load pod never outlives the measurement.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from e2e.demo.figures import Measurement
from e2e.demo.loadpod import NAME as LOAD
from e2e.demo.loadpod import LoadPod
from e2e.demo.programs import Cluster, DemoError
from e2e.demo.terminal import Terminal
from e2e.demo.variants import NAME, Variant, is_rolled_out, is_stalled, is_updated
from e2e.demo.watching import Watched, watching
from e2e.kvstore.manifests import labels_of
from e2e.load.keytable import Verdict
from e2e.load.manifests import build_load
from e2e.load.sampler import Sampler, sampling

LEAD_SECONDS = 5.0
"""Under load before the change, and again after the update, so that the page shows what is normal."""
UPDATE_SECONDS = 600.0


@dataclass(frozen=True)
class Load:
    """How much load each side gets. `rate` is in requests per second."""

    keys: int
    rate: int


@dataclass(frozen=True)
class _Watches:
    """All that is followed of one side while it is measured."""

    variant: Variant
    load: LoadPod
    pods: Sampler
    statefulset: Watched
    rollout: Watched | None

    async def look(self) -> str:
        """One line on where things stand."""
        await self.load.fetch_records()
        clients = [record for record in self.load.records if record.source == "client"]
        newest = {event.uid: event.serving for event in self.pods.events}
        parts = [
            self._progress(),
            f"{sum(newest.values())} serving",
            f"{len(clients):,} requests",
            f"{sum(record.failed for record in clients):,} failed",
            f"{sum(record.outcome == Verdict.LOST for record in clients):,} found no key",
        ]
        return f"{self.variant.title}: {', '.join(parts)}"

    def _progress(self) -> str:
        status = (self.rollout or self.statefulset).latest.get("status", {})
        if self.rollout is None:
            return f"{status.get('updatedReplicas', 0)}/{status.get('replicas', 0)} at the newest template"
        pods = [pod for pod in status.get("pods", ()) if pod["stage"] not in {"Serving", "Updated"}]
        return ", ".join(
            [f"{status.get('updatedOf')} at the newest template", *(f"{pod['name']} {pod['stage']}" for pod in pods)]
        )


async def measure(cluster: Cluster, variant: Variant, load: Load, terminal: Terminal) -> Measurement:
    """Measure one side. Its store must be serving. Raises DemoError."""
    async with AsyncExitStack() as stack:
        seen = await _watch(cluster, variant, stack)
        await stack.enter_async_context(_loading(cluster, variant, load, terminal))
        await terminal.during(
            f"{variant.title}: under load, {load.rate} requests/s, nothing changed yet",
            asyncio.sleep(LEAD_SECONDS),
            deadline_seconds=60,
            look=seen.look,
        )
        changed_at = time.time()
        await cluster.run("set", "env", f"statefulset/{NAME}", "VERSION=2", "--namespace", variant.namespace)
        completed_at = await terminal.during(
            f"{variant.title}: the template has changed (VERSION=2)",
            _completion(cluster, seen),
            deadline_seconds=UPDATE_SECONDS,
            look=seen.look,
        )
        terminal.say(f"{variant.title}: complete after {completed_at - changed_at:.1f} s; still under load")
        await asyncio.sleep(LEAD_SECONDS)
        stats = await terminal.during(
            f"{variant.title}: reading every key a last time", seen.load.finish(), deadline_seconds=180
        )
    return Measurement(
        variant=variant,
        stats=stats,
        records=seen.load.records,
        events=seen.pods.events,
        rollout_versions=seen.rollout.versions if seen.rollout else (),
        changed_at=changed_at,
        completed_at=completed_at,
    )


@asynccontextmanager
async def _loading(cluster: Cluster, variant: Variant, load: Load, terminal: Terminal) -> AsyncIterator[None]:
    namespace = ("--namespace", variant.namespace)
    image = variant.store.image
    await cluster.apply([build_load(LOAD, variant.namespace, image, NAME, keys=load.keys, rate=load.rate)])
    try:
        await terminal.during(
            f"{variant.title}: writing {load.keys:,} keys",
            cluster.run("wait", f"pod/{LOAD}", *namespace, "--for=condition=Ready", "--timeout=120s"),
            deadline_seconds=130,
        )
        yield
    finally:
        await cluster.run("delete", f"pod/{LOAD}", *namespace, "--wait=false")


async def _watch(cluster: Cluster, variant: Variant, stack: AsyncExitStack) -> _Watches:
    namespace = variant.namespace
    selector = ",".join(f"{label}={value}" for label, value in labels_of(NAME).items())
    pods = await stack.enter_async_context(sampling(namespace, selector, cluster.kubeconfig, str(cluster.kubectl)))
    statefulset = await stack.enter_async_context(watching(cluster, namespace, "statefulset", NAME))
    rollout = None
    if variant.rollout is not None:
        rollout = await stack.enter_async_context(watching(cluster, namespace, "statefulrollout", NAME))
    return _Watches(variant, LoadPod(cluster, namespace), pods, statefulset, rollout)


async def _completion(cluster: Cluster, seen: _Watches) -> float:
    """When the update was complete. Raises DemoError where the operator says that it needs a human."""
    changed: dict[str, Any] = await cluster.get(f"statefulset/{NAME}", "--namespace", seen.variant.namespace)
    generation = changed["metadata"]["generation"]
    if seen.rollout is None:
        return await seen.statefulset.until(lambda statefulset: is_updated(statefulset, generation))
    await seen.statefulset.until(lambda statefulset: statefulset["status"].get("observedGeneration", 0) >= generation)
    revision = seen.statefulset.latest["status"]["updateRevision"]
    at = await seen.rollout.until(lambda rollout: is_rolled_out(rollout, revision) or is_stalled(rollout, revision))
    if is_stalled(seen.rollout.latest, revision):
        raise DemoError(f"the rollout has stopped: {seen.rollout.latest['status']['message']}")
    return at
