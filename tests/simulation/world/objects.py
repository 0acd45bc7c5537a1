"""Kubernetes objects as plain JSON trees: copying, the three patch formats, selectors and timestamps.

Pure functions. They follow RFC 7386 (merge), RFC 6902 (JSON Patch: `test`, `add`, `replace`, `remove`) and, of
the strategic merge, what the fields of `pods/status` and object metadata need. They know nothing of storage.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

MERGE_KEYS = {"conditions": "type", "ownerReferences": "uid", "podIPs": "ip", "hostIPs": "ip"}
"""Lists that the strategic merge patch merges by a key; every other list is replaced as a whole."""


class PatchTestFailed(Exception):
    """A `test` of a JSON Patch did not hold, or one of its paths does not exist."""


def copied(tree: Any) -> Any:
    """A deep copy of a JSON tree, as quick as can be."""
    return marshal.loads(marshal.dumps(tree))


def canonical(tree: Any) -> str:
    """The same text for equal trees."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"))


def merge_patched(target: Any, patch: Any) -> Any:
    """The result of a JSON merge patch."""
    if not isinstance(patch, dict):
        return copied(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patched(result.get(key), value)
    return result


def strategic_merge_patched(target: Any, patch: Any, field: str = "") -> Any:
    """The result of a strategic merge patch."""
    if isinstance(patch, list) and field in MERGE_KEYS:
        return _merged_list(target or [], patch, MERGE_KEYS[field])
    if not isinstance(patch, dict):
        return copied(patch)
    if patch.get("$patch") == "replace":
        return {key: copied(value) for key, value in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif not key.startswith("$"):
            result[key] = strategic_merge_patched(result.get(key), value, key)
    return result


def _merged_list(target: Sequence[Json], patch: Sequence[Json], key: str) -> list[Json]:
    merged = {item[key]: item for item in target}
    for item in patch:
        if item.get("$patch") == "delete":
            merged.pop(item[key], None)
        else:
            merged[item[key]] = strategic_merge_patched(merged.get(item[key]), item)
    return list(merged.values())


def json_patched(document: Json, operations: Sequence[Json]) -> Json:
    """The result of a JSON Patch.

    Raises:
        PatchTestFailed: a `test` does not hold or a path is missing.
    """
    result: Json = copied(document)
    for operation in operations:
        keys = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        _apply(_parent_of(result, keys), keys[-1], operation)
    return result


def _parent_of(document: Any, keys: Sequence[str]) -> Any:
    for key in keys[:-1]:
        try:
            document = document[int(key)] if isinstance(document, list) else document[key]
        except (KeyError, IndexError, ValueError) as problem:
            raise PatchTestFailed(f"path /{'/'.join(keys)} does not exist") from problem
    return document


def _apply(parent: Any, key: str, operation: Json) -> None:
    index: Any = (len(parent) if key == "-" else int(key)) if isinstance(parent, list) else key
    exists = index < len(parent) if isinstance(parent, list) else index in parent
    kind = operation["op"]
    if kind == "test":
        if (parent[index] if exists else None) != operation["value"]:
            raise PatchTestFailed(f"testing value {operation['path']} failed")
    elif kind == "add" and isinstance(parent, list):
        parent.insert(index, copied(operation["value"]))
    elif kind == "add":
        parent[index] = copied(operation["value"])
    elif not exists:
        raise PatchTestFailed(f"{kind} operation does not apply: {operation['path']} does not exist")
    elif kind == "replace":
        parent[index] = copied(operation["value"])
    elif kind == "remove":
        del parent[index]
    else:
        raise PatchTestFailed(f"unsupported operation {kind}")


def selects(selector: Mapping[str, str], labels: Mapping[str, str] | None) -> bool:
    """Whether labels satisfy every equality of a selector."""
    return all((labels or {}).get(key) == value for key, value in selector.items())


def is_selected(item: Json, label_selector: Json) -> bool:
    """Whether a `LabelSelector` selects an object."""
    labels = item["metadata"].get("labels") or {}
    rules = label_selector.get("matchExpressions", ())
    return selects(label_selector.get("matchLabels", {}), labels) and all(_satisfies(labels, rule) for rule in rules)


def _satisfies(labels: Mapping[str, str], rule: Json) -> bool:
    there = rule["key"] in labels if "values" not in rule else labels.get(rule["key"]) in rule["values"]
    return there if rule["operator"] in ("In", "Exists") else not there


def label_selector_of(text: str) -> dict[str, str]:
    """The equalities of a `labelSelector` parameter (`a=b,c==d`)."""
    pairs = (part.replace("==", "=").split("=", 1) for part in text.split(",") if part)
    return {key.strip(): value.strip() for key, value in pairs}


def timestamp(epoch: float) -> str:
    """Seconds since the epoch as Kubernetes writes them: RFC 3339, whole seconds, UTC."""
    return datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch_of(text: str) -> float:
    """The inverse of `timestamp`."""
    return datetime.fromisoformat(text).timestamp()


def condition_of(item: Json, kind: str) -> Json | None:
    """The condition of this type in the object's status."""
    conditions: list[Json] = item.get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == kind), None)


def is_true(item: Json, kind: str) -> bool:
    """Whether the object has this condition and it is True."""
    found = condition_of(item, kind)
    return found is not None and found["status"] == "True"


def is_terminating(item: Json) -> bool:
    """Whether somebody has deleted the object."""
    return "deletionTimestamp" in item["metadata"]


def controller_of(item: Json) -> Json | None:
    """The owner reference of the object's controller."""
    owners: list[Json] = item["metadata"].get("ownerReferences", [])
    return next((owner for owner in owners if owner.get("controller")), None)


def ordinal_of(name: str) -> int:
    """The number after the last dash of a pod's name, -1 where there is none."""
    tail = name.rpartition("-")[2]
    return int(tail) if tail.isdigit() else -1
