"""The CRD's own rules, judged here as the API server judges them.

The API server is the first to judge and usually the only one: but it lets an object that was stored under an older
CRD keep what that one allowed, and the CRD installed may be older than the operator. The rules come from us and are
trusted; expressions that users write are `core/expressions.py`. Rules about a change (`oldSelf`) need two versions
of the object and stay with the API server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from cel_expr_python import cel

from statefulrollout.api.model import LIST_MAP_KEYS, RULES


def broken_rules_of(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Field path and message of every rule that does not hold, and of every duplicate in a list by name.

    Args:
        schema: the structural schema of the value.
        value: as JSON, defaults filled in.
        path: where the value stands, like `spec`.
    """
    for rule in schema.get(RULES, ()):
        if "oldSelf" not in rule["rule"] and not _holds(rule["rule"], value):
            yield path + rule.get("fieldPath", ""), rule["message"]
    if isinstance(value, Mapping):
        fields = schema.get("properties", {})
        other = schema.get("additionalProperties")
        for name, inner in value.items():
            if name in fields:
                yield from broken_rules_of(fields[name], inner, f"{path}.{name}")
            elif other:
                yield from broken_rules_of(other, inner, f"{path}[{name}]")
    elif isinstance(value, list):
        yield from _duplicates_of(schema, value, path)
        for index, inner in enumerate(value):
            yield from broken_rules_of(schema["items"], inner, f"{path}[{index}]")


def _duplicates_of(schema: Mapping[str, Any], entries: list[Any], path: str) -> Iterator[tuple[str, str]]:
    for key in schema.get(LIST_MAP_KEYS, ()):
        keys = [entry[key] for entry in entries]
        for index, name in enumerate(keys):
            if name in keys[:index]:
                yield f"{path}[{index}]", f"there is another entry with the {key} {name}: rename or remove one"


def _holds(rule: str, value: Any) -> bool:
    found = _compiled(rule).eval(data={"self": value})
    # An evaluation error is a value too, and a true one to Python: only the boolean counts.
    return found.type() == cel.Type.BOOL and found.value() is True


@cache
def _compiled(rule: str) -> Any:
    return cel.NewEnv(variables={"self": cel.Type.DYN}).compile(rule)
