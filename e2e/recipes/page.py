"""A page of docs/recipes as what it is tested by: the YAML that it shows is the YAML that is applied."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from statefulrollout.api import names

Json = dict[str, Any]

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "recipes"
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    """The objects of one recipe, in their order on the page."""

    system: str
    objects: tuple[Json, ...]

    @property
    def rollout(self) -> Json:
        """Its StatefulRollout."""
        (found,) = (each for each in self.objects if each["kind"] == names.KIND)
        return found

    @property
    def stateful_set(self) -> Json:
        """The StatefulSet that is rolled."""
        target = self.rollout["spec"]["targetRef"]["name"]
        (found,) = (
            each for each in self.objects if each["kind"] == "StatefulSet" and each["metadata"]["name"] == target
        )
        return found


def read_page(system: str) -> Page:
    """Read `docs/recipes/<system>.md`."""
    text = (FOLDER / f"{system}.md").read_text()
    documents = (document for block in BLOCK.findall(text) for document in yaml.safe_load_all(block))
    return Page(system, tuple(document for document in documents if document and "kind" in document))


def with_images(objects: tuple[Json, ...], images: dict[str, str]) -> list[Json]:
    """The objects with other images for the named ones. Raises KeyError for an image that has no other name."""

    def replaced(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: replaced(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [replaced(each) for each in value]
        return images[value] if key == "image" else value

    return [replaced(each) for each in objects]
