"""Rules about revisions: at which a pod comes back, and when one is accepted. I5, I13."""

from __future__ import annotations

from statefulrollout.api import names
from tests.simulation.world.apiserver import OPERATOR, STATEFULSET_CONTROLLER, Change
from tests.simulation.world.invariants.base import Rule, is_ready, rollout_spec
from tests.simulation.world.objects import is_true, ordinal_of
from tests.simulation.world.podtemplate import revision_of
from tests.simulation.world.rest import Request
from tests.simulation.world.world import World


class I5Revision(Rule):
    """A pod that dies comes back at the revision that the fence gives; one that dies while paused, at the accepted one.

    The second half counts once a leader has known of the pause for `seconds_to_close`, undisturbed: nobody else wrote
    `updateStrategy`, and none of its requests failed. It is for pods that were not released, of a reversible revision,
    while another pod is outdated: once all are updated, a fence that holds would accept the revision unsoaked, so it
    has to stay open. So it has to while the place of a released pod is vacant.
    """

    def __init__(self, world: World, seconds_to_close: float = 5.0) -> None:
        self._world = world
        self._seconds_to_close = seconds_to_close
        self._known_since: float | None = None
        self._died_paused: set[str] = set()
        self._vacant: set[str] = set()

    def on_request(self, request: Request) -> str | None:
        if not request.led or request.status != 200:
            self._known_since = None
        elif request.method == "GET" and request.plural == names.PLURAL:
            spec = rollout_spec(self._world)
            paused = spec.get("paused", False) and spec.get("strategy", {}).get("reversible", True)
            self._known_since = (self._known_since or request.at) if paused else None
        return None

    def on_change(self, change: Change) -> str | None:
        if change.plural == "statefulsets" and change.who not in (OPERATOR, STATEFULSET_CONTROLLER):
            self._known_since = None
        if change.plural == "pods" and change.after is None and is_true(change.item, names.RELEASED):
            self._vacant.add(change.name)
        elif change.plural == "pods" and change.after is None and self._is_closed(change.at):
            self._died_paused.add(change.name)
        elif change.plural == "pods" and change.type == "ADDED":
            self._vacant.discard(change.name)
            return self._problem(change)
        return None

    def _is_closed(self, now: float) -> bool:
        wanted = self._world.stateful_set()["status"].get("updateRevision")
        is_between = any(revision_of(pod) != wanted for pod in self._world.pods())
        is_known = self._known_since is not None and now - self._known_since >= self._seconds_to_close
        return is_known and is_between and not self._vacant

    def _problem(self, change: Change) -> str | None:
        stateful_set = self._world.stateful_set()
        status, strategy = stateful_set["status"], stateful_set["spec"]["updateStrategy"]
        died_paused = change.name in self._died_paused
        self._died_paused.discard(change.name)
        if status.get("observedGeneration", 0) < stateful_set["metadata"]["generation"]:
            return None
        revision, accepted = revision_of(change.item), status.get("currentRevision")
        if died_paused and revision != accepted:
            return f"{change.name} died while paused and came back at {revision} and not at {accepted}"
        held = ordinal_of(change.name) < strategy.get("rollingUpdate", {}).get("partition", 0)
        expected = accepted if held else status.get("updateRevision")
        return f"{change.name} came back at {revision} and not at {expected}" if expected != revision else None


class I13Soaked(Rule):
    """`currentRevision` never advances to a revision with a pod that has not served for `soakSeconds`.

    Exempt is what somebody else brought about by writing `updateStrategy`: the controller is faster than we are; what
    the user wanted by `deletionPolicy: Release`, until the operator has written it for another StatefulRollout; and
    what had been accepted before: a controller with an old cache may write an old status once, and mend it.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._ready_since: dict[str, float] = {}
        self._accepted: set[str] = set()
        self._is_released = False

    def on_change(self, change: Change) -> str | None:
        if change.plural == names.PLURAL and change.after is None:
            self._is_released = change.item["spec"].get("deletionPolicy") == "Release"
        if change.plural == "statefulsets" and change.who == OPERATOR and rollout_spec(self._world):
            self._is_released = False
        if change.plural == "pods":
            uid = change.item["metadata"]["uid"]
            if change.after is None or not is_ready(change.after):
                self._ready_since.pop(uid, None)
            else:
                self._ready_since.setdefault(uid, change.at)
        if change.plural != "statefulsets" or change.before is None or change.after is None:
            return None
        old, new = (item["status"].get("currentRevision") for item in (change.before, change.after))
        was_accepted = new in self._accepted
        self._accepted.add(str(new))
        return None if was_accepted or old in (None, new) else self._problem(str(new), change)

    def _problem(self, revision: str, change: Change) -> str | None:
        spec = rollout_spec(self._world)
        writers = {entry["manager"] for entry in change.item["metadata"]["managedFields"]}
        if not spec or self._is_released or writers != {names.FIELD_MANAGER}:
            return None
        soak = spec.get("strategy", {}).get("soakSeconds", 10)
        for pod in self._world.pods():
            served = change.at - self._ready_since.get(pod["metadata"]["uid"], change.at)
            if revision_of(pod) == revision and served < soak:
                return f"{revision} was accepted; {pod['metadata']['name']} had served {served:.2f} of {soak} s"
        return None
