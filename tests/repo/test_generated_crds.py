"""What is generated from the models and checked in is what the models say now."""

from __future__ import annotations

from pathlib import Path

import yaml

from statefulrollout.api.crd import crd_files, docs_files, ledger_crd, rollout_crd

ROOT = Path(__file__).parents[2]


def test_crds_are_fresh() -> None:
    checked_in = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "crds").glob("*")}
    assert checked_in == crd_files(), "crds/ is stale: run `make generate`"


def test_the_reference_is_fresh() -> None:
    for name, text in docs_files().items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, f"docs/{name} is stale: run `make generate`"


def test_yaml_says_the_same_without_anchors() -> None:
    texts = crd_files().values()
    assert [yaml.safe_load(text) for text in texts] == [rollout_crd(), ledger_crd()]
    assert not any("&id" in text for text in texts)
