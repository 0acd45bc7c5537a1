"""Prints what the trials under build/recipes came to, as the rows of the table in docs/recipes/README.md.

python -m e2e.recipes
"""

from __future__ import annotations

import json

from e2e.recipes.trial import RESULTS

COLUMNS = ("rolledBy", "requests", "failed", "lost")
UNSHOWN = ("phase", "errors")


def main() -> None:
    """One row for each scenario."""
    print("| scenario | rolled by | requests | failed | lost | also |\n|---|---|---|---|---|---|")
    for path in sorted(RESULTS.glob("*.json")):
        figures = json.loads(path.read_text())
        rest = {name: value for name, value in figures.items() if name not in (*COLUMNS, *UNSHOWN)}
        also = ", ".join(f"{name} {value}" for name, value in rest.items())
        shown = " | ".join(str(figures[name]) for name in COLUMNS)
        print(f"| {path.stem.removeprefix('test_')} | {shown} | {also} |")


if __name__ == "__main__":
    main()
