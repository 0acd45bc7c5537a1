"""How every cost of a rollout grows with the number of pods, by the recorded run.

    python -m bench.growth

draws docs/growth.svg anew, and prints the exponents.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from math import exp, log
from pathlib import Path

from bench.drawing import Panel, Points, draw
from bench.figures import Figures
from bench.recorded import read
from bench.suites import GROWTH

DRAWING = Path(__file__).resolve().parents[1] / "docs" / "growth.svg"
COSTS = {
    "seconds": "seconds",
    "requestsPerPod": "requests per pod",
    "cpuMillisecondsPerPod": "operator CPU per pod, ms",
    "receivedKiBPerPod": "received per pod, KiB",
}


def points_of(cases: Mapping[str, Figures], cost: str) -> Points:
    """One cost by the number of pods, fewest first; a case without it, or in which it was 0, is left out."""
    found = ((figures["pods"], figures.get(cost, 0.0)) for figures in cases.values())
    return sorted((pods, value) for pods, value in found if value > 0)


def fit(points: Points) -> tuple[float, float]:
    """(a, b) of a * pods ** b, by least squares on the logarithms of both. Needs two numbers of pods or more."""
    xs, ys = [log(pods) for pods, _ in points], [log(value) for _, value in points]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / sum((x - x_mean) ** 2 for x in xs)
    return exp(y_mean - slope * x_mean), slope


def panels_of(cases: Mapping[str, Figures]) -> list[Panel]:
    """A panel for each cost that was measured at two numbers of pods or more."""
    panels = []
    for cost, words in COSTS.items():
        points = points_of(cases, cost)
        if len(points) >= 2:
            factor, exponent = fit(points)
            line = [(pods, factor * pods**exponent) for pods in (points[0][0], points[-1][0])]
            panels.append(Panel(f"{words}: grows as pods^{exponent:.2f}", points, line))
    return panels


def draw_growth() -> bool:
    """Draw the recorded run anew, and print the exponents; returns whether there was anything to draw."""
    recorded = read().get(GROWTH)
    panels = panels_of(recorded.cases) if recorded else []
    if panels:
        DRAWING.write_text(draw(panels), encoding="utf-8")
        print("\n".join(panel.title for panel in panels))
    return bool(panels)


if __name__ == "__main__":
    if not draw_growth():
        sys.exit("no growth is recorded: make bench SUITE=growth RECORD=1")
