"""The page that the demo leaves behind: figures, timelines and how they were measured, in one file. Pure.

It loads nothing from anywhere, and says what speaks against us (the time it takes) as plainly as what speaks for us.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import yaml

from e2e.demo.drawing import draw, scales_of
from e2e.demo.figures import Figures, Measurement, figures_of, problems_of
from e2e.demo.stages import bars_of

STYLE = Path(__file__).with_name("page.css")

MEANINGS = {
    "Serving": "serving, old revision",
    "Isolating": "taken out of the Service, clients go elsewhere",
    "Draining": "finishing what it has in hand",
    "Migrating": "handing its keys to the others",
    "Released": "released: may be deleted",
    "Terminating": "terminating",
    "Returning": "going back into service",
    "Starting": "starting",
    "Restoring": "taking keys over, not serving yet",
    "Soaking": "serving, being watched",
    "Updated": "serving, new revision",
    "NotReady": "not ready",
    "Restarting": "container restarted",
}


@dataclass(frozen=True)
class Setting:
    """Under what the sides were measured."""

    kubernetes: str
    nodes: int
    keys: int
    rate: int
    """Requests per second."""
    together: bool
    machine: str
    """How busy the machine of the nodes was, in words; empty where it is not this one."""


def build_page(sides: Sequence[Measurement], setting: Setting) -> str:
    """The whole page."""
    figures = [figures_of(side) for side in sides]
    scales = scales_of(sides)
    timelines = "".join(
        f"<h2>{escape(side.variant.title)}</h2>{_legend(side)}<div class=scroll>{draw(side, scales)}</div>"
        for side in sides
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>StatefulRollout beside a plain StatefulSet</title>
<style>
{STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<h1>The same update, with and without StatefulRollout</h1>
<p>A sharded key-value store of {sides[0].variant.store.replicas} pods holds {setting.keys:,} keys in memory. Clients
keep reading and writing, {setting.rate} requests a second. Then one line of the pod template changes, and every pod is
replaced.</p>
<div class=cards>{"".join(map(_card, sides, figures))}</div>
{_table(sides, figures)}
<p class=soft>Both timelines below share their scales; the dashed lines are the change of the template and the end of
the update. Where a pod has no bar, it does not exist. Point at a bar for its figures.</p>
{timelines}
{_problems(sides[-1])}
{_method(sides, setting)}
</body>
</html>
"""


def _card(side: Measurement, figures: Figures) -> str:
    gone = figures.keys_lost + figures.keys_stale
    return (
        f"<div class=card><h3>{escape(side.variant.title)}</h3>"
        f"<p class='figure {_mood(figures.failed)}'>{figures.failed:,} failed requests</p>"
        f"<p class='figure {_mood(gone)}'>{gone:,} keys lost or stale</p>"
        f"<p class=soft>of {figures.requests:,} requests and {figures.keys_written:,} keys, "
        f"in {figures.seconds:.0f} seconds</p></div>"
    )


def _table(sides: Sequence[Measurement], figures: Sequence[Figures]) -> str:
    rows = [
        ("Requests sent by the client", [f"{each.requests:,}" for each in figures]),
        ("Failed requests", [_marked(each.failed) for each in figures]),
        ("p99 latency", [f"{each.p99_ms:,.1f} ms" for each in figures]),
        ("Keys written and acknowledged", [f"{each.keys_written:,}" for each in figures]),
        ("Keys lost", [_marked(each.keys_lost) for each in figures]),
        ("Keys stale", [_marked(each.keys_stale) for each in figures]),
        (
            "Fewest pods serving at any moment",
            [
                f"{each.lowest_serving} of {side.variant.store.replicas}"
                for side, each in zip(sides, figures, strict=True)
            ],
        ),
        ("Duration of the update", [f"{each.seconds:.0f} s" for each in figures]),
    ]
    head = "".join(f"<th scope=col>{escape(side.variant.title)}</th>" for side in sides)
    body = "".join(f"<tr><td>{label}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for label, cells in rows)
    return f"<div class=scroll><table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _legend(side: Measurement) -> str:
    stages = {bar.stage for bar in bars_of(side)}
    entries = [("failed", "failed request"), ("gone", "read told that an acknowledged key does not exist")]
    entries += [(stage, meaning) for stage, meaning in MEANINGS.items() if stage in stages]
    items = "".join(f"<li><i class={style}></i>{escape(words)}</li>" for style, words in entries)
    return f"<ul class=legend>{items}</ul>"


def _problems(side: Measurement) -> str:
    problems = problems_of(side)
    if not problems:
        return ""
    items = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    return f"<h2 class=bad>What went wrong with {escape(side.variant.title)}</h2><ul>{items}</ul>"


def _method(sides: Sequence[Measurement], setting: Setting) -> str:
    day = datetime.fromtimestamp(sides[0].changed_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    order = "at the same time" if setting.together else "one after the other, so that neither disturbs the other"
    rollout = next(side.variant.rollout for side in sides if side.variant.rollout is not None)
    watched = " and ".join(f"{side.stats['watcher']['requests']:,}" for side in sides)
    troubled = " and ".join(f"{side.stats['watcher']['failed']:,}" for side in sides)
    return f"""<h2>How this was measured</h2>
<p>{day}, Kubernetes {escape(setting.kubernetes)}, {setting.nodes} nodes{escape(setting.machine)}. Both sides ran on the
same cluster, {order}, with the same image, the same resources, as many pods, and the same change:
<code>kubectl set env statefulset/kvstore VERSION=2</code>.</p>
<p>The client runs in the cluster and connects through the Service over keep-alive connections. It sends on a fixed
schedule whatever the answers do, sends nothing twice, and measures from the moment a request was due: a store that
stands still shows as slow requests, not as few. A request has failed when it got no answer, or an error. Nothing is
cut out: the figures hold every request from the client's first to its last.</p>
<p>Beside it a watcher kept reading every acknowledged key, a hundred at a time ({watched} such reads, {troubled} of
them failed), and every key was read once more at the end. A key is lost when it was acknowledged and a later read says
that there is none; stale when a read returns less than was acknowledged.</p>
<p>The store keeps its keys in memory and places them by consistent hashing over its members. Under the plain
StatefulSet these are a fixed list and a pod that restarts comes back empty: nothing tells it in time to hand over what
it holds, or tells the others to take it. A preStop hook in the image could spare some of those failed requests; it
could not move the keys. Under the StatefulRollout the operator asks the same pods to drain and declares the members to
them, and waits until they have done so. That takes longer, and the table says how much.</p>
<details><summary>The StatefulRollout</summary>
<pre>{escape(yaml.safe_dump(rollout, sort_keys=False))}</pre></details>"""


def _marked(count: int) -> str:
    return f"<span class={_mood(count)}>{count:,}</span>"


def _mood(count: int) -> str:
    return "bad" if count else "good"
