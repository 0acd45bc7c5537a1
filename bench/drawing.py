"""Quantities over a number of pods as one SVG document, both axes logarithmic. Pure.

The background is left to the page and every colour is one that can be read on white and on black.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 440, 300
"""Of one panel, in pixels."""
LEFT, RIGHT, TOP, BOTTOM = 58, 28, 44, 46
PANELS_OF_A_ROW = 2
INK, GRID, LINE = "#7d8590", "#7d859040", "#3b82d0"

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One quantity at several numbers of pods, all above 0, and the line that was fitted through them."""

    title: str
    points: Points
    line: Points


@dataclass(frozen=True)
class _Axis:
    """Whole powers of ten, from one to another, along so many pixels."""

    first: int
    last: int
    start: float
    length: float

    def at(self, value: float) -> float:
        """Where a value is, in pixels."""
        return self.start + self.length * (log10(value) - self.first) / (self.last - self.first)

    def marks(self) -> Iterator[tuple[float, str]]:
        """Where each power of ten is, and how it is written."""
        for power in range(self.first, self.last + 1):
            value = 10.0**power
            yield self.at(value), f"{value:,.0f}" if value >= 1 else f"{value:g}"


def draw(panels: Sequence[Panel]) -> str:
    """The document: two panels in a row."""
    rows = ceil(len(panels) / PANELS_OF_A_ROW)
    parts = [
        f'<g transform="translate({WIDTH * (number % PANELS_OF_A_ROW)} {HEIGHT * (number // PANELS_OF_A_ROW)})">'
        f"{''.join(_panel(panel))}</g>"
        for number, panel in enumerate(panels)
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * PANELS_OF_A_ROW} {HEIGHT * rows}"'
    body = "\n".join(parts)
    return f'{head} font-family="sans-serif" font-size="12" fill="{INK}">\n{body}\n</svg>\n'


def _panel(panel: Panel) -> Iterator[str]:
    x = _axis([pods for pods, _ in panel.points], LEFT, WIDTH - LEFT - RIGHT)
    y = _axis([value for _, value in [*panel.points, *panel.line]], HEIGHT - BOTTOM, -(HEIGHT - TOP - BOTTOM))
    yield f'<text x="{LEFT}" y="24" font-size="13" font-weight="bold">{escape(panel.title)}</text>'
    for at, label in x.marks():
        yield f'<path d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{GRID}"/>'
        yield f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text>'
    for at, label in y.marks():
        yield f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>'
        yield f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{label}</text>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.1f}" y="{HEIGHT - 10}" text-anchor="middle">pods</text>'
    path = "L".join(f"{x.at(pods):.1f} {y.at(value):.1f}" for pods, value in panel.line)
    yield f'<path d="M{path}" fill="none" stroke="{LINE}" stroke-dasharray="5 4"/>'
    for pods, value in panel.points:
        words = f"{pods:,.0f} pods: {value:.3g}"
        yield f'<circle cx="{x.at(pods):.1f}" cy="{y.at(value):.1f}" r="4" fill="{LINE}">'
        yield f"<title>{escape(words)}</title></circle>"


def _axis(values: Sequence[float], start: float, length: float) -> _Axis:
    first, last = floor(log10(min(values))), ceil(log10(max(values)))
    return _Axis(first, max(last, first + 1), start, length)
