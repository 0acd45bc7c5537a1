"""Values: each is described, listed in the README, used by a template; a wrong one is refused with its name."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from tests.chart.render import ALL_ON, CHART, Values, call_helm

DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
TEMPLATES = "\n".join(path.read_text() for path in sorted((CHART / "templates").iterdir()))
FREE = ("resources", "nodeSelector", "affinity", "podAnnotations", "serviceAccount.annotations")


def leaves_of(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value with its dotted name; what has Kubernetes' own shape is one value."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and name not in FREE:
            yield from leaves_of(value, f"{name}.")
        else:
            yield name, value


def description_of(name: str) -> str:
    """What the schema says about a value."""
    schema = SCHEMA
    for key in name.split("."):
        schema = schema["properties"][key]
    return str(schema["description"])


LEAVES = dict(leaves_of(DEFAULTS))


@pytest.mark.parametrize("name", LEAVES)
def test_every_value_is_used(name: str) -> None:
    assert f".Values.{name}" in TEMPLATES


def test_the_schema_and_the_defaults_name_the_same_values() -> None:
    assert SCHEMA["properties"].keys() - {"global"} == DEFAULTS.keys()
    assert dict(leaves_of(ALL_ON)).keys() == LEAVES.keys(), "tests/chart/render.py: ALL_ON must set every value"


def test_the_readme_lists_every_value_with_its_default() -> None:
    rows = [f"| `{name}` | `{json.dumps(value)}` | {description_of(name)} |" for name, value in LEAVES.items()]
    readme = (CHART / "README.md").read_text().splitlines()
    start = readme.index("|---|---|---|") + 1
    listed = readme[start : readme.index("", start)]
    assert listed == rows, "charts/statefulrollout/README.md: the table must read\n" + "\n".join(rows)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": 0}, "replicas"),
        ({"replicas": "2"}, "replicas"),
        ({"image": {"digest": "latest"}}, "image.digest"),
        ({"image": {"repository": ""}}, "image.repository"),
        ({"image": {"pullPolicy": "Sometimes"}}, "image.pullPolicy"),
        ({"image": {"name": "x"}}, "name"),
        ({"imagePullSecrets": ["pull"]}, "imagePullSecrets.0"),
        ({"fullnameOverride": "Not_A_Name"}, "fullnameOverride"),
        ({"crds": {"keep": "yes"}}, "crds.keep"),
        ({"lid": {"enabled": False}}, "enabled"),
        ({"authorPolicy": {"enabled": "no"}}, "authorPolicy.enabled"),
        ({"webhook": {"port": 443}}, "webhook.port"),
        ({"webhook": {"port": 8080}}, "webhook.port"),
        ({"webhook": {"existingSecret": "Not_A_Name"}}, "webhook.existingSecret"),
        ({"webhook": {"existingSecret": "x-statefulrollout-webhook"}}, "webhook.existingSecret"),
        ({"logging": {"level": "chatty"}}, "logging.level"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name"),
        ({"resources": {"limit": {}}}, "limit"),
        ({"tolerations": [{"effect": "Never"}]}, "tolerations.0.effect"),
        ({"affinity": {"nodeAffinities": {}}}, "nodeAffinities"),
        ({"extraEnv": [{"value": "x"}]}, "extraEnv.0"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_by_name(values: Values, named: str) -> None:
    result = call_helm("template", "x", str(CHART), values=values)
    assert result.returncode != 0
    assert named in result.stderr
