"""The timeline of one side as SVG: what clients saw above what the pods went through, on one axis of time. Pure.

Both sides are drawn on the same scales, so that equal lengths mean equal things. Colours are classes of the page's
style sheet, hence follow its light or dark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, log10

from e2e.demo.figures import Measurement
from e2e.demo.stages import Bar, bars_of
from e2e.load.keytable import Verdict
from e2e.load.records import timeline_of
from e2e.load.sampler import serving_over_time

BUCKET_MS = 1000
WIDTH, LEFT, RIGHT = 960, 84, 16
GAP, HEAD = 34, 16
FAULTS_HEIGHT, RATE_HEIGHT, LATENCY_HEIGHT, SERVING_HEIGHT, ROW_HEIGHT = 72, 40, 72, 56, 22
LEAST_HEIGHT = 3.0
"""In pixels: a single failed request must be seen."""
LATENCIES = ((1.0, "1 ms"), (10.0, "10 ms"), (100.0, "100 ms"), (1000.0, "1 s"), (10000.0, "10 s"))


@dataclass(frozen=True)
class Second:
    """What the client saw in one bucket of time; `at` counts in seconds from the change of the template."""

    at: float
    requests: int
    failed: int
    gone: int
    """Reads that were told that an acknowledged key does not exist."""
    p99_ms: float


@dataclass(frozen=True)
class Scales:
    """What both drawings share. Times in seconds from the change."""

    since: float
    until: float
    faults: int
    requests: int
    pods: int

    def x(self, at: float) -> float:
        """Where a time is, in pixels."""
        inside = min(max(at, self.since), self.until)
        return LEFT + (inside - self.since) / (self.until - self.since) * (WIDTH - LEFT - RIGHT)


def seconds_of(measured: Measurement) -> list[Second]:
    """The client's requests per second of time."""
    gone = Counter(
        int(record.at * 1000) // BUCKET_MS * BUCKET_MS for record in measured.requests if record.outcome == Verdict.LOST
    )
    return [
        Second(
            at=bucket["at"] / 1000 - measured.changed_at,
            requests=bucket["requests"],
            failed=bucket["failed"],
            gone=gone[bucket["at"]],
            p99_ms=bucket["p99Ms"],
        )
        for bucket in timeline_of(measured.records, "client", BUCKET_MS)
    ]


def scales_of(sides: Sequence[Measurement]) -> Scales:
    """Scales on which all sides fit."""
    buckets = [second for side in sides for second in seconds_of(side)]
    return Scales(
        since=min(side.began_at - side.changed_at for side in sides),
        until=max(side.ended_at - side.changed_at for side in sides),
        faults=max([1, *(second.failed + second.gone for second in buckets)]),
        requests=max([1, *(second.requests for second in buckets)]),
        pods=max(side.variant.store.replicas for side in sides),
    )


def draw(measured: Measurement, scales: Scales) -> str:
    """The timeline of one side."""
    seconds = seconds_of(measured)
    bars = bars_of(measured)
    parts: list[str] = []
    top = 46.0
    for title, height, lines in (
        ("Failed requests and reads of lost keys, per second", FAULTS_HEIGHT, _draw_faults(seconds, scales)),
        ("Requests, per second", RATE_HEIGHT, _draw_rate(seconds, scales)),
        (
            "Slowest request in a hundred (p99; each step is ten times more)",
            LATENCY_HEIGHT,
            _draw_latency(seconds, scales),
        ),
        ("Pods that serve", SERVING_HEIGHT, _draw_serving(measured, scales)),
        ("What each pod is doing", _rows_height(bars), _draw_bars(bars, measured.changed_at, scales)),
    ):
        parts.append(_group(0, top, [_text(LEFT, 0, title, "title"), _group(0, HEAD - 6, lines)]))
        top += HEAD + height + GAP - HEAD
    height = top + 22
    marks = _draw_time(measured, scales, top - GAP + HEAD)
    name = f"Timeline of {measured.variant.title}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(name)}">'
        f"{''.join(marks)}{''.join(parts)}</svg>"
    )


def _draw_faults(seconds: Sequence[Second], scales: Scales) -> list[str]:
    parts = [*_axis(FAULTS_HEIGHT, [(0.0, "0"), (1.0, f"{scales.faults:,}")])]
    for second in seconds:
        base = float(FAULTS_HEIGHT)
        words = f"{second.at:+.0f} s: {second.failed} failed, {second.gone} reads of a lost key, of {second.requests}"
        for count, style in ((second.failed, "failed"), (second.gone, "gone")):
            if count:
                tall = max(LEAST_HEIGHT, count / scales.faults * FAULTS_HEIGHT)
                base -= tall
                parts.append(_bucket(second, base, tall, style, words, scales))
    if not any(second.failed or second.gone for second in seconds):
        parts.append(_text(WIDTH / 2, FAULTS_HEIGHT / 2 + 5, "none at any time", "none"))
    return parts


