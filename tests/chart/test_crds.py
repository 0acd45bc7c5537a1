"""The chart's CRDs are the generated ones, and deleting the release does not delete the users' objects."""

import pytest
import yaml

from statefulrollout.api import names
from tests.chart.render import CHART, ROOT, Manifest, render

GENERATED = {path.name: path.read_text() for path in sorted((ROOT / "crds").glob("*.yaml"))}
KEEP = "helm.sh/resource-policy"


def crds_of(values: Manifest) -> dict[str, Manifest]:
    """The CRDs of a release, by name."""
    return {m["metadata"]["name"]: m for m in render(values) if m["kind"] == "CustomResourceDefinition"}


def test_the_chart_packs_what_was_generated() -> None:
    packed = {path.name: path.read_text() for path in sorted((CHART / "files" / "crds").glob("*.yaml"))}
    assert packed == GENERATED, "charts/statefulrollout/files/crds is stale: run `make generate`"


def test_rendering_changes_nothing_in_a_crd() -> None:
    generated = {crd["metadata"]["name"]: crd for crd in map(yaml.safe_load, GENERATED.values())}
    rendered = crds_of({})
    assert generated.keys() == {f"{plural}.{names.GROUP}" for plural in (names.PLURAL, names.LEDGER_PLURAL)}
    assert {name: crd["spec"] for name, crd in rendered.items()} == {n: crd["spec"] for n, crd in generated.items()}


@pytest.mark.parametrize("keep", [True, False])
def test_crds_outlive_the_release_unless_told_otherwise(keep: bool) -> None:
    for crd in crds_of({"crds": {"keep": keep}}).values():
        assert crd["metadata"].get("annotations", {}).get(KEEP) == ("keep" if keep else None)
