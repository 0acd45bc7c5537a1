"""Rules about what the application is told, and about what is left open: I8, I9."""

from __future__ import annotations

import json

from statefulrollout.api import names
from tests.simulation.world.apiserver import OPERATOR, Change
from tests.simulation.world.invariants.base import Rule, rollout_spec
from tests.simulation.world.objects import Json, is_true
from tests.simulation.world.world import World


class I8Undone(Rule):
    """A hook that was begun is completed or undone: no pod is let into service again while its drain stands.

    Where the drain has an undo. What is still open at the end of a run is judged by `Scenario.assert_settled`. Where
    two replicas ask (`asks_twice`), which only the Lease prevents, one may begin anew what the other has just undone.
    """

    def __init__(self, world: World, *, asks_twice: bool = False) -> None:
        self._world = world
        self._asks_twice = asks_twice

    def on_change(self, change: Change) -> str | None:
        if change.plural != "pods" or change.who != OPERATOR or change.before is None or change.after is None:
            return None
        opens = is_true(change.after, names.SERVING) and not is_true(change.before, names.SERVING)
        undoable = (rollout_spec(self._world).get("drain") or {}).get("undo") is not None
        application, uid = self._world.application, change.after["metadata"]["uid"]
        excused = application.has_lied("drain", uid=uid) or (
            self._asks_twice and application.was_told_both(uid, "drain")
        )
        if opens and undoable and application.has_begun(uid, "drain") and not excused:
            return f"{change.name} was let into service, and its application still drains"
        return None


class I9Generations(Rule):
    """Membership generations only grow, and one generation always means the same members."""

    def __init__(self) -> None:
        self._last: Json = {}

    def on_change(self, change: Change) -> str | None:
        if change.plural != names.LEDGER_PLURAL or change.after is None:
            return None
        declaration = change.after["spec"].get("declaration") or {}
        last, self._last = self._last, declaration
        if declaration.get("generation", 0) < last.get("generation", 0):
            return f"generation {declaration.get('generation')} follows {last['generation']}"
        if declaration.get("generation") and declaration["generation"] == last.get("generation"):
            old, new = (json.dumps(item.get("members"), sort_keys=True) for item in (last, declaration))
            return f"generation {declaration['generation']} changed its members" if old != new else None
        return None
