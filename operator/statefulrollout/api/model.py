"""What every API model is made of: strict scalars, CEL rules, and the marks that Kubernetes' schemas know.

A mark (`Rule`, `ListMap`, ...) stands in `Annotated[...]` next to a type and only adds to the JSON schema that `crd.py`
turns into the CRD. The API server enforces rules and marks; `core/validation.py` reads the same rules from the same
schema, so no bound is written twice. No field of the API is declared here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

RULES = "x-kubernetes-validations"
INT_OR_STRING = "x-kubernetes-int-or-string"
LIST_TYPE = "x-kubernetes-list-type"
LIST_MAP_KEYS = "x-kubernetes-list-map-keys"


@dataclass(frozen=True)
class Mark:
    """Adds what `keywords` returns to the schema of the type beside it."""

    def keywords(self) -> dict[str, Any]:
        """The schema keywords that this mark stands for."""
        raise NotImplementedError

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        return {**schema, **self.keywords()}


@dataclass(frozen=True)
class Rule(Mark):
    """A CEL rule over `self` that the API server enforces.

    Attributes:
        rule: the expression; true lets the value pass.
        message: what is wrong and what to do about it.
        field_path: the field below `self` to blame, like `.service`.
    """

    rule: str
    message: str
    field_path: str = ""

    def keywords(self) -> dict[str, Any]:
        """One entry of `x-kubernetes-validations`."""
        path = {"fieldPath": self.field_path} if self.field_path else {}
        return {"rule": self.rule, "message": self.message, **path}

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        return {**schema, RULES: [*schema.get(RULES, []), self.keywords()]}


@dataclass(frozen=True)
class ListMap(Mark):
    """A list whose entries are identified by one field: unique, and merged by it in server-side apply."""

    key: str

    def keywords(self) -> dict[str, Any]:
        """`x-kubernetes-list-type: map` with its key."""
        return {LIST_TYPE: "map", LIST_MAP_KEYS: [self.key]}


@dataclass(frozen=True)
class ListSet(Mark):
    """A list of scalars without duplicates."""

    def keywords(self) -> dict[str, Any]:
        """`x-kubernetes-list-type: set`."""
        return {LIST_TYPE: "set"}


@dataclass(frozen=True)
class IntOrString(Mark):
    """A whole number or a string, as in Kubernetes' own port and percentage fields."""

    max_length: int

    def keywords(self) -> dict[str, Any]:
        """The one form of union that structural schemas allow."""
        return {"anyOf": [{"type": "integer"}, {"type": "string"}], INT_OR_STRING: True, "maxLength": self.max_length}


@dataclass(frozen=True)
class Shorten:
    """Cuts a text that is longer than its field: a status that is refused would hide what it wanted to say."""

    max_length: int

    def __call__(self, text: object) -> object:
        """Return the text, or as much of it as fits with an ellipsis at its end."""
        if isinstance(text, str) and len(text) > self.max_length:
            return text[: self.max_length - 1] + "…"
        return text


class Model(BaseModel):
    """camelCase on the wire, snake_case here, frozen, and strict about unknown fields.

    `rules` are the CEL rules over the whole object, for what one field cannot express on its own.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)
    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        if cls.rules:
            schema[RULES] = [rule.keywords() for rule in cls.rules]
        return schema


Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=0)]
Seconds = Annotated[int, Field(strict=True, ge=0, le=604_800)]
PositiveSeconds = Annotated[int, Field(strict=True, ge=1, le=604_800)]
Expression = Annotated[str, Field(min_length=1, max_length=2048)]
Percent = Annotated[str, Field(max_length=4)]
DnsName = Annotated[str, Field(min_length=1, max_length=253)]
Word = Annotated[str, Field(max_length=253)]
Timestamp = Annotated[str, Field(max_length=64)]
Observation = Annotated[str, BeforeValidator(Shorten(2048)), Field(max_length=2048)]
Message = Annotated[str, BeforeValidator(Shorten(32_768)), Field(max_length=32_768)]
