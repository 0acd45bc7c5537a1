"""The history of a StatefulSet's template: ControllerRevisions, as the StatefulSet controller keeps them.

Follows `getStatefulSetRevisions` and `truncateHistory` of Kubernetes' `pkg/controller/statefulset`: a template that was
seen before gets its old revision back with a higher number, a new one gets a name with its hash.
"""

from __future__ import annotations

import hashlib

from tests.simulation.world.apiserver import STATEFULSET_CONTROLLER, ApiServer
from tests.simulation.world.objects import Json, canonical, controller_of

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes encodes hashes with letters that form no words."""


def hash_of(template: Json) -> str:
    """A short name for a pod template."""
    digest = hashlib.blake2b(canonical(template).encode(), digest_size=8).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest)


def data_of(template: Json) -> Json:
    """What a revision keeps: a patch that puts the template back."""
    return {"spec": {"template": {**template, "$patch": "replace"}}}


def template_of(revision: Json) -> Json:
    """The template that a revision keeps."""
    return {name: value for name, value in revision["data"]["spec"]["template"].items() if name != "$patch"}


class History:
    """The revisions of every StatefulSet."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def of(self, stateful_set: Json) -> list[Json]:
        """The revisions of a set, oldest number first."""
        meta = stateful_set["metadata"]
        found = [
            revision
            for revision in self._server.list("controllerrevisions", meta["namespace"])
            if (owner := controller_of(revision)) and owner["uid"] == meta["uid"]
        ]
        return sorted(found, key=lambda revision: (revision["revision"], revision["metadata"]["name"]))

    def current_and_update(self, stateful_set: Json) -> tuple[Json, Json]:
        """The revision accepted so far and the one of the template, made where it does not exist yet."""
        revisions = self.of(stateful_set)
        update = self._update_of(stateful_set, revisions)
        accepted = stateful_set["status"].get("currentRevision")
        current = next((found for found in revisions if found["metadata"]["name"] == accepted), update)
        return current, update

    def _update_of(self, stateful_set: Json, revisions: list[Json]) -> Json:
        template = stateful_set["spec"]["template"]
        number = revisions[-1]["revision"] + 1 if revisions else 1
        equal = [revision for revision in revisions if revision["data"] == data_of(template)]
        meta = stateful_set["metadata"]
        if equal and equal[-1] is revisions[-1]:
            return equal[-1]
        if equal:
            name = equal[-1]["metadata"]["name"]
            return self._server.update(
                "controllerrevisions", meta["namespace"], name, lambda old: {**old, "revision": number},
                STATEFULSET_CONTROLLER,
            )  # fmt: skip
        owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": meta["name"], "uid": meta["uid"]}
        body = {
            "metadata": {
                "name": f"{meta['name']}-{hash_of(template)}",
                "labels": dict(template["metadata"].get("labels", {})),
                "ownerReferences": [{**owner, "controller": True}],
            },
            "revision": number,
            "data": data_of(template),
        }
        return self._server.create("controllerrevisions", meta["namespace"], body, STATEFULSET_CONTROLLER)

    def truncate(self, stateful_set: Json, live: set[str]) -> None:
        """Delete the oldest revisions that nobody uses, beyond the limit that the set asks for."""
        unused = [found for found in self.of(stateful_set) if found["metadata"]["name"] not in live]
        for revision in unused[: max(len(unused) - stateful_set["spec"]["revisionHistoryLimit"], 0)]:
            meta = revision["metadata"]
            self._server.delete("controllerrevisions", meta["namespace"], meta["name"], STATEFULSET_CONTROLLER)
