"""What must never happen, judged over everything that a journal recorded: one class for each invariant of the design.

Each is shown every change in the order of the writes, beside the scene as it was just before, and returns a sentence
where the rule is broken. The numbers are those of docs/design.md. What cannot be seen from outside (the UID on a
delete, who leads) is judged in the simulation.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from e2e.harness.journal import LEDGERS, PODS, ROLLOUTS, STATEFUL_SETS, Change
from e2e.harness.kubectl import Json
from e2e.harness.pods import Pod
from statefulrollout.api import names

SCALE_DOWN, EVICTION = "scale-down", "eviction"
BLIND_SECONDS = 1.0
"""What became unavailable or wanted without the operator's doing so recently may not have been seen by who decided."""
CLOCK_SECONDS = 0.5
"""Between the moment at which a pod became Ready and the one at which its watcher heard of it."""


@dataclass
class Scene:
    """The namespace between two changes, and what the scenario itself did to it (UIDs of pods that it deleted)."""

    deleted_by_user: Collection[str] = ()
    pods: dict[str, Pod] = field(default_factory=dict)
    stateful_set: Json = field(default_factory=dict)
    rollout: Json = field(default_factory=dict)
    ledger: Json = field(default_factory=dict)
    ready_since: dict[str, float] = field(default_factory=dict)
    """By UID: when the pod was seen to become Ready."""
    away_since: dict[int, float] = field(default_factory=dict)
    """By ordinal: since when no pod of it is available."""

    @property
    def strategy(self) -> Json:
        found: Json = self.rollout.get("spec", {}).get("strategy", {})
        return found

    @property
    def fence_is_observed(self) -> bool:
        status = self.stateful_set.get("status", {})
        return bool(status.get("observedGeneration", 0) >= self.stateful_set["metadata"]["generation"])

    def advance(self, change: Change) -> None:
        """Take a change in."""
        if change.plural == PODS:
            self._advance_pod(change, Pod(change.item))
            return
        item = {} if change.gone else change.item
        if change.plural == STATEFUL_SETS:
            before = self.stateful_set.get("spec", item.get("spec", {})).get("replicas", 0)
            self.away_since |= dict.fromkeys(range(before, item.get("spec", {}).get("replicas", 0)), change.at)
            self.stateful_set = item
        elif change.plural == ROLLOUTS:
            self.rollout = item
        elif change.plural == LEDGERS:
            self.ledger = item

    def _advance_pod(self, change: Change, pod: Pod) -> None:
        if not change.gone:
            self.pods[pod.name] = pod
        elif self.pods.get(pod.name, pod).uid == pod.uid:
            self.pods.pop(pod.name, None)
        if change.gone or not pod.ready:
            self.ready_since.pop(pod.uid, None)
            self.away_since.setdefault(pod.ordinal, change.at)
        else:
            self.ready_since.setdefault(pod.uid, change.at)
            self.away_since.pop(pod.ordinal, None)


class Rule:
    """One invariant."""

    def look(self, change: Change, before: Scene) -> str | None:
        """The sentence that says how this change breaks the rule."""
        if change.plural == PODS:
            pod = Pod(change.item)
            earlier = before.pods.get(pod.name)
            return self.look_at_pod(change, pod, earlier if earlier and earlier.uid == pod.uid else None, before)
        return None

    def look_at_pod(self, change: Change, pod: Pod, earlier: Pod | None, before: Scene) -> str | None:
        """The same for a change of a pod; `earlier` is its version before this one."""
        del change, pod, earlier, before
        return None


class I1Budget(Rule):
    """Never more than `maxUnavailable` pods newly unavailable through us."""

    def look_at_pod(self, change: Change, pod: Pod, earlier: Pod | None, before: Scene) -> str | None:
        replicas = before.stateful_set.get("spec", {}).get("replicas", 0)
        chosen = earlier is not None and earlier.ready and not earlier.leaves_for and bool(pod.leaves_for)
        if not chosen or pod.ordinal >= replicas:
            return None
        present = {other.ordinal: other for other in before.pods.values()}
        away = {ordinal for ordinal in range(replicas) if self._is_away(ordinal, present, change.at, before)}
        limit = resolved(before.strategy.get("maxUnavailable", 1), replicas)
        if len(away | {pod.ordinal}) <= limit:
            return None
        return f"{pod.name} was taken out of service beside ordinals {sorted(away)}; {limit} may be unavailable"

    def _is_away(self, ordinal: int, present: dict[int, Pod], now: float, before: Scene) -> bool:
        pod = present.get(ordinal)
        # One that was condemned and is wanted again is away from the scale-up on, as one that is missing.
        called_back = pod is not None and pod.leaves_for == SCALE_DOWN
        if pod is not None and pod.leaves_for and not called_back:
            return True
        if pod is not None and pod.ready and not called_back:
            return False
        return now - before.away_since.get(ordinal, now) > BLIND_SECONDS


