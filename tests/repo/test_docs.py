"""What the documentation says twice of the code is the same there."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
import yaml

from e2e.recipes.page import read_page
from statefulrollout.api.v1alpha1 import Spec, Target
from statefulrollout.api.walk import calls_of
from statefulrollout.core.guards import GUARDS, GUARDS_OF_STUCK_PODS
from statefulrollout.core.stages import Stage
from statefulrollout.core.status import refusal
from statefulrollout.core.validation import parse_spec
from statefulrollout.hooks.runner import MOST_REQUESTS, SHARE
from tests.repo.files import ROOT, repository_files

GUARDS_PAGE = (ROOT / "docs" / "guards.md").read_text(encoding="utf-8")
WATCHING = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
INVARIANTS = [f"I{number}" for number in range(1, 15)]
PAGES = [path for path in repository_files() if path.suffix == ".md"]


def sections_of(page: str) -> dict[str, str]:
    """Text by heading of the second level."""
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_the_guards_are_those_of_the_code_in_their_order() -> None:
    assert list(sections_of(GUARDS_PAGE)) == [guard.__name__ for guard in GUARDS]


def test_the_guards_that_stuck_pods_are_asked_are_marked() -> None:
    marked = [name for name, text in sections_of(GUARDS_PAGE).items() if "**Also when stuck" in text]
    assert marked == [guard.__name__ for guard in GUARDS_OF_STUCK_PODS]


def test_every_guard_says_what_it_prevents() -> None:
    assert [name for name, text in sections_of(GUARDS_PAGE).items() if "*Prevents*: " not in text] == []


def test_the_stages_of_the_table_are_those_of_the_code() -> None:
    table = sections_of(DESIGN)["The life of a pod"]
    rows = [row[0] for row in re.findall(r"^\| (\w+) \|(.*)\|$", table, re.MULTILINE)]
    assert rows[0] == "stage"
    assert sorted(rows[1:]) == sorted(stage.value for stage in Stage)
    picture = table.partition("```")[2].partition("```")[0]
    assert set(re.findall(r"[A-Z][a-z]+", picture)) == {stage.value for stage in Stage}


def rows_of(page: str, first: str) -> list[str]:
    """The first cells of the table whose header begins with this word."""
    table = re.search(rf"^\| {first} \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    return [line.split(" | ")[0].removeprefix("| ") for line in table[1].splitlines()] if table else []


def test_the_phases_that_are_explained_are_those_of_the_code() -> None:
    code = (ROOT / "operator" / "statefulrollout" / "core" / "status.py").read_text(encoding="utf-8")
    assert set(rows_of(WATCHING, "phase")) == set(re.findall(r"\bVerdict\(\"(\w+)\"", code))


def test_the_conditions_that_are_explained_are_those_of_the_code() -> None:
    assert rows_of(WATCHING, "condition") == [condition.type for condition in refusal(1, "", {}, 0.0).conditions]


def test_as_many_requests_as_the_page_says_are_in_flight() -> None:
    page = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    assert f"up to {MOST_REQUESTS // SHARE} requests of a rollout" in page


def bullets() -> list[str]:
    """The invariants, one text each."""
    text = sections_of(DESIGN)["Invariants"]
    return [" ".join(bullet.split()) for bullet in re.split(r"^\* ", text, flags=re.MULTILINE)[1:]]


def test_every_invariant_is_a_bullet_once_and_in_order() -> None:
    assert [bullet.partition(" ")[0].strip("*") for bullet in bullets()] == INVARIANTS
    assert all(DESIGN.count(f"* **{number}** ") == 1 for number in INVARIANTS)


def test_every_invariant_has_its_check() -> None:
    rules = (ROOT / "tests" / "simulation" / "world" / "invariants").glob("*.py")
    watched = {name for rule in rules for name in re.findall(r"^class (I\d+)", rule.read_text("utf-8"), re.MULTILINE)}
    assert watched
    assert watched <= set(INVARIANTS)
    bare = [bullet for bullet in bullets() if not re.search(r"\([^)]*`[\w/.]+`[^)]*\)", bullet)]
    assert [bullet for bullet in bare if bullet.partition(" ")[0].strip("*") not in watched] == []


def test_the_files_that_the_invariants_name_exist() -> None:
    named = re.findall(r"`((?:tests|e2e)/[\w/.]+)`", sections_of(DESIGN)["Invariants"])
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_modules_that_the_design_names_exist() -> None:
    named = re.findall(r"`((?:core|kube|hooks|api)/\w+\.py)`", DESIGN)
    assert named
    assert [name for name in named if not (ROOT / "operator" / "statefulrollout" / name).exists()] == []


def test_what_the_readme_applies_and_patches_is_accepted() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    applied = [yaml.safe_load(textwrap.dedent(block)) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    patched = [json.loads(patch) for patch in re.findall(r"kubectl patch .* -p '(.*)'", page)]
    target = {"targetRef": {"name": "kvstore"}}
    specs = [{**target, **(document.get("spec") or document)} for document in applied + patched]
    assert len(specs) > 4
    for spec in specs:
        assert isinstance(parse_spec(spec), Spec), parse_spec(spec)


RECIPES = sorted(path.stem for path in (ROOT / "docs" / "recipes").glob("*.md") if path.stem != "README")


@pytest.mark.parametrize("system", RECIPES)
def test_a_recipe_rolls_what_it_shows(system: str) -> None:
    page = read_page(system)
    spec = parse_spec(page.rollout["spec"])
    assert isinstance(spec, Spec), spec
    containers = page.stateful_set["spec"]["template"]["spec"]["containers"]
    ports = {port["name"] for container in containers for port in container.get("ports", ())}
    for _, call in calls_of(spec):
        if call.exec is not None:
            assert call.exec.container in {container["name"] for container in containers}
        elif call.http is not None and call.target is not Target.SERVICE and isinstance(call.http.port, str):
            assert call.http.port in ports


def test_every_recipe_is_listed_and_tried() -> None:
    listed = (ROOT / "docs" / "recipes" / "README.md").read_text(encoding="utf-8")
    tried = "".join(path.read_text() for path in (ROOT / "e2e" / "scenarios" / "recipes").glob("test_*.py"))
    assert len(RECIPES) >= 6
    assert [each for each in RECIPES if f"({each}.md)" not in listed or f'read_page("{each}")' not in tried] == []


def anchors_of(page: Path) -> set[str]:
    """The fragments that lead to its headings."""
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_in(page: Path) -> list[str]:
    """Link targets of a page that lie in the repository; what stands in code blocks is no link."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"\w+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in links_in(page):
        path, _, fragment = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (fragment and fragment not in anchors_of(target.resolve().relative_to(ROOT))):
            dead.append(link)
    assert dead == []


def test_links_are_found_at_all() -> None:
    assert sum(len(links_in(page)) for page in PAGES) > 5


def test_every_decision_is_numbered_and_has_its_parts() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert re.match(rf"# {int(page.name[:4])}\. ", text), page.name
        assert [part for part in ("**Context.**", "**Decision.**", "**Consequences.**") if part not in text] == []
