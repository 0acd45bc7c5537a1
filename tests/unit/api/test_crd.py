"""The CRD is a structural schema that users can read, with every bound the API server asks for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import kubernetes_validate
import pytest
from cel_expr_python import cel
from jsonschema import Draft202012Validator

from statefulrollout.api.crd import ledger_crd, rollout_crd
from statefulrollout.api.model import INT_OR_STRING, LIST_MAP_KEYS, LIST_TYPE, RULES
from statefulrollout.api.v1alpha1 import Condition, Json, PodStatus, Spec, Status
from statefulrollout.core.ledger import Ledger
from statefulrollout.core.rules import broken_rules_of
from tests.unit.api.api_server import defaulted, refusals_of
from tests.unit.api.bad_spec import GOOD, BadSpec
from tests.unit.api.bad_specs import REFUSED_BY_OPERATOR, REFUSED_BY_SCHEMA

CRD = rollout_crd()
VERSION = CRD["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]
NOT_OURS = ("apiVersion", "kind", "metadata")


def every_field(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every field below the schema with its path, entries of lists and values of maps included."""
    inside = {f".{name}": field for name, field in schema.get("properties", {}).items() if path or name not in NOT_OURS}
    inside |= {f"[{kind}]": schema[kind] for kind in ("items", "additionalProperties") if kind in schema}
    for name, field in inside.items():
        yield path + name, field
        yield from every_field(field, path + name)


FIELDS = dict(every_field(ROOT))


def field_at(path: str) -> Json:
    return FIELDS[f".{path}"]


@pytest.mark.parametrize("crd", [CRD, ledger_crd()], ids=["rollout", "ledger"])
def test_kubernetes_knows_every_field_of_the_definition(crd: Json) -> None:
    kubernetes_validate.validate(crd, "1.35", strict=True)


def test_every_default_satisfies_the_rules_as_it_is_written() -> None:
    # The API server judges a default before it fills in the defaults inside.
    broken = {path: list(broken_rules_of(field, field["default"], path)) for path, field in FIELDS.items()
              if "default" in field}  # fmt: skip
    assert [path for path, found in broken.items() if found] == []


def test_every_field_is_described() -> None:
    silent = [path for path, field in FIELDS.items() if not path.endswith("]") and "description" not in field]
    assert silent == []


def test_everything_is_bounded() -> None:
    bounds = {"string": "maxLength", "array": "maxItems"}
    unbounded = [
        path
        for path, field in FIELDS.items()
        if ("enum" not in field and bounds.get(field.get("type", "")) not in (None, *field))
        or ("additionalProperties" in field and "maxProperties" not in field)
        or (field.get(INT_OR_STRING) and "maxLength" not in field)
    ]
    assert unbounded == []


@pytest.mark.parametrize("keyword", ["$ref", "$defs", "title", "const", "allOf", "oneOf", "not"])
def test_what_structural_schemas_do_not_know_is_absent(keyword: str) -> None:
    assert [path for path, field in FIELDS.items() if keyword in field] == []


def test_the_only_union_is_int_or_string() -> None:
    unions = {path: field for path, field in FIELDS.items() if "anyOf" in field}
    assert unions
    for path, field in unions.items():
        assert field[INT_OR_STRING], path
        assert field["anyOf"] == [{"type": "integer"}, {"type": "string"}], path
        assert "type" not in field, path


def test_every_other_field_has_a_type() -> None:
    assert [path for path, field in FIELDS.items() if "type" not in field and not field.get(INT_OR_STRING)] == []


def test_defaults_of_the_schema_are_those_of_the_models() -> None:
    known = Spec.model_validate(GOOD["spec"])
    given = defaulted(ROOT, GOOD)["spec"]
    assert Spec.model_validate(given) == known
    # The models know an empty map where the API server leaves the field away.
    assert given == _without(known.model_dump(mode="json", by_alias=True, exclude_none=True), "headers")


def _without(value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without(inner, name) for key, inner in value.items() if key != name}


def test_an_object_nobody_has_seen_says_so() -> None:
    assert defaulted(ROOT, GOOD)["status"] == {"observedGeneration": -1}


