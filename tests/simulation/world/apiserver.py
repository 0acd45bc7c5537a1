"""The API server's storage and its rules of writing: versions, generations, preconditions, subresources.

Stored objects are never changed in place, so readers may share them; whoever wants to change one passes a function
from the old tree to the new. Paths and HTTP are `rest.py`, evictions `eviction.py`, admission comes from outside.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from statefulrollout.api import names
from tests.simulation.world.objects import Json, copied, is_terminating, selects, timestamp
from tests.simulation.world.refusals import conflict, invalid, refused

KUBE_CONTROLLERS = "system:serviceaccount:kube-system"
STATEFULSET_CONTROLLER = f"{KUBE_CONTROLLERS}:statefulset-controller"
GARBAGE_COLLECTOR = f"{KUBE_CONTROLLERS}:generic-garbage-collector"
KUBELET = "system:node"
OPERATOR = "system:serviceaccount:operators:statefulrollout"
USER = "user"


@dataclass(frozen=True)
class Resource:
    """A kind of object: how it is addressed, and whether its status is a subresource of its own."""

    plural: str
    kind: str
    api_version: str = "v1"
    status: bool = False
    custom: bool = False
    namespaced: bool = True


RESOURCES = {
    resource.plural: resource
    for resource in (
        Resource("pods", "Pod", status=True),
        Resource("services", "Service", status=True),
        Resource("persistentvolumeclaims", "PersistentVolumeClaim", status=True),
        Resource("persistentvolumes", "PersistentVolume", status=True, namespaced=False),
        Resource("nodes", "Node", status=True, namespaced=False),
        Resource("statefulsets", "StatefulSet", "apps/v1", status=True),
        Resource("controllerrevisions", "ControllerRevision", "apps/v1"),
        Resource("poddisruptionbudgets", "PodDisruptionBudget", "policy/v1", status=True),
        Resource("endpointslices", "EndpointSlice", "discovery.k8s.io/v1"),
        Resource("events", "Event", "events.k8s.io/v1"),
        Resource("leases", "Lease", "coordination.k8s.io/v1"),
        Resource(names.PLURAL, names.KIND, names.API_VERSION, status=True, custom=True),
        Resource(names.LEDGER_PLURAL, names.LEDGER_KIND, names.API_VERSION, custom=True),
    )
}


@dataclass(frozen=True)
class Change:
    """One write: when, `ADDED`, `MODIFIED` or `DELETED`, the object before and after it, and who wrote."""

    at: float
    version: int
    type: str
    plural: str
    before: Json | None
    after: Json | None
    who: str

    @property
    def item(self) -> Json:
        """The object after the write, or its last state where it is gone."""
        found = self.after if self.after is not None else self.before
        assert found is not None
        return found

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.item["metadata"]["name"])


Transform = Callable[[Json], Json]


class ApiServer:
    """Objects by resource, namespace and name.

    Attributes:
        mutating: called with (plural, object, who) at creation; may return another object.
        deleting: called with (plural, object, who) before a deletion; may raise.
        subscribers: called with every change, in the order they subscribed.
        log: every change ever made, in order of version.
        several_at_once: the feature gate MaxUnavailableStatefulSet, off by default in Kubernetes 1.35.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._objects: dict[str, dict[tuple[str, str], Json]] = {plural: {} for plural in RESOURCES}
        self._version = 1000
        self._uids = itertools.count(1)
        self.mutating: list[Callable[[str, Json, str], Json]] = []
        self.deleting: list[Callable[[str, Json, str], None]] = []
        self.evicting: list[Callable[[Json, str, str], None]] = []
        self.subscribers: list[Callable[[Change], None]] = []
        self.log: list[Change] = []
        self.several_at_once = False

    @property
    def version(self) -> str:
        """The resource version of the latest write."""
        return str(self._version)

    def find(self, plural: str, namespace: str, name: str) -> Json | None:
        """The stored object, or None; not to be changed."""
        return self._objects[plural].get((namespace, name))

    def get(self, plural: str, namespace: str, name: str) -> Json:
        """The stored object; raises ApiError 404."""
        found = self.find(plural, namespace, name)
        if found is None:
            raise refused(404, "NotFound", f'{plural} "{name}" not found')
        return found

    def list(self, plural: str, namespace: str = "", selector: dict[str, str] | None = None) -> list[Json]:
        """Stored objects in order of namespace and name; an empty namespace means all."""
        return [
            item
            for key, item in sorted(self._objects[plural].items())
            if namespace in ("", key[0]) and selects(selector or {}, item["metadata"].get("labels"))
        ]

    def list_cached(
        self, at: float, version: int, plural: str, namespace: str, selector: dict[str, str]
    ) -> tuple[Sequence[Json], int]:
        """`list` as it was at a time (seconds since the epoch) or at a version, whichever is later, and its version.

        That is what a cache would answer that lags, and was asked for nothing older than the version.
        """
        reached = 0
        found = {(item["metadata"].get("namespace"), item["metadata"]["name"]): item for item in self.list(plural)}
        for change in reversed(self.log):
            if change.at <= at or change.version <= version:
                reached = change.version
                break
            key = (change.item["metadata"].get("namespace"), change.name)
            if change.plural == plural and change.before is None:
                found.pop(key, None)
            elif change.plural == plural and change.before is not None:
                found[key] = change.before
        items = [item for key, item in sorted(found.items()) if namespace in ("", key[0])]
        return [item for item in items if selects(selector, item["metadata"].get("labels"))], reached

    def create(self, plural: str, namespace: str, body: Json, who: str) -> Json:
        """Store a new object; raises ApiError 409 AlreadyExists, 422 Invalid, or what admission says."""
        resource = RESOURCES[plural]
        item: Json = copied(body)
        number = next(self._uids)
        meta = item.setdefault("metadata", {})
        meta.setdefault("name", f"{meta.get('generateName', '')}{number}")
        if resource.namespaced:
            meta["namespace"] = namespace
        if self.find(plural, namespace, meta["name"]) is not None:
            raise refused(409, "AlreadyExists", f'{plural} "{meta["name"]}" already exists')
        for admit in self.mutating:
            item = admit(plural, item, who)
        item["apiVersion"], item["kind"] = resource.api_version, resource.kind
        item["metadata"] |= {
            "uid": f"{number:08x}-0000-4000-8000-{number:012x}",
            "creationTimestamp": timestamp(self._clock()),
            "generation": 1,
        }
        if resource.status:
            item["status"] = {}
        _set_defaults(plural, item, several_at_once=self.several_at_once)
        _check_valid(plural, item)
        _record_writer(plural, None, item, who)
        return self._store("ADDED", plural, None, item, who)

    def update(self, plural: str, namespace: str, name: str, transform: Transform, who: str, sub: str = "") -> Json:
        """Replace an object by what `transform` makes of it.

        A `uid` or `resourceVersion` in the result that differs from the stored one is a failed precondition.

        Raises:
            ApiError: 404, 409 Conflict, 422 Invalid.
        """
        resource = RESOURCES[plural]
        old = self.get(plural, namespace, name)
        wanted = transform(old)
        for key in ("uid", "resourceVersion"):
            if wanted["metadata"].get(key, old["metadata"][key]) != old["metadata"][key]:
                raise conflict(f"Precondition failed: {key} of {plural} {name} is {old['metadata'][key]}")
        new = dict(wanted)
        if sub == "status":
            new = {**old, "status": wanted.get("status", {})}
            if not resource.custom:
                new["metadata"] = _metadata_of(old, wanted)
        else:
            new["metadata"] = _metadata_of(old, wanted)
            if resource.status:
                new["status"] = old.get("status", {})
        _set_defaults(plural, new, several_at_once=self.several_at_once)
        _check_valid(plural, new)
        if new == old:
            return old
        if new.get("spec") != old.get("spec"):
            new["metadata"] = {**new["metadata"], "generation": old["metadata"]["generation"] + 1}
        _record_writer(plural, old, new, who)
        if is_terminating(new) and "deletionGracePeriodSeconds" not in new["metadata"] and not _finalizers(new):
            return self._remove(plural, new, who)
        return self._store("MODIFIED", plural, old, new, who)

    def delete(
        self, plural: str, namespace: str, name: str, who: str, *, uid: str = "", version: str = "",
        grace: int | None = None,
    ) -> Json:  # fmt: skip
        """Delete an object, a running pod gracefully; raises ApiError 404, 409 or what admission says."""
        item = self.get(plural, namespace, name)
        meta = item["metadata"]
        if uid and uid != meta["uid"]:
            raise conflict(f"the UID in the precondition ({uid}) does not match the UID in record ({meta['uid']})")
        if version and version != meta["resourceVersion"]:
            raise conflict(f"the ResourceVersion in the precondition ({version}) does not match {name}")
        for admit in self.deleting:
            admit(plural, item, who)
        if plural == "pods":
            return self._delete_pod(item, who, grace)
        if _finalizers(item):
            gone = {**item, "metadata": {**meta, "deletionTimestamp": timestamp(self._clock())}}
            return item if is_terminating(item) else self._store("MODIFIED", plural, item, gone, who)
        return self._remove(plural, item, who)

    def _delete_pod(self, pod: Json, who: str, grace: int | None) -> Json:
        period = pod["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
        if "nodeName" not in pod["spec"] or pod["status"].get("phase") in ("Failed", "Succeeded"):
            period = 0
        if period == 0:
            return self._remove("pods", pod, who)
        if is_terminating(pod) and period >= pod["metadata"]["deletionGracePeriodSeconds"]:
            return pod
        end = timestamp(self._clock() + period)
        meta = {**pod["metadata"], "deletionTimestamp": end, "deletionGracePeriodSeconds": period}
        return self._store("MODIFIED", "pods", pod, {**pod, "metadata": meta}, who)

    def _store(self, kind: str, plural: str, before: Json | None, item: Json, who: str) -> Json:
        self._version += 1
        item["metadata"] = {**item["metadata"], "resourceVersion": str(self._version)}
        self._objects[plural][item["metadata"].get("namespace", ""), item["metadata"]["name"]] = item
        self._tell(Change(self._clock(), self._version, kind, plural, before, item, who))
        return item

    def _remove(self, plural: str, item: Json, who: str) -> Json:
        self._version += 1
        meta = item["metadata"]
        del self._objects[plural][meta.get("namespace", ""), meta["name"]]
        last = {**item, "metadata": {**meta, "resourceVersion": str(self._version)}}
        self._tell(Change(self._clock(), self._version, "DELETED", plural, last, None, who))
        return last

    def _tell(self, change: Change) -> None:
        self.log.append(change)
        for subscriber in list(self.subscribers):
            subscriber(change)


def _finalizers(item: Json) -> list[str]:
    found: list[str] = item["metadata"].get("finalizers", [])
    return found


def _metadata_of(old: Json, wanted: Json) -> Json:
    """The wanted metadata without what only the API server may write."""
    fixed = ("uid", "resourceVersion", "name", "namespace", "generation", "creationTimestamp", "managedFields",
             "deletionTimestamp", "deletionGracePeriodSeconds")  # fmt: skip
    meta = {key: value for key, value in wanted["metadata"].items() if key not in fixed}
    return meta | {key: old["metadata"][key] for key in fixed if key in old["metadata"]}


def _set_defaults(plural: str, item: Json, *, several_at_once: bool) -> None:
    if plural == "pods":
        item["status"] = item["status"] or {"phase": "Pending", "qosClass": "BestEffort"}
    elif plural == names.PLURAL:
        item["status"] = item["status"] or {"observedGeneration": -1}
    elif plural == "statefulsets":
        item["status"] = item["status"] or {"replicas": 0}
        spec = {"replicas": 1, "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10} | item["spec"]
        strategy = {"type": "RollingUpdate"} | spec.get("updateStrategy", {})
        if strategy["type"] == "RollingUpdate":
            strategy["rollingUpdate"] = {"partition": 0, "maxUnavailable": 1} | (strategy.get("rollingUpdate") or {})
            if not several_at_once:
                del strategy["rollingUpdate"]["maxUnavailable"]
        item["spec"] = {**spec, "updateStrategy": strategy}


def _check_valid(plural: str, item: Json) -> None:
    if plural != "statefulsets":
        return
    strategy = item["spec"]["updateStrategy"]
    if strategy["type"] not in ("RollingUpdate", "OnDelete"):
        raise invalid(f"spec.updateStrategy.type: Unsupported value: {strategy['type']}")
    if strategy["type"] == "OnDelete" and strategy.get("rollingUpdate") is not None:
        raise invalid("spec.updateStrategy.rollingUpdate: only allowed for updateStrategy 'RollingUpdate'")


def _record_writer(plural: str, old: Json | None, new: Json, who: str) -> None:
    """Keep in `managedFields` who wrote a StatefulSet's update strategy last (the one field that we ask about)."""
    if plural != "statefulsets":
        return
    if old is None or old["spec"]["updateStrategy"] != new["spec"]["updateStrategy"]:
        manager = names.FIELD_MANAGER if who == OPERATOR else who
        owned: Json = {"f:spec": {"f:updateStrategy": {"f:type": {}, "f:rollingUpdate": {"f:partition": {}}}}}
        entry = {"manager": manager, "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1"}
        new["metadata"] = {**new["metadata"], "managedFields": [{**entry, "fieldsV1": owned}]}
