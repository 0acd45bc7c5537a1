"""Local volumes: each is made on the node of the pod that first uses its claim, and no other node can mount it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.world.apiserver import KUBE_CONTROLLERS, ApiServer
from tests.simulation.world.objects import Json

CLASS = "local"
PROVISIONER = f"{KUBE_CONTROLLERS}:persistent-volume-binder"


class LocalVolumes:
    """Binds claims of the storage class `local`."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def node_of(self, pod: Json) -> str:
        """The node that has a volume of the pod; empty where none has."""
        for claim in self._claims_of(pod):
            name = claim["spec"].get("volumeName")
            volume = self._server.find("persistentvolumes", "", name) if name else None
            if volume is not None:
                terms = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
                return str(terms[0]["matchExpressions"][0]["values"][0])
        return ""

    def provision(self, pod: Json, node: str) -> None:
        """Make the volumes that the pod lacks."""
        for claim in self._claims_of(pod):
            if claim["spec"].get("volumeName"):
                continue
            name = f"pv-{claim['metadata']['uid']}"
            here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
            affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}}
            body = {"metadata": {"name": name}, "spec": {"nodeAffinity": affinity}}
            self._server.create("persistentvolumes", "", body, PROVISIONER)
            self._bind(claim, name)

    def _bind(self, claim: Json, name: str) -> None:
        meta, spec = claim["metadata"], {**claim["spec"], "volumeName": name}
        self._server.update(
            "persistentvolumeclaims", meta["namespace"], meta["name"], lambda old: {**old, "spec": spec}, PROVISIONER
        )

    def _claims_of(self, pod: Json) -> Iterator[Json]:
        for volume in pod["spec"].get("volumes", []):
            name = volume.get("persistentVolumeClaim", {}).get("claimName")
            claim = self._server.find("persistentvolumeclaims", pod["metadata"]["namespace"], name) if name else None
            if claim is not None and claim["spec"].get("storageClassName") == CLASS:
                yield claim
