"""When a rollout of the template is over, by what everybody says. Pure."""

from __future__ import annotations

from collections.abc import Collection

from e2e.harness.invariants import condition_is_true
from e2e.harness.kubectl import Json
from e2e.harness.pods import Pod
from statefulrollout.api import names


def is_rolled_out(stateful_set: Json, pods: Collection[Pod], rollout: Json | None) -> bool:
    """Whether every pod is at the template's revision and serves, and it is accepted.

    `rollout` is the StatefulRollout, which must say so, too; None where Kubernetes rolls alone. An object that is not
    there yet is an empty one.
    """
    if not is_accepted(stateful_set, rollout):
        return False
    wanted = stateful_set["status"].get("updateRevision", "")
    in_place = [pod for pod in pods if pod.revision == wanted and pod.ready]
    return bool(len(in_place) == stateful_set["spec"]["replicas"] == len(pods))


def is_accepted(stateful_set: Json, rollout: Json | None) -> bool:
    """Whether the template's revision is accepted, as far as the two objects say; as in `is_rolled_out`."""
    if not stateful_set or (rollout is not None and not rollout):
        return False
    status = stateful_set.get("status", {})
    wanted = status.get("updateRevision", "")
    observed = status.get("observedGeneration", 0) >= stateful_set["metadata"]["generation"]
    accepted = status.get("currentRevision", "") == wanted
    is_said = rollout is None or (
        rollout.get("status", {}).get("wantedRevision") == wanted and condition_is_true(rollout, names.READY)
    )
    return observed and accepted and is_said
