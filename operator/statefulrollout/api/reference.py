"""Renders `docs/api.md` from the CRD: one table per object, then what the schema alone cannot say.

Reads nothing but the CRD it is given, so the page says what the API server enforces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from statefulrollout.api.model import INT_OR_STRING, RULES
from statefulrollout.api.v1alpha1 import Json

_INTRODUCTION = """\
# StatefulRollout: reference of the API

Generated from the models in `operator/statefulrollout/api`. The same words: `kubectl explain sro.spec --recursive`.

The least that works:

```yaml
apiVersion: statefulrollout.dev/v1alpha1
kind: StatefulRollout
metadata: {name: kvstore}
spec:
  targetRef: {name: kvstore}
  drain: {apply: {http: {port: admin, path: /drain}}}
  membership: {apply: {http: {port: admin, path: /members}, target: AnyPeer}}
```

## What is refused, and where

| what | where it is refused |
|---|---|
| wrong types, values out of bounds, rules over several fields | by the API server, when the object is applied |
| unknown fields | `kubectl` (`--validate=strict`, its default) and every server-side apply (Flux, Argo CD): refused. \
A client that creates or updates without asking for `fieldValidation=Strict` only gets a warning, and the API server \
drops the field: it cannot be made to refuse it, and no admission policy or webhook gets to see it |
| what only the cluster can tell: a missing StatefulSet, Service or port, a CEL expression that does not compile | by \
the operator: condition `Stalled` is True with reason `InvalidSpec`, the message names field and remedy, and nothing \
is touched |
| a `maxUnavailable` that covers every pod | by the guard `outage_was_allowed`, before the first pod; set \
`strategy.allowFullOutage` if that is meant |

## Expressions

`expect`, `failWhen` and `progress` are CEL. They see `status` (the HTTP status code, int) or `exitCode` (of a \
command, int), `json` (the body, or what the command printed, as JSON), `text` (the same as it came), `pod` (the pod \
the hook is about; not in `membership` and `checks`), `members` (who serves, leaves, joins, is away or unknown) and, \
with target Peers, `answers` (a list of `{pod, status or exitCode, json}`). `expect` and `failWhen` give a boolean: \
only `true` counts. `progress` gives a number that falls.
"""


def reference_of(crd: Json) -> str:
    """The whole page, as Markdown."""
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    seen: dict[str, str] = {}
    sections = [_INTRODUCTION, "## Fields\n"]
    for part in ("spec", "status"):
        sections += _sections(part, root["properties"][part], seen)
    return "\n".join(sections)


def _sections(path: str, schema: Json, seen: dict[str, str]) -> Iterator[str]:
    """The table of an object, then those of the objects in it. `seen`: where each kind of object was described."""
    seen[_identity_of(schema)] = path
    required = schema.get("required", ())
    rows: list[str] = []
    inside: list[tuple[str, Json]] = []
    for name, field in schema["properties"].items():
        inner, suffix = (field["items"], "[]") if field.get("type") == "array" else (field, "")
        known = seen.get(_identity_of(inner)) if "properties" in inner else None
        rows.append(_row(name, field, required=name in required, like=known))
        if "properties" in inner and known is None:
            seen[_identity_of(inner)] = f"{path}.{name}{suffix}"
            inside.append((f"{path}.{name}{suffix}", inner))
    described = [schema["description"], ""] if "description" in schema else []
    table = ["| field | type | default | meaning |", "|---|---|---|---|", *rows, ""]
    rules = [f"* {rule['message']}" for rule in schema.get(RULES, ())]
    yield "\n".join([f"### {path}\n", *described, *table, *rules, *([""] if rules else [])])
    for inner_path, inner in inside:
        yield from _sections(inner_path, inner, seen)


def _identity_of(schema: Json) -> str:
    """The same for two objects with the same fields and rules, however each is described."""
    return json.dumps([schema.get("properties"), schema.get(RULES)], sort_keys=True)


def _row(name: str, field: Json, *, required: bool, like: str | None) -> str:
    default = f"`{_default(field['default'])}`" if "default" in field else ""
    rules = [] if "properties" in field else [f"*{rule['message']}*" for rule in field.get(RULES, ())]
    reference = [f"Fields: see {like}."] if like else []
    meaning = " ".join([field["description"], *reference, *rules]).replace("|", "\\|")
    return f"| `{name}` | {_type(field)} | {'**required**' if required else default} | {meaning} |"


def _type(field: Json) -> str:
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if field.get(INT_OR_STRING):
        return "integer or string"
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return "map"
    if "minimum" in field and "maximum" in field:
        return f"integer, {field['minimum']} to {field['maximum']}"
    return str(field["type"])


def _default(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
