"""What the API server does with a custom resource, offline: defaults, strict fields, bounds, list-maps and rules.

Bounds are judged by a JSON Schema library, CEL rules by the operator's own judge; only defaulting and the walk for
unknown fields are written here. The end-to-end suite applies the same resources to a real API server.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from statefulrollout.core.rules import broken_rules_of

Json = dict[str, Any]


def defaulted(schema: Mapping[str, Any], value: Any) -> Any:
    """The value with every default of the schema filled in."""
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        given = {name: copy.deepcopy(field["default"]) for name, field in fields.items() if "default" in field} | value
        return {name: defaulted(fields.get(name, {}), inner) for name, inner in given.items()}
    if isinstance(value, list):
        return [defaulted(schema.get("items", {}), inner) for inner in value]
    return value


def refusals_of(schema: Mapping[str, Any], resource: Json) -> list[str]:
    """Every reason to refuse the resource, as `field: reason`; rules only where all else is well."""
    reasons = [f"{field}: unknown field" for field in _unknown(schema, resource, "")]
    found = jsonschema.Draft202012Validator(dict(schema)).iter_errors(defaulted(schema, resource))
    reasons += [f"{_field_of(error)}: {error.message}" for error in found]
    if reasons:
        return reasons
    return [f"{field.lstrip('.')}: {why}" for field, why in broken_rules_of(schema, defaulted(schema, resource), "")]


def _unknown(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict) and "properties" in schema:
        for name, inner in value.items():
            if name not in schema["properties"]:
                yield f"{path}.{name}".lstrip(".")
            else:
                yield from _unknown(schema["properties"][name], inner, f"{path}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unknown(schema.get("items", {}), inner, f"{path}[{index}]")


def _field_of(error: jsonschema.ValidationError) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    missing = re.fullmatch(r"'(\w+)' is a required property", error.message)
    return f"{path}.{missing[1]}".lstrip(".") if missing else path