class I2Drained(Rule):
    """No pod goes before its drain, migrate and membership are done for its running containers."""

    def look_at_pod(self, change: Change, pod: Pod, earlier: Pod | None, before: Scene) -> str | None:
        if earlier is None:
            return None
        goes = pod.terminating or change.gone
        if goes and not earlier.terminating and earlier.fenced and not pod.is_true(names.RELEASED):
            freed = pod.finished or pod.uid in before.deleted_by_user
            return None if freed else f"{pod.name} was deleted under the lid, though nobody had released it"
        if pod.images != earlier.images:
            return self._problem(earlier, before)
        if pod.is_true(names.RELEASED) and not earlier.is_true(names.RELEASED) and not pod.stuck:
            if not (pod.is_true(names.DRAINED) and pod.is_true(names.MIGRATED)):
                return f"{pod.name} was released before it was drained and migrated"
            return self._problem(pod, before)
        return None

    def _problem(self, pod: Pod, before: Scene) -> str | None:
        """What stood against letting the pod go, or restarting it in place."""
        if pod.gated and pod.is_true(names.SERVING):
            return f"{pod.name} was released while its gate was open"
        if pod.fact_containers.items() - pod.running_containers.items():
            return f"{pod.name} was released for {pod.fact_containers}, and {pod.running_containers} run in it"
        declaration = before.ledger.get("spec", {}).get("declaration", {})
        binding = before.rollout.get("spec", {}).get("membership", {}).get("onTimeout", "Proceed") != "Proceed"
        members = {member["uid"] for member in declaration.get("members", ())}
        if binding and (not declaration.get("done") or pod.uid in members):
            return f"{pod.name} was released, but no declaration of the members without it was done"
        return None


class I4Paused(Rule):
    """Nothing new leaves for another revision while the rollout is paused and the operator knows it."""

    def look_at_pod(self, change: Change, pod: Pod, earlier: Pod | None, before: Scene) -> str | None:
        chosen = earlier is not None and not earlier.leaves_for and pod.leaves_for not in ("", SCALE_DOWN, EVICTION)
        if chosen and not pod.stuck and before.rollout.get("spec", {}).get("paused") and is_observed(before.rollout):
            return f"{pod.name} left for {pod.leaves_for} while the rollout was paused"
        return None


class I5Revision(Rule):
    """A pod that is created is of the revision that the fence gives, where the controller had seen the fence."""

    def look_at_pod(self, change: Change, pod: Pod, earlier: Pod | None, before: Scene) -> str | None:
        if change.type != "ADDED" or earlier is not None or not before.stateful_set or not before.fence_is_observed:
            return None
        status, strategy = before.stateful_set["status"], before.stateful_set["spec"]["updateStrategy"]
        held = pod.ordinal < strategy.get("rollingUpdate", {}).get("partition", 0)
        expected = status["currentRevision" if held else "updateRevision"]
        return None if pod.revision == expected else f"{pod.name} came back at {pod.revision} and not at {expected}"


class I9Generations(Rule):
    """Membership generations only grow, and one generation always means the same members."""

    def look(self, change: Change, before: Scene) -> str | None:
        if change.plural != LEDGERS or change.gone or not before.ledger:
            return None
        last, declared = (item["spec"].get("declaration", {}) for item in (before.ledger, change.item))
        old, new = last.get("generation", 0), declared.get("generation", 0)
        if new < old:
            return f"generation {new} was declared after {old}"
        same = json.dumps(last.get("members"), sort_keys=True) == json.dumps(declared.get("members"), sort_keys=True)
        return f"generation {new} changed its members" if new == old and new and not same else None


