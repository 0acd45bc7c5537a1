"""What a benchmark found out, by name; a name ends in its unit, or in what it is counted by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

Figures = Mapping[str, float]


def assert_within_budget(budget: int, most_away: int) -> None:
    """Raises AssertionError: more pods were away than may be."""
    assert most_away <= budget, f"{most_away} pods of a set were away, {budget} may be"


def medians_of(repetitions: Sequence[Figures]) -> Figures:
    """The median of each figure over the repetitions that have it."""
    names = dict.fromkeys(name for figures in repetitions for name in figures)
    return {name: median(each[name] for each in repetitions if name in each) for name in names}


def lines_of(figures: Figures) -> str:
    """One line each, for a human."""
    return "\n".join(f"  {name}: {value:.4g}" for name, value in figures.items())
