"""From the models to the CustomResourceDefinitions in `crds/` and the reference in `docs/api.md`.

    python -m statefulrollout.api.crd crds             writes both CRDs
    python -m statefulrollout.api.crd --docs docs      writes the reference

The output is a pure function of the models: `tests/repo` compares it with what is checked in. What is said here and
nowhere else: names, columns and subresources of the kinds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from statefulrollout.api import names
from statefulrollout.api.reference import reference_of
from statefulrollout.api.schema import in_reading_order, spec_schema, structural_schema_of
from statefulrollout.api.v1alpha1 import Json, Status

_GENERATED = "# Generated from operator/statefulrollout/api by `make generate`: edit the models, not this file.\n"
UNSEEN: Json = {"observedGeneration": -1}
"""The status of an object that the operator has not seen; without it kstatus takes the object for complete."""


def _crd(kind: str, plural: str, *, words: Json, version: Json) -> Json:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower(), **words},
            "versions": [{"name": names.VERSION, "served": True, "storage": True, **version}],
        },
    }


def _column(name: str, path: str, *, kind: str = "string", priority: int = 0, description: str = "") -> Json:
    column: Json = {"name": name, "type": kind, "jsonPath": path}
    if description:
        column["description"] = description
    if priority:
        column["priority"] = priority
    return column


def rollout_crd() -> Json:
    """The CRD of StatefulRollout."""
    status = structural_schema_of(Status, defaults=False) | {"default": UNSEEN}
    schema = {
        "type": "object",
        "description": "A StatefulRollout rolls the pods of one StatefulSet to its present template, one safe batch "
        "at a time: each pod is taken out of traffic, drained and relieved of its state before it goes.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec_schema(),
            "status": in_reading_order(status),
        },
    }
    columns = [
        _column("Target", ".spec.targetRef.name", description="The StatefulSet whose pods are rolled."),
        _column("Phase", ".status.phase", description="What the rollout is doing, in one word."),
        _column("Step", ".status.step", description="Steps of the rollout whose rest is over, of all."),
        _column("Updated", ".status.updatedOf", description="Pods at the wanted revision that count, of all."),
        _column("Ready", ".status.readyOf", description="Ready pods, of all."),
        _column("Paused", ".spec.paused", kind="boolean", description="Whether the user has paused it."),
        _column("Age", ".metadata.creationTimestamp", kind="date"),
        _column("Message", ".status.message", priority=1, description="What it does or waits for, and why."),
    ]
    return _crd(
        names.KIND,
        names.PLURAL,
        words={"shortNames": ["sro"], "categories": ["statefulrollout"]},
        version={
            "additionalPrinterColumns": columns,
            "selectableFields": [{"jsonPath": ".spec.targetRef.name"}],
            "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": schema},
        },
    )


def ledger_crd() -> Json:
    """The CRD of the internal ledger.

    Its content is kept as it is written, whatever the version of this CRD: a field pruned here would be a hook that
    nobody finishes or undoes. Only what its columns show is declared.
    """
    spec: Json = {
        "type": "object",
        "description": "The operator's own memory. Not an interface: written and read by the operator only.",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {
            "deletionPolicy": {
                "type": "string",
                "description": "What to do with the fence if the StatefulRollout is gone.",
                "maxLength": 63,
            },
            "declaration": {
                "type": "object",
                "description": "The last membership that was declared to the application.",
                "x-kubernetes-preserve-unknown-fields": True,
                "properties": {
                    "generation": {"type": "integer", "format": "int64", "description": "It only grows; 0: none yet."}
                },
            },
        },
    }
    schema = {
        "type": "object",
        "description": "What no pod can carry: the memory of the rollouts of the StatefulSet of the same name. "
        "Internal to the operator, which needs it to finish or undo what it began; do not edit or delete it.",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
        },
    }
    columns = [
        _column("Deletion", ".spec.deletionPolicy", description="The deletion policy in force."),
        _column("Generation", ".spec.declaration.generation", kind="integer", description="The last one declared."),
        _column("Age", ".metadata.creationTimestamp", kind="date"),
    ]
    return _crd(
        names.LEDGER_KIND,
        names.LEDGER_PLURAL,
        words={},
        version={"additionalPrinterColumns": columns, "schema": {"openAPIV3Schema": schema}},
    )


def crd_files() -> dict[str, str]:
    """The text of every file in `crds/`, by file name."""
    crds = {names.PLURAL: rollout_crd(), names.LEDGER_PLURAL: ledger_crd()}
    return {f"{names.GROUP}_{plural}.yaml": _GENERATED + _yaml_of(crd) for plural, crd in crds.items()}


def docs_files() -> dict[str, str]:
    """The text of every generated file in `docs/`, by file name."""
    return {"api.md": reference_of(rollout_crd())}


class _Dumper(yaml.SafeDumper):
    """Writes shared parts out in full: a CRD is read by people and by tools that know no YAML anchors."""

    def ignore_aliases(self, data: object) -> bool:
        """No anchors, ever."""
        return True


def _yaml_of(document: Json) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def main() -> None:
    """Write the generated files into the directory given."""
    parser = argparse.ArgumentParser(prog="python -m statefulrollout.api.crd", description="Write the CRDs as YAML.")
    parser.add_argument("directory", type=Path, help="where to write; it must exist")
    parser.add_argument("--docs", action="store_true", help="write the reference of the API instead")
    arguments = parser.parse_args()
    for name, text in (docs_files() if arguments.docs else crd_files()).items():
        (arguments.directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
