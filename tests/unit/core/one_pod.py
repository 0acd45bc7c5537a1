"""One pod in its surroundings, to look at its next step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from statefulrollout.core.actions import MarkPod
from statefulrollout.core.arrival import restored_pods
from statefulrollout.core.asks import Answer, Report
from statefulrollout.core.ledger import OpenHook
from statefulrollout.core.membership import roster_of
from statefulrollout.core.questions import Surroundings, hook_id_of
from statefulrollout.core.snapshot import PodView, StatefulSetView
from statefulrollout.core.stages import places_of
from statefulrollout.core.step import Stand, Step, Waiting
from statefulrollout.core.steps import step_of
from tests.builders import (
    NOW,
    STORE,
    a_call,
    a_hook,
    a_ledger,
    a_pod,
    a_report,
    a_rolling_set,
    a_snapshot,
    a_spec,
    pods,
)

OLD = a_pod("db-2")
NEW = OLD.at("v2")
IDS = {STORE: "uid-db-2/1"}
MIGRATE = a_hook("/migrate", undo=a_call("/migrate", "Peers", method="DELETE"))
RESTORE = a_hook("/restore")
PENDING = Waiting("membership", "generation 18: asked", NOW)


DRAINED = {"drain": (20.0, a_report(Answer.DONE))}
MIGRATED = {"migrate": (20.0, a_report(Answer.DONE))}


class Case:
    """One pod in its surroundings; `opened` are hooks begun so many seconds ago, with the answer so far."""

    def __init__(
        self,
        pod: PodView,
        target: StatefulSetView | None = None,
        *,
        isolated: float | None = 60,
        opened: Mapping[str, tuple[float, Report | None]] | None = None,
        entries: tuple[OpenHook, ...] = (),
        reports: dict[str, Report] | None = None,
        pending: Waiting | None = None,
        fence_stands: bool = True,
        turns: bool = False,
        may_close_gate: bool = True,
        **spec: Any,
    ) -> None:
        target, others = target or a_rolling_set(), pods(pod.ordinal)
        since = {} if isolated is None else {pod.uid: isolated}
        present, spec_model = (*others, pod), a_spec(**spec)
        bare = a_snapshot(target, *present, spec=spec_model, isolated=since)
        place = places_of(bare, NOW)[-1]
        told = dict(reports or {})
        for title, (seconds, report) in (opened or {}).items():
            identity = hook_id_of(bare, place, title)
            entries += (OpenHook(id=identity, hook=title, pod=pod.name, uid=pod.uid, since=NOW - seconds),)
            told |= {identity: report} if report else {}
        ledger = a_ledger(*others, open_hooks=entries)
        snapshot = a_snapshot(target, *present, spec=spec_model, ledger=ledger, reports=told, isolated=since)
        places = places_of(snapshot, NOW)
        self.place = places[-1]
        self.restored = restored_pods(snapshot, places, NOW)
        self.stand = Stand(
            around=Surroundings(snapshot, places, roster_of(snapshot, places, NOW, self.restored)),
            membership=pending,
            fence_stands=fence_stands,
            turns=turns,
            may_close_gate=may_close_gate,
            now=NOW,
        )

    @property
    def step(self) -> Step:
        return step_of(self.stand, self.place)


def the_mark(step: Step) -> MarkPod:
    """The only action of the step."""
    (action,) = step.actions
    assert isinstance(action, MarkPod)
    return action


def wait_of(step: Step) -> tuple[str, str]:
    assert step.waiting is not None
    return step.waiting.name, step.waiting.observed


def undo_of(pod: PodView, to: PodView, hook: str = "drain") -> OpenHook:
    """A hook that was begun on `pod`, with an undo that goes to `to`."""
    http = {"port": "admin", "path": f"/{hook}", "method": "DELETE"}
    address = {"name": to.name, "host": to.ip, "port": 8081}
    undo = {"what": http, "to": [address], "timeout_seconds": 5}
    return OpenHook(id=f"{pod.uid}/x/{hook}/0", hook=hook, pod=pod.name, uid=pod.uid, since=NOW, undo=undo)
