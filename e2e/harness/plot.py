"""Two quantities over time as one SVG drawing: what was asked for, and what there was. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 900.0, 260.0, 40.0, 30.0, 40.0
MARK_EVERY_SECONDS = 10

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """A quantity that keeps its value until the next point; times in seconds from the beginning."""

    label: str
    color: str
    points: Points


def draw_steps(title: str, until: float, highest: int, *series: Series) -> str:
    """An SVG document of the series from 0 to `until` seconds and from 0 to `highest`."""
    wide, tall = WIDTH - LEFT - 20, HEIGHT - TOP - BOTTOM

    def x(at: float) -> float:
        return LEFT + wide * min(max(at, 0.0), until) / until

    def y(value: float) -> float:
        return TOP + tall * (1 - value / highest)

    parts = [f'<text x="{LEFT}" y="18" font-weight="bold">{escape(title)}</text>']
    for value in range(highest + 1):
        parts.append(f'<path d="M{LEFT} {y(value):.1f}h{wide}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value}</text>')
    for second in range(0, int(until) + 1, MARK_EVERY_SECONDS):
        parts.append(f'<text x="{x(second):.1f}" y="{HEIGHT - 22}" text-anchor="middle">{second} s</text>')
    for number, each in enumerate(series):
        start = each.points[0]
        path = f"M{x(start[0]):.1f} {y(start[1]):.1f}"
        path += "".join(f"H{x(at):.1f}V{y(value):.1f}" for at, value in each.points[1:]) + f"H{x(until):.1f}"
        parts.append(f'<path d="{path}" fill="none" stroke="{each.color}" stroke-width="2"/>')
        parts.append(
            f'<text x="{LEFT + 260 * number}" y="{HEIGHT - 5}" fill="{each.color}">{escape(each.label)}</text>'
        )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" font-family="sans-serif"'
    return f'{head} font-size="12"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
