"""The two sides of the comparison: what each runs, and by what its update is complete. Pure: applies nothing.

Both run the same image with the same resources. They differ in the object that rolls them and in where the store
learns its members from: a fixed list under the plain StatefulSet, declarations under a StatefulRollout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from e2e.kvstore.manifests import Kvstore, Manifest, build_rollout

NAME = "kvstore"
PODS = 5
SOAK_SECONDS = 3
PROPAGATION_SECONDS = 2

Key = Literal["statefulset", "statefulrollout"]


@dataclass(frozen=True)
class Variant:
    """One side; `key` is its name in result.json, `rollout` the StatefulRollout where it has one."""

    key: Key
    title: str
    store: Kvstore
    rollout: Manifest | None

    @property
    def namespace(self) -> str:
        """The namespace that belongs to it alone."""
        return self.store.namespace


def build_variants(image: str) -> tuple[Variant, Variant]:
    """The plain StatefulSet and the StatefulRollout."""
    before = {"VERSION": "1"}
    plain = Kvstore(NAME, "demo-statefulset", image, replicas=PODS, membership="static", env=before)
    ours = Kvstore(NAME, "demo-statefulrollout", image, replicas=PODS, membership="declared", env=before)
    rollout = build_rollout(NAME, ours.namespace, strategy={"soakSeconds": SOAK_SECONDS})
    rollout["spec"]["drain"]["propagationSeconds"] = PROPAGATION_SECONDS
    return (
        Variant("statefulset", "Plain StatefulSet", plain, None),
        Variant("statefulrollout", "StatefulRollout", ours, rollout),
    )


def build_namespace(variant: Variant) -> Manifest:
    """Its namespace, under the restricted Pod Security Standard."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": variant.namespace, "labels": labels}}


def is_updated(statefulset: dict[str, Any], since_generation: int) -> bool:
    """Whether a plain StatefulSet has come to the end of its own update to the template of that generation."""
    status, replicas = statefulset.get("status", {}), statefulset["spec"]["replicas"]
    return bool(
        status.get("observedGeneration", 0) >= since_generation
        and status.get("updateRevision") == status.get("currentRevision")
        and status.get("updatedReplicas", 0) == replicas
        and status.get("readyReplicas", 0) == replicas
    )


def is_rolled_out(rollout: dict[str, Any], revision: str) -> bool:
    """Whether a StatefulRollout says that it is done, of its present spec and of this revision."""
    status = rollout.get("status", {})
    ready: dict[str, Any] = next((each for each in status.get("conditions", ()) if each["type"] == "Ready"), {})
    return bool(
        status.get("wantedRevision") == revision
        and status.get("acceptedRevision") == revision
        and ready.get("status") == "True"
        and ready.get("observedGeneration") == rollout["metadata"]["generation"]
    )


def is_stalled(rollout: dict[str, Any], revision: str) -> bool:
    """Whether a StatefulRollout says that it needs a human to get to this revision."""
    status = rollout.get("status", {})
    stalled = any(each["type"] == "Stalled" and each["status"] == "True" for each in status.get("conditions", ()))
    return stalled and status.get("wantedRevision") == revision
