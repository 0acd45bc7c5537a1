"""What the ledger shall remember after this pass: open hooks, the declaration, and choices that may still come true.

The ledger is written, by compare-and-swap, before anything is done on the strength of it. So of two leaders that both
believe they lead, only one can choose at a time, and the other sees what was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from statefulrollout.core import questions
from statefulrollout.core.asks import Ask, is_done
from statefulrollout.core.budget import chosen_before
from statefulrollout.core.ledger import Choice, Declaration, Ledger, OpenHook
from statefulrollout.core.questions import Surroundings
from statefulrollout.core.snapshot import Snapshot
from statefulrollout.core.step import Step


def ledger_after(
    around: Surroundings, declaration: Declaration, steps: Mapping[str, Step], gone: AbstractSet[str], now: float
) -> Ledger:
    """The ledger as it shall be; `gone` are the UIDs of the pods that are taken out of service now."""
    snapshot = around.snapshot
    entries = {entry.id: _addressed_anew(around, entry) for entry in snapshot.ledger.open_hooks}
    for step in steps.values():
        for identity in step.closes:
            entries.pop(identity, None)
        entries |= {entry.id: entry for entry in step.opens}
    for entry in list(entries.values()):
        if entry.uid not in steps and _is_settled(snapshot, entry.id):
            del entries[entry.id]
    return snapshot.ledger.model_copy(
        update={
            "declaration": declaration,
            "open_hooks": tuple(entries.values()),
            "chosen": _choices_after(snapshot, gone),
            "chosen_at": snapshot.ledger.chosen_at if gone <= chosen_before(snapshot) else now,
        }
    )


def _addressed_anew(around: Surroundings, entry: OpenHook) -> OpenHook:
    """The entry with an undo that goes to nobody who is gone."""
    spec = around.snapshot.rollout.spec
    hook = {"drain": spec.drain, "migrate": spec.migrate, "restore": spec.restore}.get(entry.hook)
    pod = next((place.pod for place in around.places if place.pod.uid == entry.uid), None)
    undo = questions.addressed_anew(around, entry.undo, hook.undo if hook else None, pod)
    return entry if undo == entry.undo else entry.model_copy(update={"undo": undo})


def _choices_after(snapshot: Snapshot, gone: AbstractSet[str]) -> tuple[Choice, ...]:
    """What may still come true, and what is decided now; without the latter, nothing need be written down."""
    before = chosen_before(snapshot)
    if gone <= before:
        return snapshot.ledger.chosen
    return tuple(Choice(uid=pod.uid, version=pod.version) for pod in snapshot.pods if pod.uid in before | gone)


def asks_of_vanished(snapshot: Snapshot) -> tuple[Ask, ...]:
    """Undo of hooks begun on pods that are gone: what others were told is taken back, the pod itself is past asking."""
    present = {pod.uid for pod in snapshot.pods}
    return tuple(
        ask
        for entry in snapshot.ledger.open_hooks
        if entry.uid not in present and not entry.completed and questions.undo_reaches_others(entry)
        if (ask := questions.ask_of_undo(entry)) is not None
    )


def _is_settled(snapshot: Snapshot, identity: str) -> bool:
    """Whether nothing is left to undo of a hook whose pod is gone."""
    ask_id = f"undo/{identity}"
    pending = any(ask.id == ask_id for ask in asks_of_vanished(snapshot))
    return not pending or is_done(snapshot.reports.get(ask_id))
