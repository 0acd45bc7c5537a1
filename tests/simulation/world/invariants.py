"""What must never happen, one class for each invariant of the design that a single cluster can show.

Each is told of every write and of every request of the operator, compares it with the truth of the simulated world
(not with what the operator believes), and returns a sentence where the rule is broken. A class is named after its
invariant's number in docs/design.md.
"""

from __future__ import annotations

import json

from statefulrollout.api import names
from tests.simulation.world.apiserver import OPERATOR, Change
from tests.simulation.world.objects import Json, condition_of, epoch_of, is_terminating, is_true, ordinal_of
from tests.simulation.world.podtemplate import UNREACHABLE_PARTITION, revision_of
from tests.simulation.world.rest import Request
from tests.simulation.world.world import NAME, NAMESPACE, Invariant, World


def every_invariant(world: World) -> tuple[Invariant, ...]:
    """All of them, for `world.watch`."""
    return (I1Budget(world), I2Drained(world), I3Judged(world), I5Revision(world), I9Generations(), I13Soaked(world))


class _Rule:
    def on_change(self, change: Change) -> str | None:
        """See `Invariant`."""
        del change
        return None

    def on_request(self, request: Request) -> str | None:
        """See `Invariant`."""
        del request
        return None


class I1Budget(_Rule):
    """Never more than `maxUnavailable` pods newly unavailable through us.

    Judged whenever the operator takes a ready pod out of service: together with it, no more ordinals may be without
    an available pod than allowed. A pod that became unavailable by itself within the last `blind_seconds` may not
    have been seen yet and is not counted; a new pod that has not soaked is unavailable.
    """

    def __init__(self, world: World, blind_seconds: float = 0.5) -> None:
        self._world = world
        self._blind_seconds = blind_seconds
        self._away_since: dict[int, float] = {}
        self._through_us: set[int] = set()

    def on_change(self, change: Change) -> str | None:
        if change.plural == "statefulsets" and change.after is not None:
            old = (change.before or change.after)["spec"]["replicas"]
            self._away_since |= dict.fromkeys(range(old, change.after["spec"]["replicas"]), change.at)
        if change.plural != "pods":
            return None
        ordinal = ordinal_of(change.name)
        was_ready = change.before is not None and _is_ready(change.before)
        ready = change.after is not None and _is_ready(change.after)
        closed = change.after is not None and change.before is not None and _closes_gate(change.before, change.after)
        if change.who == OPERATOR and was_ready and (not ready or closed):
            self._through_us.add(ordinal)
            self._away_since.setdefault(ordinal, change.at)
            return self._problem(change)
        if was_ready and not ready:
            self._away_since.setdefault(ordinal, change.at)
        elif ready and ordinal not in self._through_us:
            self._away_since.pop(ordinal, None)
        return None

    def _problem(self, change: Change) -> str | None:
        spec, rollout = self._world.stateful_set()["spec"], _rollout_spec(self._world)
        if not rollout:
            return None
        strategy = rollout.get("strategy", {})
        limit = _resolved(strategy.get("maxUnavailable", 1), spec["replicas"])
        away = sorted(ordinal for ordinal in range(spec["replicas"]) if self._is_away(ordinal, change, strategy))
        if len(away) <= limit or ordinal_of(change.name) not in away:
            return None
        return f"{change.name} was taken out of service; ordinals {away} are unavailable, {limit} may be"

    def _is_away(self, ordinal: int, change: Change, strategy: Json) -> bool:
        if ordinal == ordinal_of(change.name):
            return True
        pod = self._world.server.find("pods", NAMESPACE, f"{NAME}-{ordinal}")
        soak = strategy.get("soakSeconds", 10)
        if pod is not None and _is_ready(pod):
            since = epoch_of((condition_of(pod, "Ready") or {})["lastTransitionTime"])
            if ordinal not in self._through_us or change.at >= since + soak:
                self._away_since.pop(ordinal, None)
                self._through_us.discard(ordinal)
                return False
            return True
        if ordinal in self._through_us:
            return True
        return change.at - self._away_since.get(ordinal, change.at) > self._blind_seconds


class I2Drained(_Rule):
    """No pod is released before its drain and membership are done for its running containers, and nobody routes to it.

    Exempt are pods whose application does not run (it cannot be asked), and hooks that the user lets be passed over.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def on_change(self, change: Change) -> str | None:
        if change.plural != "pods" or change.before is None or change.after is None:
            return None
        if is_true(change.before, names.RELEASED) or not is_true(change.after, names.RELEASED):
            return None
        return self._problem(change.after)

    def _problem(self, pod: Json) -> str | None:
        sandbox = self._world.kubelet.of(pod)
        spec, application = _rollout_spec(self._world), self._world.application
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        if sandbox is None or not any(item.application and item.running for item in sandbox.containers):
            return None
        if not any(item.application and item.ready for item in sandbox.containers):
            return None
        if _is_binding(spec, "drain") and not application.is_drained(uid):
            return f"{name} was released, and its application is not drained"
        if _is_binding(spec, "membership") and uid in (application.settled_members() or {uid}):
            return f"{name} was released before a membership without it was settled"
        if (_is_binding(spec, "membership") or _is_binding(spec, "migrate")) and (left := application.keys_of(uid)):
            return f"{name} was released with {left} keys in its memory"
        if pod["spec"].get("readinessGates") and uid in _serving_endpoints(self._world):
            return f"{name} was released while an EndpointSlice showed it serving"
        return None


class I3Judged(_Rule):
    """Every destructive call carries the UID that was judged, and follows an observed fence."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._written = 0

    def on_change(self, change: Change) -> str | None:
        if change.plural == "statefulsets" and change.who == OPERATOR:
            self._written = change.item["metadata"]["generation"]
        return None

    def on_request(self, request: Request) -> str | None:
        if not request.destroys:
            return None
        options = (request.body or {}).get("deleteOptions") if request.sub else request.body
        if not ((options or {}).get("preconditions") or {}).get("uid"):
            return f"{request} carries no UID"
        stateful_set = self._world.server.find("statefulsets", NAMESPACE, NAME)
        if stateful_set is None or stateful_set["status"].get("observedGeneration", 0) >= self._written:
            return None
        return f"{request} before the StatefulSet controller had seen the fence that we wrote"