def _draw_rate(seconds: Sequence[Second], scales: Scales) -> list[str]:
    parts = [*_axis(RATE_HEIGHT, [(0.0, "0"), (1.0, f"{scales.requests:,}")])]
    for second in seconds:
        tall = second.requests / scales.requests * RATE_HEIGHT
        parts.append(_bucket(second, RATE_HEIGHT - tall, tall, "rate", f"{second.requests} requests", scales))
    return parts


def _draw_latency(seconds: Sequence[Second], scales: Scales) -> list[str]:
    lowest, highest = log10(LATENCIES[0][0]), log10(LATENCIES[-1][0])

    def share(ms: float) -> float:
        return min(1.0, max(0.0, (log10(max(ms, 0.001)) - lowest) / (highest - lowest)))

    parts = [*_axis(LATENCY_HEIGHT, [(share(ms), label) for ms, label in LATENCIES])]
    for second in seconds:
        tall = max(LEAST_HEIGHT, share(second.p99_ms) * LATENCY_HEIGHT)
        words = f"{second.at:+.0f} s: p99 {second.p99_ms:.1f} ms"
        parts.append(_bucket(second, LATENCY_HEIGHT - tall, tall, "latency", words, scales))
    return parts


def _draw_serving(measured: Measurement, scales: Scales) -> list[str]:
    parts = [*_axis(SERVING_HEIGHT, [(0.0, "0"), *_inner_lines(scales.pods), (1.0, str(scales.pods))])]
    counts = [(at - measured.changed_at, count) for at, count in serving_over_time(measured.events)]
    end = measured.ended_at - measured.changed_at
    path, before = "", 0
    for at, count in counts:
        if at <= scales.since:
            before = count
    for at, count in [(scales.since, before), *((at, count) for at, count in counts if scales.since < at < end)]:
        y = SERVING_HEIGHT * (1 - count / scales.pods)
        path += f"M{scales.x(at):.1f} {y:.1f}" if not path else f"H{scales.x(at):.1f}V{y:.1f}"
    return [*parts, f'<path class="serving" d="{path}H{scales.x(end):.1f}"/>']


def _inner_lines(count: int) -> list[tuple[float, str]]:
    return [(each / count, "") for each in range(1, count)]


def _draw_bars(bars: Sequence[Bar], changed_at: float, scales: Scales) -> list[str]:
    parts = []
    for row, pod in enumerate(_pods_of(bars)):
        y = row * ROW_HEIGHT
        parts.append(_text(LEFT - 8, y + 15, pod, "end"))
        for bar in bars:
            since, until = bar.since - changed_at, bar.until - changed_at
            if bar.pod == pod and until > scales.since:
                x = scales.x(since)
                wide = max(1.0, scales.x(until) - x)
                words = f"{pod}: {bar.stage} for {until - max(since, scales.since):.1f} s"
                parts.append(_rect(x, y + 2, wide, ROW_HEIGHT - 4, f"stage {bar.stage}", words))
    return parts


def _draw_time(measured: Measurement, scales: Scales, bottom: float) -> list[str]:
    parts = []
    step = next(each for each in (5, 10, 20, 30, 60, 120, 300) if (scales.until - scales.since) / each <= 16)
    at = ceil(scales.since / step) * step
    while at <= scales.until:
        x = scales.x(at)
        parts += [
            _line(x, 40, x, bottom, "grid"),
            _text(x, bottom + 16, f"{at} s".replace("-", "\N{MINUS SIGN}"), "middle"),
        ]
        at += step
    complete = measured.completed_at - measured.changed_at
    for moment, words in ((0.0, "template changed"), (complete, f"complete after {complete:.0f} s")):
        x = scales.x(moment)
        anchor = "end" if x > WIDTH * 0.8 else ""
        parts += [_line(x, 6, x, bottom, "moment"), _text(x + (-5 if anchor else 5), 16, words, f"moment {anchor}")]
    return parts


def _axis(height: float, marks: Iterable[tuple[float, str]]) -> list[str]:
    """Horizontal lines with labels; each mark's share is 0 at the bottom and 1 at the top."""
    parts = []
    for share, label in marks:
        y = height * (1 - share)
        parts += [_line(LEFT, y, WIDTH - RIGHT, y, "grid"), _text(LEFT - 8, y + 4, label, "end")]
    return parts


def _bucket(second: Second, y: float, tall: float, style: str, words: str, scales: Scales) -> str:
    x = scales.x(second.at)
    wide = max(1.0, scales.x(second.at + BUCKET_MS / 1000) - x - 0.6)
    return _rect(x, y, wide, tall, style, words)


def _pods_of(bars: Iterable[Bar]) -> list[str]:
    return sorted({bar.pod for bar in bars}, key=lambda pod: -int(pod.rpartition("-")[2]))


def _rows_height(bars: Iterable[Bar]) -> float:
    return len(_pods_of(bars)) * ROW_HEIGHT


def _group(x: float, y: float, parts: Iterable[str]) -> str:
    return f'<g transform="translate({x:.0f} {y:.0f})">{"".join(parts)}</g>'


def _rect(x: float, y: float, wide: float, tall: float, style: str, words: str) -> str:
    return (
        f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}">'
        f"<title>{escape(words)}</title></rect>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, words: str, style: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'
