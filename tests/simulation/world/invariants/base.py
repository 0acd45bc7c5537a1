"""What every rule has, and the words in which rules are stated."""

from __future__ import annotations

import json

from statefulrollout.api import names
from tests.simulation.world.apiserver import Change
from tests.simulation.world.objects import Json, is_terminating, is_true
from tests.simulation.world.rest import Request
from tests.simulation.world.world import NAME, NAMESPACE, World

SCALE_DOWN = "scale-down"
EVICTION = "eviction"


class Rule:
    """One invariant; a class is named after its number in docs/design.md."""

    def on_change(self, change: Change) -> str | None:
        """See `Invariant`."""
        del change
        return None

    def on_request(self, request: Request) -> str | None:
        """See `Invariant`."""
        del request
        return None


def is_ready(pod: Json) -> bool:
    """Whether the pod serves, and shall."""
    return is_true(pod, "Ready") and not is_terminating(pod) and gate_is_open(pod)


def gate_is_open(pod: Json) -> bool:
    """Whether our gate lets the pod serve."""
    return not pod["spec"].get("readinessGates") or is_true(pod, names.SERVING)


def closes_gate(before: Json, after: Json) -> bool:
    """Whether a write takes the pod out of service."""
    return is_true(before, names.SERVING) and not is_true(after, names.SERVING)


def leaves_for(pod: Json) -> str:
    """What the operator wrote that the pod leaves for; empty while it serves."""
    notes = pod["metadata"].get("annotations", {})
    return str(json.loads(notes.get(names.FACTS_ANNOTATION, "{}")).get("wanted", ""))


def rollout_spec(world: World) -> Json:
    """The StatefulRollout's spec; empty where there is none."""
    found = world.server.find(names.PLURAL, NAMESPACE, NAME)
    spec: Json = found["spec"] if found else {}
    return spec


def is_binding(spec: Json, hook: str) -> bool:
    """Whether a hook is given, and its failure may not be passed over."""
    return spec.get(hook) is not None and spec[hook].get("onTimeout") != "Proceed"


def resolved(value: int | str, replicas: int) -> int:
    """`maxUnavailable` in pods."""
    return value if isinstance(value, int) else max(1, replicas * int(value.removesuffix("%")) // 100)
