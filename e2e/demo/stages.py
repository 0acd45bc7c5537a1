"""What each pod went through, as bars for a chart. Does no I/O.

Under a StatefulRollout they are the stages that the operator itself reported in `status.pods`; of a plain
StatefulSet's pods the same is told from the pods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.demo.figures import Measurement
from e2e.load.sampler import Event, stages_of

OLD = "Serving"
NEW = "Updated"


@dataclass(frozen=True)
class Bar:
    """One stage of one pod, from and to in seconds since the epoch."""

    pod: str
    stage: str
    since: float
    until: float


def bars_of(measured: Measurement) -> list[Bar]:
    """The bars of one side, each pod's in order of time."""
    if measured.variant.rollout is not None:
        return reported_bars(measured.rollout_versions, measured.ended_at)
    return observed_bars(measured.events, measured.changed_at, measured.ended_at)


def reported_bars(versions: Sequence[tuple[float, Mapping[str, Any]]], until: float) -> list[Bar]:
    """The bars that the status of a StatefulRollout tells over time; a pod that it does not list has none.

    A pod counts as new only where it is at the revision that was wanted last.
    """
    newest = versions[-1][1].get("status", {}).get("wantedRevision") if versions else None
    open_bars: dict[str, Bar] = {}
    closed: list[Bar] = []
    for at, rollout in versions:
        pods = rollout.get("status", {}).get("pods", ())
        stages = {
            pod["name"]: OLD if pod["stage"] == NEW and pod.get("revision") != newest else pod["stage"] for pod in pods
        }
        for pod in [pod for pod, bar in open_bars.items() if stages.get(pod) != bar.stage]:
            bar = open_bars.pop(pod)
            closed.append(Bar(pod, bar.stage, bar.since, at))
        for pod in stages.keys() - open_bars.keys():
            open_bars[pod] = Bar(pod, stages[pod], at, until)
    return sorted([*closed, *open_bars.values()], key=lambda bar: (bar.pod, bar.since))


def observed_bars(events: Sequence[Event], changed_at: float, until: float) -> list[Bar]:
    """The bars of a plain StatefulSet's pods: serving at the old or the new revision, terminating, starting."""
    made_later = {event.uid for event in events} - {event.uid for event in events if event.at < changed_at}
    names = {"Serving": OLD, "Restoring": "Starting"}
    bars = []
    for interval in stages_of(events, until):
        stage = names.get(interval.stage, interval.stage)
        if stage == OLD and interval.uid in made_later:
            stage = NEW
        bars.append(Bar(interval.name, stage, interval.since, interval.until))
    return sorted(bars, key=lambda bar: (bar.pod, bar.since))
