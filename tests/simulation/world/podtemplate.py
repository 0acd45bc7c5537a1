"""Pods as the StatefulSet controller makes and judges them.

Pure functions after `stateful_set_utils.go`: which revision a missing pod is made of, its identity, and when a pod
counts as created, ready and available.
"""

from __future__ import annotations

from statefulrollout.api import names
from tests.simulation.world.objects import Json, condition_of, copied, epoch_of, is_true, ordinal_of
from tests.simulation.world.revisions import template_of

UNREACHABLE_PARTITION = 2_147_483_647
"""The largest partition: no ordinal is at or above it."""
POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"


def build_pod(stateful_set: Json, current: Json, update: Json, ordinal: int) -> Json:
    """The pod that fills a vacant ordinal, at the current revision below the partition and the update one above."""
    spec, meta = stateful_set["spec"], stateful_set["metadata"]
    strategy = spec["updateStrategy"]
    start = spec.get("ordinals", {}).get("start", 0)
    held = strategy["type"] == "RollingUpdate" and ordinal < start + strategy["rollingUpdate"]["partition"]
    revision = current if held else update
    template = copied(template_of(revision))
    name = f"{meta['name']}-{ordinal}"
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": meta["name"], "uid": meta["uid"]}
    labels = {
        **template["metadata"].get("labels", {}),
        POD_NAME_LABEL: name,
        names.POD_INDEX_LABEL: str(ordinal),
        names.REVISION_LABEL: revision["metadata"]["name"],
    }
    claims = [
        {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim_name(claim, name)}}
        for claim in spec.get("volumeClaimTemplates", [])
    ]
    own = {claim["name"] for claim in claims}
    others = [volume for volume in template["spec"].get("volumes", []) if volume["name"] not in own]
    return {
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": template["metadata"].get("annotations", {}),
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {
            **template["spec"],
            "volumes": [*claims, *others],
            "hostname": name,
            "subdomain": spec.get("serviceName", ""),
        },
    }


def claim_name(claim: Json, pod: str) -> str:
    """The name of a pod's claim made of a claim template."""
    return f"{claim['metadata']['name']}-{pod}"


def identity_matches(stateful_set: Json, pod: Json) -> bool:
    """Whether the pod still carries the name label of its ordinal."""
    name = f"{stateful_set['metadata']['name']}-{ordinal_of(pod['metadata']['name'])}"
    return bool(pod["metadata"]["name"] == name == pod["metadata"]["labels"].get(POD_NAME_LABEL))


def revision_of(pod: Json) -> str:
    """The revision that the pod was made of."""
    return str(pod["metadata"].get("labels", {}).get(names.REVISION_LABEL, ""))


def is_created(pod: Json) -> bool:
    """Whether the pod came from the API server."""
    return bool(pod.get("status", {}).get("phase"))


def is_ready(pod: Json) -> bool:
    """Running and Ready."""
    return pod.get("status", {}).get("phase") == "Running" and is_true(pod, "Ready")


def is_available(pod: Json, min_ready_seconds: int, now: float) -> bool:
    """Running and Ready for that long."""
    condition = condition_of(pod, "Ready")
    if condition is None or not is_ready(pod):
        return False
    return min_ready_seconds == 0 or epoch_of(condition["lastTransitionTime"]) + min_ready_seconds < now
