"""Volume claims of a StatefulSet's pods, and who owns them.

Follows `stateful_pod_control.go` and the retention policy of `stateful_set_utils.go`: under `whenScaled: Delete` a
condemned pod becomes the owner of its claim, and a claim owned by a pod that is gone is not used again.
"""

from __future__ import annotations

from statefulrollout.errors import NotFound
from tests.simulation.world.apiserver import STATEFULSET_CONTROLLER, ApiServer
from tests.simulation.world.objects import Json
from tests.simulation.world.podtemplate import claim_name

KIND = "persistentvolumeclaims"


class Claims:
    """Creates claims and keeps their owner references."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def create(self, stateful_set: Json, pod: Json) -> None:
        """Make the claims that the pod lacks."""
        meta = stateful_set["metadata"]
        for template in stateful_set["spec"].get("volumeClaimTemplates", []):
            name = claim_name(template, pod["metadata"]["name"])
            if self._server.find(KIND, meta["namespace"], name) is None:
                labels = stateful_set["spec"]["selector"]["matchLabels"]
                body = {"metadata": {"name": name, "labels": dict(labels)}, "spec": template.get("spec", {})}
                self._server.create(KIND, meta["namespace"], body, STATEFULSET_CONTROLLER)

    def are_stale(self, stateful_set: Json, pod: Json) -> bool:
        """Whether a claim belongs to an earlier pod of this name and is about to be collected."""
        if _policy(stateful_set, "whenScaled") == "Retain":
            return False
        uid = pod["metadata"].get("uid", "")
        return any(
            owner["kind"] == "Pod" and owner["uid"] != uid
            for claim in self._of(stateful_set, pod)
            for owner in claim["metadata"].get("ownerReferences", [])
        )

    def set_owners(self, stateful_set: Json, pod: Json, *, in_range: bool) -> None:
        """Make the claims' owner references follow the retention policy."""
        uid = pod["metadata"].get("uid")
        if uid is None:
            return
        ours = (uid, stateful_set["metadata"]["uid"])
        wanted = []
        if _policy(stateful_set, "whenScaled") == "Delete" and not in_range:
            wanted.append(_owner("v1", "Pod", pod))
        elif _policy(stateful_set, "whenDeleted") == "Delete":
            wanted.append(_owner("apps/v1", "StatefulSet", stateful_set))
        for claim in self._of(stateful_set, pod):
            owners = claim["metadata"].get("ownerReferences", [])
            kept = [owner for owner in owners if owner["uid"] not in ours]
            if [*kept, *wanted] != owners:
                self._set(claim, [*kept, *wanted])

    def _of(self, stateful_set: Json, pod: Json) -> list[Json]:
        namespace = stateful_set["metadata"]["namespace"]
        templates = stateful_set["spec"].get("volumeClaimTemplates", [])
        found = (self._server.find(KIND, namespace, claim_name(item, pod["metadata"]["name"])) for item in templates)
        return [claim for claim in found if claim is not None]

    def _set(self, claim: Json, owners: list[Json]) -> None:
        meta = claim["metadata"]
        try:
            self._server.update(
                KIND, meta["namespace"], meta["name"],
                lambda old: {**old, "metadata": {**old["metadata"], "ownerReferences": owners}}, STATEFULSET_CONTROLLER,
            )  # fmt: skip
        except NotFound:
            return


def _policy(stateful_set: Json, when: str) -> str:
    return str(stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy", {}).get(when, "Retain"))


def _owner(api_version: str, kind: str, item: Json) -> Json:
    meta = item["metadata"]
    return {"apiVersion": api_version, "kind": kind, "name": meta["name"], "uid": meta["uid"], "controller": True}
