"""What one pod's step consists of, and how a hook is begun and continued.

The steps themselves are in `departure.py` (a pod on its way out) and `arrival.py` (one that comes, stays or returns);
`steps.py` picks the one of the pod's stage. A hook is remembered in the ledger before it is begun.
"""

from __future__ import annotations

from dataclasses import dataclass

from statefulrollout.api import names
from statefulrollout.api.v1alpha1 import Hook, Target
from statefulrollout.core import questions
from statefulrollout.core.actions import Action, Announcement
from statefulrollout.core.asks import Ask
from statefulrollout.core.judging import Judgement, judge_hook, patience_ends_at
from statefulrollout.core.ledger import OpenHook
from statefulrollout.core.questions import Surroundings
from statefulrollout.core.snapshot import PodView, Snapshot
from statefulrollout.core.stages import Place

NOBODY_LEFT = "nobody is left who could take over"
CLOSED = {names.SERVING: False}
OPENED = {names.SERVING: True, names.DRAINED: False, names.MIGRATED: False}
LET_GO = {names.DRAINED: True, names.MIGRATED: True, names.RELEASED: True}


@dataclass(frozen=True)
class Waiting:
    """What holds a pod up: a guard, a hook, or the kubelet; and the value seen."""

    name: str
    observed: str
    since: float | None = None


@dataclass(frozen=True)
class Step:
    """What happens to one pod in this pass.

    `opens` are entries of the ledger to add or replace, `closes` the ids of those to drop; `trouble` holds the whole
    rollout; `recheck_at` is when time alone changes something.
    """

    actions: tuple[Action, ...] = ()
    asks: tuple[Ask, ...] = ()
    opens: tuple[OpenHook, ...] = ()
    closes: tuple[str, ...] = ()
    waiting: Waiting | None = None
    trouble: str = ""
    recheck_at: float | None = None
    announcements: tuple[Announcement, ...] = ()


@dataclass(frozen=True)
class Stand:
    """What steps rely on beside the pod itself.

    Attributes:
        around: the snapshot, the places and the roster.
        membership: what the membership waits for; None where it is settled or not used.
        fence_stands: the fence that shall stand does, and the StatefulSet controller has seen it.
        turns: pods go back, and one that were gone now would come back at the revision that is given up.
        may_close_gate: whether the budget can spare a serving pod for its restore.
        now: seconds since the epoch.
    """

    around: Surroundings
    membership: Waiting | None
    fence_stands: bool
    turns: bool
    may_close_gate: bool
    now: float

    @property
    def snapshot(self) -> Snapshot:
        """The moment that is judged."""
        return self.around.snapshot


def judge_pod_hook(
    snapshot: Snapshot, place: Place, title: str, hook: Hook, now: float
) -> tuple[OpenHook | None, Judgement]:
    """Judge a hook on the pod by its entry in the ledger and its latest report; without peers, all of them agree."""
    target = snapshot.target
    if hook.apply.target in (Target.PEERS, Target.ANY_PEER) and target is not None and target.replicas <= 1:
        return None, Judgement(done=True, observed="there are no peers")
    identity = questions.hook_id_of(snapshot, place, title)
    entry = next((entry for entry in snapshot.ledger.open_hooks if entry.id == identity), None)
    since, stalled = (entry.since, entry.stalled) if entry else (now, None)
    return entry, judge_hook(title, hook, since, stalled, snapshot.reports.get(identity), now)


def ask_hook(stand: Stand, place: Place, title: str, hook: Hook) -> tuple[Judgement, Step]:
    """Begin or continue a hook on the pod."""
    entry, judgement = judge_pod_hook(stand.snapshot, place, title, hook, stand.now)
    if entry is None and judgement.done:
        return judgement, Step()
    opened = entry or questions.open_hook_of(stand.around, place, title, hook, stand.now)
    if judgement.stalled != (opened.stalled is not None):
        opened = opened.model_copy(update={"stalled": stand.now if judgement.stalled else None})
    superseded = tuple(
        other.id
        for other in stand.snapshot.ledger.open_hooks
        if other.uid == place.pod.uid and other.hook == title and other.id != opened.id
    )
    return judgement, Step(
        asks=(questions.ask_of_hook(stand.around, place, title, hook, opened.since),),
        opens=() if opened == entry else (opened,),
        closes=superseded,
        waiting=Waiting(title, judgement.observed, opened.since),
        trouble=f"{place.pod.name}: {judgement.trouble}" if judgement.trouble else "",
        recheck_at=patience_ends_at(hook, opened.since, stand.snapshot.reports.get(opened.id), stand.now),
        announcements=passed_over(judgement, place.pod),
    )


def passed_over(judgement: Judgement, pod: PodView | None) -> tuple[Announcement, ...]:
    """Say aloud that a hook counts as done by the user's word only."""
    if not judgement.passed_over:
        return ()
    where = f"{pod.name}: " if pod else ""
    return (Announcement("HookPassedOver", where + judgement.observed, pod, warning=True),)
