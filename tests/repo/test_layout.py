"""What a newcomer relies on: things are where docs/design.md says, files are short, commands explain themselves."""

import operator
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.repo.files import ROOT, repository_files

EXPECTED = [
    ".ci/run",
    ".dockerignore",
    ".gitignore",
    "CONTRIBUTING.md",
    "Dockerfile",
    "Makefile",
    "README.md",
    "bench",
    "charts/statefulrollout/Chart.yaml",
    "crds",
    "docs/adr",
    "docs/design.md",
    "e2e/cluster",
    "e2e/kvstore",
    "e2e/scenarios",
    "operator/statefulrollout/__main__.py",
    "operator/statefulrollout/api",
    "operator/statefulrollout/core",
    "operator/statefulrollout/hooks",
    "operator/statefulrollout/kube",
    "pyproject.toml",
    "requirements-dev.lock",
    "requirements.lock",
    "tests/chart",
    "tests/repo",
    "tests/simulation",
    "tests/unit",
]
MAX_LINES = 400
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}


@pytest.mark.parametrize("name", EXPECTED)
def test_everything_is_in_its_place(name: str) -> None:
    files = repository_files()
    assert any(file == Path(name) or Path(name) in file.parents for file in files)


def test_the_source_root_is_not_a_package() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists(), "it would shadow the standard library's `operator`"


def test_the_standard_library_keeps_its_operator() -> None:
    stdlib = Path(sysconfig.get_path("stdlib")).resolve()
    assert Path(operator.__file__).resolve().is_relative_to(stdlib)
    first_on_the_path = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'operator'}"}
    program = "import operator, statefulrollout; print(operator.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", program], env=first_on_the_path, capture_output=True, text=True, check=True
    ).stdout
    assert Path(found.strip()).resolve().is_relative_to(stdlib)


def test_no_python_file_is_longer_than_one_can_take_in() -> None:
    lengths = {file: (ROOT / file).read_text().count("\n") for file in repository_files() if file.suffix == ".py"}
    assert len(lengths) > 50
    assert {str(file): length for file, length in lengths.items() if length > MAX_LINES} == {}


def test_every_module_says_what_it_is_for() -> None:
    mute = [
        str(file)
        for file in repository_files()
        if file.suffix == ".py" and file.parts[0] != "tests" and not (ROOT / file).read_text().startswith('"""')
    ]
    assert mute == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [str(file) for file in repository_files() if VAGUE & {file.stem, *file.parent.parts}] == []


def test_every_make_target_is_explained_and_says_that_it_is_a_command() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z0-9-]+):(.*)$", makefile, re.MULTILINE)
    assert {"help", "demo", "test", "check"} <= {name for name, _ in targets}
    assert [name for name, rest in targets if not re.search(r" ## [A-Z]", rest)] == []
    phony = re.search(r"^\.PHONY:((?:.|\\\n)*?)$(?<!\\)", makefile, re.MULTILINE)
    assert phony is not None
    assert {name for name, _ in targets} == set(phony[1].replace("\\", " ").split())


def test_make_help_prints_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    printed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z0-9-]+):.*## ", makefile, re.MULTILINE)
    assert [line.split()[0] for line in printed.splitlines()] == targets


def test_ci_runs_what_a_developer_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1].endswith("exec make test")