def test_a_status_as_the_operator_writes_it_is_accepted() -> None:
    status = Status(
        observed_generation=3,
        phase="RollingOut",
        message="é" * 40_000,
        replicas=5,
        updated=2,
        updated_of="2/5",
        fence="Forward",
        conditions=[
            Condition(
                type="Ready",
                status="False",
                reason="RollingOut",
                observed_generation=3,
                last_transition_time="2026-01-01T00:00:00Z",
            )
        ],
        pods=[PodStatus(name="kvstore-0", stage="Draining")],
    )
    written = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert refusals_of(ROOT, {**GOOD, "status": written}) == []
    assert written["message"].endswith("…")
    assert len(written["message"]) == 32_768


@pytest.mark.parametrize(
    ("path", "key"), [("spec.checks", "name"), ("status.conditions", "type"), ("status.pods", "name")]
)
def test_lists_merge_by_name(path: str, key: str) -> None:
    field = field_at(path)
    assert (field[LIST_TYPE], field[LIST_MAP_KEYS]) == ("map", [key])
    assert key in field["items"]["required"]


def test_columns_say_what_it_does() -> None:
    shown = [column["name"] for column in VERSION["additionalPrinterColumns"] if not column.get("priority")]
    assert shown == ["Target", "Phase", "Step", "Updated", "Ready", "Paused", "Age"]
    for column in VERSION["additionalPrinterColumns"]:
        path = column["jsonPath"]
        if not path.startswith(".metadata"):
            assert FIELDS[path]["type"] == column["type"]


def test_it_cannot_be_scaled_and_has_a_status() -> None:
    assert VERSION["subresources"] == {"status": {}}


def test_it_can_be_selected_by_target() -> None:
    (selectable,) = (entry["jsonPath"] for entry in VERSION["selectableFields"])
    assert FIELDS[selectable]["type"] == "string"


def every_rule() -> Iterator[tuple[str, Json]]:
    for path, field in FIELDS.items():
        for rule in field.get(RULES, ()):
            yield path, rule


def test_every_rule_says_what_to_do() -> None:
    rules = list(every_rule())
    assert rules
    for path, rule in rules:
        assert len(rule["message"]) > 30, path
        if "fieldPath" in rule:
            assert f"{path}{rule['fieldPath']}" in FIELDS, path


def test_only_the_target_is_immutable() -> None:
    transitions = [(path, rule["rule"]) for path, rule in every_rule() if "oldSelf" in rule["rule"]]
    assert transitions == [(".spec.targetRef", "self == oldSelf")]
    env = cel.NewEnv(variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN})
    unchanged: Any = env.compile(transitions[0][1])
    old = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "kvstore"}
    assert unchanged.eval(data={"self": dict(old), "oldSelf": old}).value() is True
    assert unchanged.eval(data={"self": old | {"name": "other"}, "oldSelf": old}).value() is False


def test_what_is_good_passes() -> None:
    assert refusals_of(ROOT, GOOD) == []


@pytest.mark.parametrize("bad", [bad for bad in REFUSED_BY_SCHEMA if not bad.as_update], ids=lambda bad: bad.id)
def test_what_is_bad_is_refused_with_field_and_remedy(bad: BadSpec) -> None:
    refusals = refusals_of(ROOT, bad.manifest)
    about = [refusal for refusal in refusals if refusal.split(": ", 1)[0].endswith(bad.field)]
    assert any(all(word in refusal for word in bad.words) for refusal in about), refusals


@pytest.mark.parametrize("bad", REFUSED_BY_OPERATOR, ids=lambda bad: bad.id)
def test_what_only_the_operator_can_judge_passes_the_schema(bad: BadSpec) -> None:
    assert refusals_of(ROOT, bad.manifest) == []


def test_there_are_no_two_bad_specs_of_one_name() -> None:
    names = [bad.id for bad in [*REFUSED_BY_SCHEMA, *REFUSED_BY_OPERATOR]]
    assert len(set(names)) == len(names)


def test_what_the_ledger_declares_and_shows_is_what_the_operator_writes() -> None:
    version = ledger_crd()["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    ledger = {"spec": Ledger().model_dump(mode="json", by_alias=True)}
    declared = dict(every_field(schema, ".spec"))
    for path, field in declared.items():
        value = reduce(lambda inside, name: inside[name], path.split(".")[1:], ledger)
        assert [error.message for error in Draft202012Validator(field).iter_errors(value)] == [], path
    shown = {column["jsonPath"] for column in version["additionalPrinterColumns"]}
    assert shown - {".metadata.creationTimestamp"} <= declared.keys()
