"""Rules about taking pods out of service and removing them: I1, I2, I3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from statefulrollout.api import names
from tests.simulation.world.apiserver import OPERATOR, Change
from tests.simulation.world.invariants.base import (
    Rule,
    closes_gate,
    is_binding,
    is_ready,
    leaves_for,
    resolved,
    rollout_spec,
)
from tests.simulation.world.invariants.informed import Informed, Read
from tests.simulation.world.objects import Json, condition_of, epoch_of, is_selected, is_true, ordinal_of
from tests.simulation.world.rest import Request
from tests.simulation.world.world import NAME, NAMESPACE, World

BUDGETS = "poddisruptionbudgets"


class I1Budget(Informed):
    """Never more than `maxUnavailable` pods newly unavailable through us.

    Judged whenever the operator takes a ready pod out of service: together with it, no more ordinals may be without an
    available pod than was allowed when it last read. A pod that became unavailable by itself within the last
    `blind_seconds` may not have been seen yet and is not counted; a new pod that has not soaked is unavailable.
    """

    def __init__(self, world: World, blind_seconds: float = 0.5) -> None:
        super().__init__(world)
        self._blind_seconds = blind_seconds
        self._taken: Change | None = None
        self._away_since: dict[int, float] = {}
        self._through_us: set[int] = set()

    def on_change(self, change: Change) -> str | None:
        if change.plural == "statefulsets" and change.after is not None:
            old = (change.before or change.after)["spec"]["replicas"]
            self._away_since |= dict.fromkeys(range(old, change.after["spec"]["replicas"]), change.at)
        if change.plural != "pods":
            return None
        ordinal = ordinal_of(change.name)
        was_ready = change.before is not None and is_ready(change.before)
        ready = change.after is not None and is_ready(change.after)
        closed = change.after is not None and change.before is not None and closes_gate(change.before, change.after)
        if change.who == OPERATOR and was_ready and (not ready or closed):
            self._through_us.add(ordinal)
            self._away_since.setdefault(ordinal, change.at)
            self._taken = change
            return None
        if was_ready and not ready:
            if change.before is not None and self._has_soaked(change.before, change.at):
                self._forget(ordinal)
            self._away_since.setdefault(ordinal, change.at)
        elif ready and ordinal not in self._through_us:
            self._away_since.pop(ordinal, None)
        return None

    def judge(self, request: Request, read: Read) -> str | None:
        change, self._taken = self._taken, None
        rollout = rollout_spec(self.world)
        if change is None or not rollout:
            return None
        replicas, strategy = self.world.stateful_set()["spec"]["replicas"], read.strategy or rollout.get("strategy", {})
        limit = resolved(strategy.get("maxUnavailable", 1), max(replicas, len(read.ordinals)))
        away = sorted(ordinal for ordinal in range(replicas) if self._is_away(ordinal, change, strategy))
        if len(away) <= limit or ordinal_of(change.name) not in away:
            return None
        return f"{change.name} was taken out of service; ordinals {away} are unavailable, {limit} may be"

    def _is_away(self, ordinal: int, change: Change, strategy: Mapping[str, Any]) -> bool:
        if ordinal == ordinal_of(change.name):
            return True
        pod = self.world.server.find("pods", NAMESPACE, f"{NAME}-{ordinal}")
        if pod is not None and is_ready(pod):
            if ordinal not in self._through_us or self._has_soaked(pod, change.at, strategy):
                self._forget(ordinal)
                return False
            return True
        if ordinal in self._through_us:
            return True
        return change.at - self._away_since.get(ordinal, change.at) > self._blind_seconds

    def _forget(self, ordinal: int) -> None:
        """Its absence is over."""
        self._away_since.pop(ordinal, None)
        self._through_us.discard(ordinal)

    def _has_soaked(self, pod: Json, at: float, strategy: Mapping[str, Any] | None = None) -> bool:
        """Whether a ready pod had been ready for the soak by then: what becomes of it afterwards is not through us."""
        strategy = strategy or rollout_spec(self.world).get("strategy", {})
        since = epoch_of((condition_of(pod, "Ready") or {})["lastTransitionTime"])
        return at >= since + float(strategy.get("soakSeconds", 10))


class I2Drained(Rule):
    """No pod is released before its drain and membership are done for its running containers, and nobody routes to it.

    Exempt are pods whose application does not run (it cannot be asked), hooks that the user lets be passed over, what
    an application has lied about, and the membership where the user wants nobody to be left.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def on_change(self, change: Change) -> str | None:
        if change.plural != "pods" or change.before is None or change.after is None:
            return None
        if _is_evicted(change.after) and not _is_evicted(change.before) and self._is_in_our_hands(change.before):
            return f"{change.name} was evicted in the midst of leaving, and no disruption budget of the user's is on it"
        released = is_true(change.after, names.RELEASED) and not is_true(change.before, names.RELEASED)
        restarted = change.who == OPERATOR and _images_of(change.before) != _images_of(change.after)
        return self._problem(change.after) if released or restarted else None

    def _is_in_our_hands(self, pod: Json) -> bool:
        """Whether a pod that lives is out of service for us, and nobody but us says when it may be evicted."""
        sandbox = self._world.kubelet.of(pod)
        users = (
            item for item in self._world.server.list(BUDGETS, NAMESPACE) if not item["metadata"].get("ownerReferences")
        )
        free = not any(is_selected(pod, item["spec"]["selector"]) for item in users)
        runs = sandbox is not None and any(item.application and item.ready for item in sandbox.containers)
        return free and runs and bool(leaves_for(pod)) and not is_true(pod, names.RELEASED)

    def _problem(self, pod: Json) -> str | None:
        sandbox = self._world.kubelet.of(pod)
        spec, application = rollout_spec(self._world), self._world.application
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        if sandbox is None or not any(item.application and item.running for item in sandbox.containers):
            return None
        if not any(item.application and item.ready for item in sandbox.containers):
            return None
        unmoved = application.has_lied("members", "migrate") or self._world.stateful_set()["spec"]["replicas"] <= 1
        if is_binding(spec, "drain") and not (application.is_drained(uid) or application.has_lied("drain", uid=uid)):
            return f"{name} was released, and its application is not drained"
        if is_binding(spec, "membership") and not unmoved and uid in (application.settled_members() or {uid}):
            return f"{name} was released before a membership without it was settled"
        moved = is_binding(spec, "membership") or is_binding(spec, "migrate")
        if moved and not unmoved and (left := application.keys_of(uid)):
            return f"{name} was released with {left} keys in its memory"
        if pod["spec"].get("readinessGates") and uid in _serving_endpoints(self._world):
            return f"{name} was released while an EndpointSlice showed it serving"
        return None


