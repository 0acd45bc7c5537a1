"""Carries a plan out, in its order, each action with the precondition it was decided on.

Every write names the version of the object that was judged, a pod's its UID as well: whatever comes late, from a
leader that has been deposed or over a slow network, meets another version and changes nothing. The first conflict ends
the pass: the snapshot was stale, and the next pass decides afresh. Pods go side by side, in no order but that of the
actions on each; and nobody is taken out of service before all that comes first has been written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

import structlog

from statefulrollout.api import names
from statefulrollout.core.actions import (
    Action,
    Announcement,
    LimitBudget,
    MakeBudget,
    MarkPod,
    Motion,
    RemoveBudget,
    RemovePod,
    SetFence,
    UpdateInPlace,
    WriteLedger,
)
from statefulrollout.core.snapshot import PodView, StatefulSetView
from statefulrollout.core.timestamps import timestamp
from statefulrollout.errors import ApiError, Conflict, NotFound
from statefulrollout.kube import paths
from statefulrollout.kube.client import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, Json, Kube, newest
from statefulrollout.kube.events import Events
from statefulrollout.kube.known import Known
from statefulrollout.kube.ledger import write_ledger
from statefulrollout.kube.views import annotation_of

log = structlog.stdlib.get_logger(__name__)

AT_ONCE = 20
"""How many pods are written to side by side."""


@dataclass(frozen=True)
class Actor:
    """Acts on one StatefulSet on behalf of one StatefulRollout, for the length of one pass.

    Attributes:
        regarding: `apiVersion`, `kind`, `namespace`, `name` and `uid` of the object that events go to beside the pod.
        leader_check: raises where this replica may not act; asked before every write.
        clock: seconds since the epoch.
        take_in: told every pod as it was written.
        known: told the StatefulSet and the ledger as they were written.
    """

    kube: Kube
    events: Events
    namespace: str
    target: StatefulSetView
    regarding: dict[str, str]
    leader_check: Callable[[], None]
    clock: Callable[[], float]
    take_in: Callable[[Json], None]
    known: Known
    _written: dict[str, str] = field(default_factory=dict)
    """Versions, by UID, of the pods that this pass has written to."""

    @property
    def wrote(self) -> str:
        """The latest version of a pod that this pass has made; empty where it made none."""
        return newest(*self._written.values())

    async def act(self, actions: Sequence[Action]) -> bool:
        """Carry the actions out in order; False where the cluster is not as it was seen, and the rest was left."""
        for _, alike in groupby(actions, key=_way_of):
            chains: dict[str, list[Action]] = {}
            for action in alike:
                chains.setdefault(_pod_of(action), []).append(action)
            if not await self._side_by_side(chains.values()):
                return False
        return True

    async def _side_by_side(self, chains: Collection[Sequence[Action]]) -> bool:
        """Carry out each chain in its order; the first action that fails is the last that was begun."""
        going, waiting = True, iter(chains)

        async def work() -> None:
            nonlocal going
            for action in (action for chain in waiting for action in chain):
                if not going:
                    return
                done = False
                try:
                    done = await self._try(action)
                finally:
                    going = going and done

        ends = await asyncio.gather(*(work() for _ in range(min(AT_ONCE, len(chains)))), return_exceptions=True)
        if errors := [error for error in ends if isinstance(error, BaseException)]:
            raise errors[0]
        return going

    async def _try(self, action: Action) -> bool:
        self.leader_check()
        try:
            await self._carry_out(action)
        except (Conflict, NotFound) as error:
            log.info("the cluster changed under the plan", action=type(action).__name__, error=str(error))
            return False
        except ApiError as error:
            if error.status != 422 or not isinstance(action, SetFence):
                raise
            log.info("the StatefulSet changed under the plan", error=str(error))
            return False
        return True

    def announce(self, announcements: Sequence[Announcement]) -> None:
        """Write the events of a plan that belong to no action."""
        for announcement in announcements:
            kind: Literal["Normal", "Warning"] = "Warning" if announcement.warning else "Normal"
            self._tell(announcement.reason, "Decide", announcement.note, announcement.pod, kind)

    async def _carry_out(self, action: Action) -> None:
        match action:
            case WriteLedger(ledger=ledger):
                self.known.ledger = await write_ledger(self.kube, self.namespace, self.target, ledger)
            case SetFence():
                await self._set_fence(action)
            case MakeBudget():
                await self._make_budget(action)
            case LimitBudget():
                await self._limit_budget(action)
            case RemoveBudget():
                path = paths.poddisruptionbudgets(self.namespace, action.name)
                await self.kube.call("DELETE", path, body=_delete_options({"uid": action.uid}))
            case MarkPod():
                await self._mark(action)
            case RemovePod():
                await self._remove(action)
            case UpdateInPlace():
                await self._update_in_place(action)

    async def _set_fence(self, action: SetFence) -> None:
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": self.target.version},
            {"op": "replace", "path": "/spec/updateStrategy", "value": action.strategy},
        ]
        path = paths.statefulsets(self.namespace, self.target.name)
        self.known.stateful_set = await self.kube.call("PATCH", path, body=patch, content_type=JSON_PATCH)
        self._tell(action.reason, "SetFence", action.message, None)

    async def _make_budget(self, action: MakeBudget) -> None:
        """That one is there already is a conflict like any other."""
        owner = {
            "apiVersion": names.API_VERSION,
            "kind": names.LEDGER_KIND,
            "name": self.target.name,
            "uid": action.ledger_uid,
        }
        body = {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": action.name, "ownerReferences": [owner]},
            "spec": action.spec,
        }
        await self.kube.call("POST", paths.poddisruptionbudgets(self.namespace), body=body)

    async def _limit_budget(self, action: LimitBudget) -> None:
        patch = {"metadata": {"uid": action.uid}, "spec": {"minAvailable": action.keeps}}
        path = paths.poddisruptionbudgets(self.namespace, action.name)
        await self.kube.call("PATCH", path, body=patch, content_type=MERGE_PATCH)

    async def _mark(self, action: MarkPod) -> None:
        pod = action.pod
        metadata: dict[str, Any] = {"uid": pod.uid, "resourceVersion": pod.version}
        if action.facts is not None:
            metadata["annotations"] = {names.FACTS_ANNOTATION: annotation_of(action.facts)}
        labels: dict[str, str | None] = {}
        if action.fenced is not None:
            labels[names.FENCED_LABEL] = "true" if action.fenced else None
        if action.motion is not None:
            labels[names.IN_MOTION_LABEL] = self._motion_label(action.motion)
        if labels:
            metadata["labels"] = labels
        conditions = [
            self._condition(action, kind, status)
            for kind, status in action.conditions.items()
            if pod.is_true(kind) != status or (kind == names.SERVING and kind not in pod.conditions)
        ]
        body = {"metadata": metadata, "status": {"conditions": conditions} if conditions else {}}
        path = paths.pods(self.namespace, pod.name, "status")
        self._note(pod, await self.kube.call("PATCH", path, body=body, content_type=STRATEGIC_MERGE_PATCH))
        if action.reason:
            self._tell(action.reason, "MarkPod", f"{pod.name}: {action.message}", pod)

    def _motion_label(self, motion: Motion) -> str | None:
        """The value that only the budget of the pods in motion selects is the set's name, which has no capitals."""
        values = {Motion.AT_REST: None, Motion.IN_MOTION: self.target.name, Motion.RELEASED: Motion.RELEASED.value}
        return values[motion]

    def _condition(self, action: MarkPod, kind: str, status: bool) -> dict[str, str]:
        return {
            "type": kind,
            "status": "True" if status else "False",
            "reason": action.reason or "TakenOver",
            "message": action.message[:256],
            "lastTransitionTime": timestamp(self.clock()),
        }

    async def _remove(self, action: RemovePod) -> None:
        pod = action.pod
        judged = {"uid": pod.uid, "resourceVersion": self._version_of(pod)}
        path = paths.pods(self.namespace, pod.name)
        try:
            gone = await self.kube.call("DELETE", path, body=_delete_options(judged))
        except NotFound:
            return
        self._note(pod, gone)
        self._tell(action.reason, "RemovePod", f"{pod.name}: {action.message}", pod)

    async def _update_in_place(self, action: UpdateInPlace) -> None:
        pod, change = action.pod, action.change
        metadata: dict[str, Any] = {
            "uid": pod.uid,
            "resourceVersion": self._version_of(pod),
            "labels": {**change.labels, names.REVISION_LABEL: action.revision},
            "annotations": {**change.annotations, names.FACTS_ANNOTATION: annotation_of(action.facts)},
        }
        containers = [{"name": name, "image": image} for name, image in change.images.items()]
        body = {"metadata": metadata, "spec": {"containers": containers}}
        path = paths.pods(self.namespace, pod.name)
        try:
            written = await self.kube.call("PATCH", path, body=body, content_type=STRATEGIC_MERGE_PATCH)
        except ApiError as error:
            if error.status not in (400, 403, 422):
                raise
            note = f"{pod.name}: the update in place was refused ({error.message[:200]}); it is re-created instead"
            self._tell("InPlaceRefused", "UpdateInPlace", note, pod, "Warning")
            for each in action.otherwise:
                await self._carry_out(each)
            return
        self._note(pod, written)
        self._tell(action.reason, "UpdateInPlace", f"{pod.name}: {action.message}", pod)

    def _note(self, pod: PodView, written: Json) -> None:
        self._written[pod.uid] = written["metadata"].get("resourceVersion", "")
        self.take_in(written)

    def _version_of(self, pod: PodView) -> str:
        """The version that was judged, or the one that this pass has made of it."""
        return self._written.get(pod.uid, pod.version)

    def _tell(
        self, reason: str, action: str, note: str, pod: PodView | None, kind: Literal["Normal", "Warning"] = "Normal"
    ) -> None:
        self.events.record(self.regarding, type=kind, reason=reason, action=action, note=note)
        if pod is not None:
            regarding = {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": self.namespace,
                "name": pod.name,
                "uid": pod.uid,
            }
            self.events.record(regarding, type=kind, reason=reason, action=action, note=note)


def _pod_of(action: Action) -> str:
    """The UID of the pod that the action changes; empty where it changes none."""
    return action.pod.uid if isinstance(action, MarkPod | RemovePod | UpdateInPlace) else ""


def _way_of(action: Action) -> str:
    """Equal for actions that need not wait for each other, unless they are on the same pod."""
    if isinstance(action, MarkPod) and action.pod.serving and action.conditions.get(names.SERVING) is False:
        return "out of service"
    return "on its way" if _pod_of(action) else "around"


def _delete_options(preconditions: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
