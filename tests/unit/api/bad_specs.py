"""Wrong resources: what is wrong with each, who refuses it, and what the refusal must say.

The unit tests judge them offline; the end-to-end suite applies the same list to a real API server. Each is a JSON
merge patch over `GOOD`, which fits the sample application.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Literal

Json = dict[str, Any]

GOOD: Json = {
    "apiVersion": "statefulrollout.dev/v1alpha1",
    "kind": "StatefulRollout",
    "metadata": {"name": "kvstore"},
    "spec": {
        "targetRef": {"name": "kvstore"},
        "drain": {"apply": {"http": {"port": "admin", "path": "/drain"}}},
        "membership": {"apply": {"http": {"port": "admin", "path": "/members"}, "target": "AnyPeer"}},
    },
}

OWNED = "kvstore-owned"
"""A StatefulSet with a controller owner, which whoever applies the list must provide."""
HEADLESS_NOWHERE = "kvstore-nowhere"
"""A Service without a selector, which whoever applies the list must provide."""
SERVICE = "kvstore"
"""The Service of the sample application."""


@dataclass(frozen=True)
class BadSpec:
    """One wrong resource.

    Attributes:
        id: what is wrong, as the name of the test.
        patch: JSON merge patch over `GOOD`; null removes a field.
        refused_by: `schema`: the API server at apply; `operator`: Stalled=True with reason InvalidSpec.
        field: the field that the refusal names.
        words: what else it says.
        as_update: `GOOD` is applied first; only the change is wrong.
    """

    id: str
    patch: Json
    refused_by: Literal["schema", "operator"]
    field: str
    words: tuple[str, ...] = ()
    as_update: bool = False

    @property
    def manifest(self) -> Json:
        """The whole resource."""
        return merged(GOOD, self.patch)


def merged(document: Json, patch: Json) -> Json:
    """The document after a JSON merge patch."""
    result = copy.deepcopy(document)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            inner = result.get(key)
            result[key] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def strategy(**fields: object) -> Json:
    return {"spec": {"strategy": fields}}


def drain(**fields: object) -> Json:
    return {"spec": {"drain": fields}}


def drain_call(**fields: object) -> Json:
    return drain(apply=fields)


def drain_http(**fields: object) -> Json:
    return drain_call(http=fields)


def membership(**fields: object) -> Json:
    return {"spec": {"membership": fields}}


def check(**fields: object) -> Json:
    call = {"http": {"port": "admin", "path": "/health", "method": "GET"}, "target": "Peers"}
    return {"name": "green", "call": call, "expect": "status == 200", **fields}


REFUSED_BY_SCHEMA = [
    BadSpec("unknown field", strategy(maxSurge=1), "schema", "spec.strategy.maxSurge"),
    BadSpec(
        "more than all pods",
        strategy(maxUnavailable="101%"),
        "schema",
        "spec.strategy.maxUnavailable",
        ("from 1% to 100%",),
    ),
    BadSpec("no percent at all", strategy(maxUnavailable="0%"), "schema", "spec.strategy.maxUnavailable", ("from 1%",)),
    BadSpec("no pod at all", strategy(maxUnavailable=0), "schema", "spec.strategy.maxUnavailable", ("1 or more",)),
    BadSpec(
        "number as string",
        strategy(maxUnavailable="2"),
        "schema",
        "spec.strategy.maxUnavailable",
        ("a number of pods", "or a percentage"),
    ),
    BadSpec("negative duration", strategy(soakSeconds=-1), "schema", "spec.strategy.soakSeconds"),
    BadSpec("duration as string", strategy(soakSeconds="10s"), "schema", "spec.strategy.soakSeconds"),
    BadSpec("yes instead of true", {"spec": {"paused": "yes"}}, "schema", "spec.paused"),
    BadSpec("order by Role without roles", strategy(order={"by": "Role"}), "schema", "spec.strategy.order.role"),
    BadSpec(
        "roles in another order",
        strategy(order={"role": {"label": "role", "last": ["leader"]}}),
        "schema",
        "spec.strategy.order.role",
        ("set by to Role",),
    ),
    BadSpec(
        "zones in another order",
        strategy(order={"topologyKey": "rack"}),
        "schema",
        "spec.strategy.order.topologyKey",
        ("set by to Zone",),
    ),
    BadSpec("step without a rest", strategy(steps=[{"pods": 1}]), "schema", "spec.strategy.steps[0].pause"),
    BadSpec("step of no pod", strategy(steps=[{"pods": 0, "pause": {}}]), "schema", "spec.strategy.steps[0].pods"),
    BadSpec(
        "window without an end",
        strategy(windows=[{"schedule": "0 2 * * *"}]),
        "schema",
        "spec.strategy.windows[0].durationSeconds",
    ),
    BadSpec(
        "rollback of what cannot go back",
        strategy(onFailure="Rollback", reversible=False),
        "schema",
        "spec.strategy.onFailure",
        ("set onFailure to Pause",),
    ),
    BadSpec(
        "abort of what cannot go back",
        {"spec": {"strategy": {"reversible": False}, "abort": {"revision": "kvstore-1"}}},
        "schema",
        "spec.abort",
        ("paused",),
    ),
    BadSpec(
        "abort and retry at once",
        {"spec": {"abort": {"revision": "kvstore-1"}, "retry": {"revision": "kvstore-1", "nonce": 1}}},
        "schema",
        "spec.retry",
        ("remove one",),
    ),
    BadSpec("promotion of no step", {"spec": {"promote": {"revision": "a", "step": 0}}}, "schema", "spec.promote.step"),
    BadSpec("unknown choice", strategy(removal="Force"), "schema", "spec.strategy.removal"),
    BadSpec(
        "target not a StatefulSet", {"spec": {"targetRef": {"kind": "Deployment"}}}, "schema", "spec.targetRef.kind"
    ),
    BadSpec("target without a name", {"spec": {"targetRef": {"name": None}}}, "schema", "spec.targetRef.name"),
    BadSpec(
        "another target",
        {"spec": {"targetRef": {"name": "other"}}},
        "schema",
        "spec.targetRef",
        ("targetRef cannot change", "delete this StatefulRollout"),
        as_update=True,
    ),
    BadSpec("no spec", {"spec": None}, "schema", "spec"),
    BadSpec("hook without a request", drain(apply=None, undo=None), "schema", "spec.drain.apply"),
    BadSpec("two checks of one name", {"spec": {"checks": [check(), check()]}}, "schema", "spec.checks[1]"),
    BadSpec("too many checks", {"spec": {"checks": [check(name=f"c{i}") for i in range(17)]}}, "schema", "spec.checks"),
    BadSpec(
        "check that can never pass in time",
        {"spec": {"checks": [check(stableForSeconds=60, deadlineSeconds=60)]}},
        "schema",
        "spec.checks[0].stableForSeconds",
        ("shorter than deadlineSeconds",),
    ),
    BadSpec("empty expression", drain(expect=""), "schema", "spec.drain.expect"),
    BadSpec("endless expression", drain(expect=" || ".join(["true"] * 300)), "schema", "spec.drain.expect"),
    BadSpec(
        "membership told to one pod",
        membership(apply={"target": "Pod"}),
        "schema",
        "spec.membership.apply.target",
        ("set target to AnyPeer, Peers or Service",),
    ),
    BadSpec(
        "a pod filled in where there is none",
        membership(apply={"http": {"path": "/members/${pod.name}"}}),
        "schema",
        "spec.membership.apply.http",
        ("remove ${pod...}",),
    ),
    BadSpec(
        "target Service without its name",
        drain_call(target="Service"),
        "schema",
        "spec.drain.apply.service",
        ("add service.name",),
    ),
    BadSpec(
        "Service beside another target",
        drain_call(target="Pod", service={"name": SERVICE}),
        "schema",
        "spec.drain.apply.service",
        ("remove service",),
    ),
    BadSpec("body in a GET", drain_http(method="GET", body="{}"), "schema", "spec.drain.apply.http.body", ("no body",)),
    BadSpec("method unknown", drain_http(method="BREW"), "schema", "spec.drain.apply.http.method"),
    BadSpec(
        "a host of the user's", drain_http(headers={"host": "a.example"}), "schema", "headers", ("set by the operator",)
    ),
    BadSpec(
        "two headers in one", drain_http(headers={"X-A": "1\r\nX-B: 2"}), "schema", "headers", ("remove line breaks",)
    ),
    BadSpec("no name for a header", drain_http(headers={"X A": "1"}), "schema", "headers", ("name of a header",)),
    BadSpec("port out of range", drain_http(port=70_000), "schema", "spec.drain.apply.http.port", ("1 to 65535",)),
    BadSpec("path is a URL", drain_http(path="http://a/b"), "schema", "spec.drain.apply.http.path", ("starts with",)),
    BadSpec("path is a host", drain_http(path="//a.example/b"), "schema", "spec.drain.apply.http.path", ("single /",)),
    BadSpec(
        "template unknown",
        drain_http(path="/drain?zone=${vars.zone}"),
        "schema",
        "spec.drain.apply.http.path",
        ("only ${pod.name}",),
    ),
    BadSpec("call takes for ever", drain_call(timeoutSeconds=3600), "schema", "spec.drain.apply.timeoutSeconds"),
    BadSpec(
        "settles past its deadline",
        drain(settleSeconds=300, deadlineSeconds=300),
        "schema",
        "spec.drain.deadlineSeconds",
        ("never finish in time",),
    ),
    BadSpec(
        "stalls past its deadline",
        drain(stallSeconds=600, deadlineSeconds=300),
        "schema",
        "spec.drain.stallSeconds",
        ("never applies",),
    ),
]

REFUSED_BY_OPERATOR = [
    BadSpec(
        "guard that does not exist",
        {"spec": {"override": {"revision": "kvstore-1", "guards": ["budget"]}}},
        "operator",
        "spec.override.guards[0]",
        ("no guard budget", "budget_allows_new_unavailability"),
    ),
    BadSpec(
        "guard that has another word",
        {"spec": {"override": {"revision": "kvstore-1", "guards": ["rollout_is_not_paused"]}}},
        "operator",
        "spec.override.guards[0]",
        ("set spec.paused to false",),
    ),
    BadSpec(
        "steps that do not rise",
        strategy(steps=[{"pods": 2, "pause": {}}, {"pods": "50%", "pause": {}}, {"pods": 2, "pause": {}}]),
        "operator",
        "spec.strategy.steps[2].pods",
        ("is 2", "must rise"),
    ),
    BadSpec(
        "time zone that does not exist",
        strategy(windows=[{"schedule": "0 2 * * *", "timeZone": "Europe/Berlln", "durationSeconds": 60}]),
        "operator",
        "spec.strategy.windows[0].timeZone",
        ("Europe/Berlln", "IANA"),
    ),
    BadSpec(
        "schedule with seconds",
        strategy(windows=[{"schedule": "0 0 2 * * *", "durationSeconds": 60}]),
        "operator",
        "spec.strategy.windows[0].schedule",
        ("five fields",),
    ),
    BadSpec(
        "schedule that never comes",
        strategy(windows=[{"schedule": "0 2 30 2 *", "durationSeconds": 60}]),
        "operator",
        "spec.strategy.windows[0].schedule",
        ("0 2 30 2 *", "correct it"),
    ),
    BadSpec(
        "target missing",
        {"spec": {"targetRef": {"name": "nowhere"}}},
        "operator",
        "spec.targetRef.name",
        ("no StatefulSet nowhere", "create it"),
    ),
    BadSpec(
        "target driven by somebody else",
        {"spec": {"targetRef": {"name": OWNED}}},
        "operator",
        "spec.targetRef.name",
        (OWNED, "two drivers"),
    ),
    BadSpec(
        "port that no container declares",
        drain_http(port="adminn"),
        "operator",
        "spec.drain.apply.http.port",
        ("adminn", "admin", "add it to the pod template"),
    ),
    BadSpec(
        "Service missing",
        drain_call(target="Service", service={"name": "nowhere"}),
        "operator",
        "spec.drain.apply.service.name",
        ("no Service nowhere", "create it"),
    ),
    BadSpec(
        "Service without a selector",
        drain_call(target="Service", service={"name": HEADLESS_NOWHERE}),
        "operator",
        "spec.drain.apply.service.name",
        ("no selector",),
    ),
    BadSpec(
        "port that the Service does not have",
        drain_call(target="Service", service={"name": SERVICE}, http={"port": 9}),
        "operator",
        "spec.drain.apply.http.port",
        (f"Service {SERVICE} has no port 9",),
    ),
    BadSpec(
        "expression that does not compile",
        drain(expect="json.inFlight ="),
        "operator",
        "spec.drain.expect",
        ("does not compile",),
    ),
    BadSpec(
        "expression that is no boolean", drain(expect="status + 1"), "operator", "spec.drain.expect", ("a boolean",)
    ),
    BadSpec("progress that is no number", drain(progress="text"), "operator", "spec.drain.progress", ("a number",)),
    BadSpec(
        "answers without peers",
        drain(expect="answers.all(a, a.status == 200)"),
        "operator",
        "spec.drain.expect",
        ("answers",),
    ),
    BadSpec(
        "a pod where there is none",
        membership(expect="pod.name != ''"),
        "operator",
        "spec.membership.expect",
        ("pod",),
    ),
    BadSpec(
        "failWhen that does not compile",
        {"spec": {"checks": [check(failWhen="json.state == red")]}},
        "operator",
        "spec.checks[0].failWhen",
        ("red",),
    ),
]

BAD_SPECS = [*REFUSED_BY_SCHEMA, *REFUSED_BY_OPERATOR]
