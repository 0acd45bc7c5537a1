"""Prints what the trials under build/recipes came to, as the rows of the table in docs/recipes/README.md.

python -m e2e.recipes
"""

from __future__ import annotations

import json

from e2e.recipes.trial import RESULTS

COLUMNS = ("requests", "failed", "lost")


def main() -> None:
    """One row for each system and each way."""
    print("| system | rolled by | requests | failed | lost | also |\n|---|---|---|---|---|---|")
    for path in sorted(RESULTS.glob("*.json")):
        system, _, how = path.stem.rpartition("-")
        figures = json.loads(path.read_text())
        by = "StatefulRollout" if how == "with" else "Kubernetes alone"
        rest = {name: value for name, value in figures.items() if name not in (*COLUMNS, "phase", "errors")}
        also = ", ".join(f"{name} {value}" for name, value in rest.items())
        print(f"| {system} | {by} | {' | '.join(str(figures[name]) for name in COLUMNS)} | {also} |")


if __name__ == "__main__":
    main()