class I3Judged(Rule):
    """Every destructive call carries the UID that was judged, and follows an observed fence."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._written = 0

    def on_change(self, change: Change) -> str | None:
        if change.plural == "statefulsets" and change.who == OPERATOR:
            self._written = change.item["metadata"]["generation"]
        return None

    def on_request(self, request: Request) -> str | None:
        if request.restarts and "uid" not in request.body["metadata"]:
            return f"{request} carries no UID"
        if not request.destroys:
            return None
        options = (request.body or {}).get("deleteOptions") if request.sub else request.body
        if not ((options or {}).get("preconditions") or {}).get("uid"):
            return f"{request} carries no UID"
        stateful_set = self._world.server.find("statefulsets", NAMESPACE, NAME)
        if stateful_set is None or stateful_set["status"].get("observedGeneration", 0) >= self._written:
            return None
        return f"{request} before the StatefulSet controller had seen the fence that we wrote"


def _is_evicted(pod: Json) -> bool:
    return is_true(pod, "DisruptionTarget")


def _images_of(pod: Json) -> list[str]:
    return [container["image"] for container in pod["spec"]["containers"]]


def _serving_endpoints(world: World) -> set[str]:
    return {
        endpoint["targetRef"]["uid"]
        for item in world.server.list("endpointslices", NAMESPACE)
        for endpoint in item["endpoints"]
        if endpoint["conditions"]["serving"]
    }
