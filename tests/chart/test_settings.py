"""What the chart tells the operator is what the operator reads: the same variables, the same words."""

import json
from typing import get_args

import pytest

from statefulrollout.settings import PREFIX, Settings, load_settings
from tests.chart.render import CHART, MATRIX, Manifest, render, the

# What the downward API fills in.
FROM_THE_POD = {"metadata.namespace": "operators", "metadata.name": "statefulrollout-0"}


def environment_of(values: Manifest) -> dict[str, str]:
    """The operator's variables as its process sees them, without those that users add."""
    (container,) = the(render(values), "Deployment")["spec"]["template"]["spec"]["containers"]
    ours = [variable for variable in container["env"] if variable["name"].startswith(PREFIX)]
    return {v["name"]: v.get("value") or FROM_THE_POD[v["valueFrom"]["fieldRef"]["fieldPath"]] for v in ours}


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_the_operator_can_start_with_what_the_chart_sets(values: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = environment_of(values)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings().model_dump()
    for name, value in environment.items():
        read = settings[name.removeprefix(PREFIX).lower()]
        if isinstance(read, tuple):
            read = ",".join(read)
        assert (json.dumps(read) if isinstance(read, bool) else str(read)) == value


@pytest.mark.parametrize(("value", "field"), [("format", "log_format"), ("level", "log_level")])
def test_the_schema_offers_the_words_that_the_operator_knows(value: str, field: str) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    offered = schema["properties"]["logging"]["properties"][value]["enum"]
    assert offered == list(get_args(Settings.model_fields[field].annotation))
