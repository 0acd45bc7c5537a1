"""The structural schemas that Kubernetes wants, from the JSON schemas that pydantic gives.

A structural schema knows no references, no null and no union but int-or-string; unknown fields need no mention in it,
since the API server drops or refuses them by itself. Nothing is declared here: every field, bound and rule comes
from the models.
"""

from __future__ import annotations

from functools import cache

from statefulrollout.api.model import INT_OR_STRING, RULES, Model
from statefulrollout.api.v1alpha1 import Json, Spec

_DROPPED = ("title", "additionalProperties", "default", "$ref", "anyOf", "$defs", "const")
_FIRST = ("type", "description", "default", "enum")
_LAST = ("required", "properties", "items", RULES)


def structural_schema_of(model: type[Model], *, defaults: bool = True) -> Json:
    """The model as a structural schema: references resolved, null and titles gone, defaults where wanted."""
    schema = model.model_json_schema(by_alias=True)
    return _structural(schema, schema.get("$defs", {}), defaults=defaults)


def _structural(node: Json, definitions: Json, *, defaults: bool) -> Json:
    node = _resolved(node, definitions)
    kept = {key: value for key, value in node.items() if key not in _DROPPED}
    if "const" in node:
        kept["enum"] = [node["const"]]
    if node.get(INT_OR_STRING):
        kept["anyOf"] = node["anyOf"]
    if isinstance(node.get("additionalProperties"), dict):
        kept["additionalProperties"] = _structural(node["additionalProperties"], definitions, defaults=defaults)
    if "items" in node:
        kept["items"] = _structural(node["items"], definitions, defaults=defaults)
    if "properties" in node:
        kept["properties"] = {
            name: _structural(child, definitions, defaults=defaults) for name, child in node["properties"].items()
        }
    if defaults and node.get("default") is not None:
        # An empty object takes its fields' own defaults, so a bound is never written down a second time.
        kept["default"] = {} if isinstance(node["default"], dict) else node["default"]
    return in_reading_order(kept)


def _resolved(node: Json, definitions: Json) -> Json:
    """The node with its reference or its `X or null` replaced by X; what stands beside them wins, rules add up."""
    if "$ref" in node:
        inner = definitions[node["$ref"].rsplit("/", 1)[1]]
    elif not node.get(INT_OR_STRING) and "anyOf" in node:
        (inner,) = (option for option in node["anyOf"] if option.get("type") != "null")
    else:
        return node
    inner = _resolved(inner, definitions)
    beside = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
    rules = [*inner.get(RULES, []), *beside.get(RULES, [])]
    return {**inner, **beside, **({RULES: rules} if rules else {})}


def in_reading_order(schema: Json) -> Json:
    """The schema with its keywords as people read them: what it is, its bounds, then what is in it and its rules."""
    return {key: schema[key] for key in sorted(schema, key=_reading_order)}


def _reading_order(keyword: str) -> tuple[int, str]:
    if keyword in _FIRST:
        return (_FIRST.index(keyword), "")
    if keyword in _LAST:
        return (100 + _LAST.index(keyword), "")
    return (len(_FIRST), keyword)


@cache
def spec_schema() -> Json:
    """The structural schema of `spec`, as the API server knows it. Shared: do not change it."""
    return structural_schema_of(Spec)