class I5Revision(_Rule):
    """A pod that dies comes back at the revision that the fence gives; one that dies while paused, at the accepted one.

    The second half counts from `seconds_to_close` after the pause, for pods that were not released, while the
    operator is up (it has been heard of within its resync), and while another pod is outdated: once all are updated,
    a fence that holds would accept the revision unsoaked, so it has to stay open.
    """

    def __init__(self, world: World, seconds_to_close: float = 5.0, silence: float = 90.0) -> None:
        self._world = world
        self._seconds_to_close = seconds_to_close
        self._silence = silence
        self._paused_since: float | None = None
        self._died_paused: set[str] = set()

    def on_change(self, change: Change) -> str | None:
        if change.plural == names.PLURAL and change.after is not None:
            paused = change.after["spec"].get("paused", False)
            self._paused_since = (self._paused_since or change.at) if paused else None
        died = change.plural == "pods" and change.after is None and not is_true(change.item, names.RELEASED)
        if died and self._is_closed(change.at):
            self._died_paused.add(change.name)
        if change.plural == "pods" and change.type == "ADDED":
            return self._problem(change)
        return None

    def _is_closed(self, now: float) -> bool:
        seen = self._world.transport.seen
        is_up = bool(seen) and now - seen[-1].at < self._silence
        wanted = self._world.stateful_set()["status"].get("updateRevision")
        is_between = any(revision_of(pod) != wanted for pod in self._world.pods())
        paused = self._paused_since is not None and now - self._paused_since >= self._seconds_to_close
        return is_up and is_between and paused

    def _problem(self, change: Change) -> str | None:
        stateful_set = self._world.stateful_set()
        status, strategy = stateful_set["status"], stateful_set["spec"]["updateStrategy"]
        revision, accepted = revision_of(change.item), status.get("currentRevision")
        if change.name in self._died_paused:
            self._died_paused.discard(change.name)
            if revision != accepted:
                return f"{change.name} died while paused and came back at {revision} and not at {accepted}"
        if status.get("observedGeneration", 0) < stateful_set["metadata"]["generation"]:
            return None
        held = strategy.get("rollingUpdate", {}).get("partition") == UNREACHABLE_PARTITION
        expected = accepted if held else status.get("updateRevision")
        return f"{change.name} came back at {revision} and not at {expected}" if expected != revision else None


class I9Generations(_Rule):
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


class I13Soaked(_Rule):
    """`currentRevision` never advances to a revision with a pod that has not served for `soakSeconds`.

    Exempt is what somebody else brought about by writing `updateStrategy`: the controller is faster than we are.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._ready_since: dict[str, float] = {}

    def on_change(self, change: Change) -> str | None:
        if change.plural == "pods":
            uid = change.item["metadata"]["uid"]
            if change.after is None or not _is_ready(change.after):
                self._ready_since.pop(uid, None)
            else:
                self._ready_since.setdefault(uid, change.at)
        if change.plural != "statefulsets" or change.before is None or change.after is None:
            return None
        old, new = (item["status"].get("currentRevision") for item in (change.before, change.after))
        return None if old in (None, new) else self._problem(str(new), change)

    def _problem(self, revision: str, change: Change) -> str | None:
        spec = _rollout_spec(self._world)
        writers = {entry["manager"] for entry in change.item["metadata"]["managedFields"]}
        if not spec or writers != {names.FIELD_MANAGER}:
            return None
        soak = spec.get("strategy", {}).get("soakSeconds", 10)
        for pod in self._world.pods():
            served = change.at - self._ready_since.get(pod["metadata"]["uid"], change.at)
            if revision_of(pod) == revision and served < soak:
                return f"{revision} was accepted; {pod['metadata']['name']} had served {served:.2f} of {soak} s"
        return None


def _is_ready(pod: Json) -> bool:
    return is_true(pod, "Ready") and not is_terminating(pod) and _gate_is_open(pod)


def _gate_is_open(pod: Json) -> bool:
    return not pod["spec"].get("readinessGates") or is_true(pod, names.SERVING)


def _closes_gate(before: Json, after: Json) -> bool:
    return is_true(before, names.SERVING) and not is_true(after, names.SERVING)


def _rollout_spec(world: World) -> Json:
    found = world.server.find(names.PLURAL, NAMESPACE, NAME)
    spec: Json = found["spec"] if found else {}
    return spec


def _is_binding(spec: Json, hook: str) -> bool:
    """Whether a hook is given, and its failure may not be passed over."""
    return spec.get(hook) is not None and spec[hook].get("onTimeout", "Pause") == "Pause"


def _serving_endpoints(world: World) -> set[str]:
    return {
        endpoint["targetRef"]["uid"]
        for item in world.server.list("endpointslices", NAMESPACE)
        for endpoint in item["endpoints"]
        if endpoint["conditions"]["serving"]
    }


def _resolved(value: int | str, replicas: int) -> int:
    return value if isinstance(value, int) else max(1, replicas * int(value.removesuffix("%")) // 100)
