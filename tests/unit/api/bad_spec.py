"""What a wrong resource is made of: a JSON merge patch over `GOOD`, which fits the sample application."""

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


def drain_exec(**fields: object) -> Json:
    return drain_call(http=None, exec={"container": "store", "command": ["drain"], **fields})


def membership(**fields: object) -> Json:
    return {"spec": {"membership": fields}}


def check(**fields: object) -> Json:
    call = {"http": {"port": "admin", "path": "/health", "method": "GET"}, "target": "Peers"}
    return {"name": "green", "call": call, "expect": "status == 200", **fields}


def role(**fields: object) -> Json:
    ask = {"call": {"http": {"port": "admin", "path": "/role", "method": "GET"}}, "value": "json.role"}
    return strategy(order={"by": "Role", "role": {"last": ["leader"], "ask": {**ask, **fields}}})


def load(**fields: object) -> Json:
    call = {"http": {"port": "admin", "path": "/load", "method": "GET"}}
    return {"spec": {"capacity": {"load": {"call": call, "value": "json.rps", "perPod": 100, **fields}}}}
