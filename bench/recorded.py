"""The last recorded run, which is committed, and how a new one compares with it.

By suite: the machine, the load on it at the end, and the figures of each case. A suite that is recorded anew takes the
place of the one before, whatever its size was.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Figures

PATH = Path(__file__).with_name("recorded.json")
DIGITS = 4
"""So many significant ones are kept: no measurement has more."""

INDEPENDENT = (
    "timesNative",
    "timesIdeal",
    "timesAlone",
    "nativeTimesAlone",
    "apiServerCpuTimesNative",
    "requestsPerPod",
    "receivedKiBPerPod",
    "callsPerPod",
    "mostCallsInFlight",
    "requestsPerFlap",
    "passesPerFlap",
    "restRequestsPerSecond",
    "rollRequestsPerPod",
    "requestsAfter",
    "operatorRestarts",
    "mostAway",
    "rollMostAway",
)
"""Figures that are, on the whole, the same on every machine; all others are compared on the same machine only."""
SIZES = ("pods", "sets", "rolledSets", "idealSeconds")
"""What a case is, not what was found out."""


@dataclass(frozen=True)
class Recorded:
    """One suite of the recorded run; `load` is the machine's load average at its end."""

    machine: str
    load: float
    cases: Mapping[str, Figures]


def describe_machine() -> str:
    """What the figures depend on; the processor as Linux names it, else its kind."""
    cpu, memory = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    model = re.search(r"^model name\s*: (.+)$", cpu.read_text(), re.MULTILINE) if cpu.exists() else None
    total = re.search(r"^MemTotal:\s*(\d+) kB", memory.read_text(), re.MULTILINE) if memory.exists() else None
    words = [f"{os.cpu_count()} cores", platform.machine(), *([model[1].strip()] if model else [])]
    return ", ".join([*words, *([f"{int(total[1]) / 2**20:.0f} GiB"] if total else [])])


def read(path: Path = PATH) -> dict[str, Recorded]:
    """The recorded run by suite; empty where nothing was recorded yet."""
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {suite: Recorded(each["machine"], each["load"], each["cases"]) for suite, each in found.items()}


def record(suites: Mapping[str, Mapping[str, Figures]], machine: str, load: float, path: Path = PATH) -> None:
    """Put the figures of these suites in the place of those that were recorded before."""
    now = {suite: Recorded(machine, load, cases) for suite, cases in suites.items()}
    everything = dict(sorted((read(path) | now).items()))
    path.write_text(json.dumps({suite: as_json(each) for suite, each in everything.items()}, indent=1) + "\n", "utf-8")


def as_json(recorded: Recorded) -> dict[str, object]:
    """One suite as it is written."""
    cases = {
        title: {name: float(f"{value:.{DIGITS}g}") for name, value in figures.items()}
        for title, figures in recorded.cases.items()
    }
    return {"machine": recorded.machine, "load": round(recorded.load, 1), "cases": cases}


def comparison_of(
    then: Mapping[str, Recorded], suites: Mapping[str, Mapping[str, Figures]], machine: str
) -> Iterator[str]:
    """Lines for a human: every figure that both runs have, first those that do not depend on the machine."""
    for suite, cases in suites.items():
        before = then.get(suite)
        for title in [title for title in cases if before and title in before.cases]:
            assert before is not None
            lines = list(_compared(before.cases[title], cases[title], before.machine == machine))
            yield f"\n{suite}, {title}: recorded, now, and now / recorded"
            yield from lines
            if before.machine != machine:
                yield f"  recorded on another machine ({before.machine}): times, CPU and memory are not compared"


def _compared(then: Figures, now: Figures, same_machine: bool) -> Iterator[str]:
    others = [name for name in now if name not in INDEPENDENT and name not in SIZES]
    for name in [*INDEPENDENT, *(others if same_machine else ())]:
        if name in then and name in now:
            ratio = f"{now[name] / then[name]:7.2f}" if then[name] else "       "
            yield f"  {then[name]:10.4g} {now[name]:10.4g} {ratio}  {name}"
