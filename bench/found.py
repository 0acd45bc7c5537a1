"""What a run has found so far."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from bench.cases import Case
from bench.figures import Figures, medians_of
from bench.measuring import Result
from bench.tables import figures_by_title

ByCase = dict[str, dict[str, Figures]]
"""Figures by suite and title of the case."""


@dataclass
class Found:
    """Everything by suite: single rollouts, those that the API server did not allow, and the figures of the others."""

    results: dict[str, list[Result]] = field(default_factory=lambda: defaultdict(list))
    not_allowed: dict[str, list[Case]] = field(default_factory=lambda: defaultdict(list))
    repetitions: dict[str, dict[str, list[Figures]]] = field(default_factory=lambda: defaultdict(dict))
    failed: list[str] = field(default_factory=list)
    """Suites that ended early."""

    def add(self, suite: str, title: str, figures: Figures) -> None:
        """One repetition of one case that is no single rollout."""
        self.repetitions[suite].setdefault(title, []).append(figures)

    def figures(self) -> ByCase:
        """The medians over all repetitions."""
        return {suite: figures_by_title(results) for suite, results in self.results.items()} | {
            suite: {title: medians_of(figures) for title, figures in cases.items()}
            for suite, cases in self.repetitions.items()
        }

    def exceeded(self) -> list[str]:
        """Titles of our rollouts in which more pods were away than may be."""
        results = (result for results in self.results.values() for result in results)
        return [each.case.title for each in results if each.case.ours and each.most_away > each.case.budget]
