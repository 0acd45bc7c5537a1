"""Rules about what users are told: I6, I10."""

from __future__ import annotations

from statefulrollout.api import names
from tests.simulation.world.apiserver import Change
from tests.simulation.world.invariants.base import Rule, leaves_for
from tests.simulation.world.objects import is_true
from tests.simulation.world.world import World


class I6Explained(Rule):
    """A rollout that is not complete says what it waits for."""

    def on_change(self, change: Change) -> str | None:
        if change.plural != names.PLURAL or change.after is None or not change.after["status"].get("conditions"):
            return None
        status = change.after["status"]
        if not status.get("message"):
            return f"phase {status.get('phase')} without a message"
        busy = any(is_true(change.after, kind) for kind in (names.READY, names.RECONCILING, names.STALLED))
        return None if busy else "neither Ready nor Reconciling nor Stalled"


class I10Status(Rule):
    """The status never contradicts itself, and never calls complete what is not.

    `Ready` is compared with what only the operator changes: no pod is on its way out when it is written.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def on_change(self, change: Change) -> str | None:
        if change.plural != names.PLURAL or change.after is None or not change.after["status"].get("conditions"):
            return None
        item, status = change.after, change.after["status"]
        if missing := set(names.CONDITIONS) - {each["type"] for each in status["conditions"]}:
            return f"the status lacks the conditions {sorted(missing)}"
        if is_true(item, names.RECONCILING) and is_true(item, names.STALLED):
            return "Reconciling and Stalled are both True"
        generation = item["metadata"]["generation"]
        observed = [status["observedGeneration"], *(each["observedGeneration"] for each in status["conditions"])]
        if max(observed) > generation:
            return f"the status speaks of generation {max(observed)}, and {generation} is the latest"
        was_ready = change.before is not None and is_true(change.before, names.READY)
        leaving = [pod["metadata"]["name"] for pod in self._world.pods() if leaves_for(pod)]
        if is_true(item, names.READY) and not was_ready and leaving:
            return f"Ready although {leaving} are on their way out"
        if is_true(item, names.READY) and status["acceptedRevision"] != status["wantedRevision"]:
            return f"Ready although {status['wantedRevision']} is wanted and {status['acceptedRevision']} accepted"
        return None
