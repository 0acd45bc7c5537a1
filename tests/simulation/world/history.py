"""What happened, in words: one line for each change that tells something about a rollout.

Made for golden transcripts and for whoever debugs a failed run; what only repeats or counts is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from statefulrollout.api import names
from tests.simulation.world.apiserver import KUBELET, Change
from tests.simulation.world.objects import Json, condition_of, is_terminating, is_true
from tests.simulation.world.podtemplate import revision_of
from tests.simulation.world.timeline import START

SHOWN_CONDITIONS = (*names.POD_CONDITIONS, "Ready")


class History:
    """Attributes: `lines` are (seconds since the start, words) in order."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, str]] = []

    def say(self, at: float, what: str) -> None:
        """Add a line of one's own."""
        self.lines.append((at - START, what))

    def hear(self, change: Change) -> None:
        """Add the lines of a change."""
        for words in _words_of(change):
            self.say(change.at, words)

    def tail(self, count: int = 40) -> str:
        """The last lines as text."""
        return "\n".join(f"{at:10.3f} {what}" for at, what in self.lines[-count:])

    def transcript(self) -> str:
        """All lines without their times."""
        return "".join(f"{what}\n" for _, what in self.lines)


def _words_of(change: Change) -> Iterator[str]:
    if change.plural == "pods":
        yield from _of_pod(change)
    elif change.plural == "statefulsets":
        yield from _of_stateful_set(change)
    elif change.plural == names.PLURAL:
        yield from _of_rollout(change)
    elif change.plural == names.LEDGER_PLURAL and change.after is not None:
        yield from _of_ledger((change.before or {}).get("spec", {}), change.after["spec"])
    elif change.plural == "events" and change.type == "ADDED":
        item = change.item
        if item.get("regarding", {}).get("kind") == "Pod":
            return  # said of the StatefulRollout as well
        yield f"event {item.get('reason')} on {item.get('regarding', {}).get('name')}: {item.get('note')}"


def _of_pod(change: Change) -> Iterator[str]:
    pod, before = change.item, change.before
    name = change.name
    if change.type == "ADDED":
        gated = "gated" if pod["spec"].get("readinessGates") else "without gate"
        yield f"pod {name} created at {revision_of(pod)} ({gated})"
        return
    if change.after is None:
        yield f"pod {name} gone"
        return
    assert before is not None
    if is_terminating(pod) and not is_terminating(before):
        yield f"pod {name} deleted by {change.who.rpartition(':')[2]}"
    for kind in SHOWN_CONDITIONS:
        if (condition_of(pod, kind) or {}).get("status") != (condition_of(before, kind) or {}).get("status"):
            yield f"pod {name} {kind.rpartition('/')[2]}={is_true(pod, kind)}"
    if change.who == KUBELET:
        yield from _of_containers(name, before, pod)


def _of_containers(name: str, before: Json, pod: Json) -> Iterator[str]:
    old = {item["name"]: item for item in before["status"].get("containerStatuses", [])}
    for item in pod["status"].get("containerStatuses", []):
        was = old.get(item["name"], {}).get("state", {})
        if item["state"].keys() != was.keys() or item["state"].get("waiting") != was.get("waiting"):
            (state, detail), *_ = item["state"].items()
            yield f"pod {name} container {item['name']} {state} {detail.get('reason', '')}".rstrip()


def _of_stateful_set(change: Change) -> Iterator[str]:
    old, new = change.before or {}, change.item
    if change.after is None:
        yield f"statefulset {change.name} gone"
        return
    for field in ("replicas", "updateStrategy"):
        if old.get("spec", {}).get(field) != new["spec"][field]:
            yield f"statefulset {field} = {json.dumps(new['spec'][field], sort_keys=True)}"
    for field in ("currentRevision", "updateRevision"):
        if old.get("status", {}).get(field) != new["status"].get(field):
            yield f"statefulset {field} = {new['status'].get(field)}"


def _of_rollout(change: Change) -> Iterator[str]:
    if change.after is None:
        yield f"rollout {change.name} gone"
        return
    old, new = (change.before or {}).get("status", {}), change.item["status"]
    if (old.get("phase"), old.get("message")) != (new.get("phase"), new.get("message")):
        yield f"rollout {change.name}: {new.get('phase')}: {new.get('message')}"


def _of_ledger(old: Json, new: Json) -> Iterator[str]:
    """The ledger's words: who is in the membership, which hooks are open, what failed."""
    was, now = ({**item.get("declaration", {}), "at": 0} for item in (old, new))
    if was != now:
        members = " ".join(member["name"] for member in now.get("members", []))
        state = "done" if now.get("done") else "open"
        yield f"ledger membership of {members or 'nobody'} is {state}"
    for field, word in (("openHooks", "hook"), ("failed", "revision")):
        before, after = ({f"{item[word]} {item.get('pod', '')}".rstrip() for item in side.get(field, [])}
                         for side in (old, new))  # fmt: skip
        for item in sorted(before ^ after):
            yield f"ledger {field} {'+' if item in after else '-'} {item}"