class I10Status(Rule):
    """The status never contradicts itself, nor speaks of a generation that does not exist."""

    def look(self, change: Change, before: Scene) -> str | None:
        del before
        if change.plural != ROLLOUTS or change.gone or not change.item.get("status", {}).get("conditions"):
            return None
        conditions = {each["type"]: each for each in change.item["status"]["conditions"]}
        if missing := set(names.CONDITIONS) - set(conditions):
            return f"the status lacks the conditions {sorted(missing)}"
        if all(conditions[kind]["status"] == "True" for kind in (names.RECONCILING, names.STALLED)):
            return "Reconciling and Stalled are both True"
        generation = change.item["metadata"]["generation"]
        ahead = [kind for kind, each in conditions.items() if each["observedGeneration"] > generation]
        return f"{ahead} observed a generation after {generation}" if ahead else None


class I13Soaked(Rule):
    """`currentRevision` never advances to a revision with a pod that has not served for `soakSeconds`."""

    def look(self, change: Change, before: Scene) -> str | None:
        if change.plural != STATEFUL_SETS or change.gone or not before.rollout or not before.stateful_set:
            return None
        old = before.stateful_set.get("status", {}).get("currentRevision")
        new = change.item.get("status", {}).get("currentRevision")
        if old in (None, new):
            return None
        soak = before.strategy.get("soakSeconds", 10)
        for pod in before.pods.values():
            served = change.at - before.ready_since.get(pod.uid, change.at)
            # It may have been heard late. Its status is cut to whole seconds: by that it has served a little longer.
            at_most = change.at - (pod.since("Ready") or change.at)
            if pod.ordinal < change.item["spec"]["replicas"] and served < soak - CLOCK_SECONDS and at_most < soak:
                return f"{new} was accepted; {pod.name} had served {served:.2f} of {soak} s"
        return None


RULES = (I1Budget, I2Drained, I4Paused, I5Revision, I9Generations, I10Status, I13Soaked)


def broken_invariants(
    history: Sequence[Change], deleted_by_user: Collection[str], gaps: Sequence[tuple[int, int]] = ()
) -> list[str]:
    """Every breach in what was recorded, and at the end what a finished rollout must not leave open.

    Nothing is judged within `gaps`, pairs of versions between which something may have passed unseen.
    """
    scene, rules = Scene(deleted_by_user), [rule() for rule in RULES]
    breaches = []
    for change in history:
        is_seen_whole = not any(first < change.version <= last for first, last in gaps)
        for rule in rules:
            if (problem := rule.look(change, scene)) and is_seen_whole:
                breaches.append(f"{type(rule).__name__} at version {change.version}: {problem}")
        scene.advance(change)
    return breaches + [f"at the end: {problem}" for problem in _left_open(scene)]


def _left_open(scene: Scene) -> list[str]:
    """I8 and I9 of a rollout that says that it is complete."""
    if not scene.rollout or not condition_is_true(scene.rollout, names.READY):
        return []
    page = scene.ledger.get("spec", {})
    problems = [f"hook {hook['id']} was begun and neither completed nor undone" for hook in page.get("openHooks", ())]
    if "membership" in scene.rollout["spec"]:
        members = sorted(member["uid"] for member in page.get("declaration", {}).get("members", ()))
        if members != sorted(pod.uid for pod in scene.pods.values()):
            problems.append(f"the last declaration has the members {members}, which are not the pods that exist")
    return problems


def condition_is_true(item: Json, kind: str) -> bool:
    """Whether an object says that this condition is True of its present generation."""
    conditions = item.get("status", {}).get("conditions", ())
    return any(
        each["type"] == kind
        and each["status"] == "True"
        and each["observedGeneration"] == item["metadata"]["generation"]
        for each in conditions
    )


def is_observed(item: Json) -> bool:
    """Whether the operator's status speaks of the present generation."""
    return bool(item.get("status", {}).get("observedGeneration") == item["metadata"]["generation"])


def resolved(value: int | str, replicas: int) -> int:
    """`maxUnavailable` in pods."""
    return value if isinstance(value, int) else max(1, replicas * int(value.removesuffix("%")) // 100)
