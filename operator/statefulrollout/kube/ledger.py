"""Reads and writes the ledger: one object per StatefulSet, of the same name and owned by it.

Every write is a compare-and-swap on the resourceVersion it was decided on. The owner is the StatefulSet and not the
StatefulRollout, so that what was begun can be undone even after the StatefulRollout is gone.
"""

from __future__ import annotations

from typing import Any

from statefulrollout.api import names
from statefulrollout.core.ledger import Ledger
from statefulrollout.core.snapshot import StatefulSetView
from statefulrollout.errors import NotFound
from statefulrollout.kube import paths
from statefulrollout.kube.client import Json, Kube


async def fetch_ledger(kube: Kube, namespace: str, name: str) -> Ledger:
    """Read the ledger; an empty one where there is none yet."""
    try:
        return _ledger_of(await kube.call("GET", paths.statefulrolloutledgers(namespace, name)))
    except NotFound:
        return Ledger()


def _ledger_of(raw: Json) -> Ledger:
    content = {**(raw.get("spec") or {}), **{key: raw["metadata"][key] for key in ("uid", "resourceVersion")}}
    return Ledger.model_validate(content)


async def write_ledger(kube: Kube, namespace: str, target: StatefulSetView, ledger: Ledger) -> Ledger:
    """Create or replace the ledger, and return it as it was written.

    Raises:
        Conflict: somebody else wrote it since it was read.
    """
    body: dict[str, Any] = {
        "apiVersion": names.API_VERSION,
        "kind": names.LEDGER_KIND,
        "metadata": {
            "name": target.name,
            "namespace": namespace,
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": target.name, "uid": target.uid}
            ],
        },
        "spec": ledger.model_dump(mode="json", by_alias=True, exclude={"uid", "resource_version"}, exclude_none=True),
    }
    if not ledger.resource_version:
        return _ledger_of(await kube.call("POST", paths.statefulrolloutledgers(namespace), body=body))
    body["metadata"]["resourceVersion"] = ledger.resource_version
    return _ledger_of(await kube.call("PUT", paths.statefulrolloutledgers(namespace, target.name), body=body))
