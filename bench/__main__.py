"""Runs benchmarks on the cluster that `make cluster` made.

    python -m bench [--pods N] [--repeat N] [SUITE ...]

Every comparison is made within one repetition, side after side: the machine is not always as fast. Writes
build/bench.json and prints tables.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from bench.cluster import Cluster
from bench.fake_nodes import fake_nodes
from bench.figures import Figures, lines_of, medians_of
from bench.measuring import Result, measure
from bench.suites import GROWS, GROWTH, MEASURES, SIZES, Size, cases_of
from bench.tables import figures_of, reactions_of, requests_of, table_of
from e2e.harness.api import open_api
from e2e.harness.installation import Installation
from e2e.harness.kubectl import Kubectl
from e2e.harness.namespaces import Namespaces

RESULT = Path("build") / "bench.json"
NODES = 5


@dataclass
class Found:
    """What a run has found so far: the repetitions of each case by suite and title, and what went wrong."""

    results: list[Result] = field(default_factory=list)
    repetitions: dict[str, dict[str, list[Figures]]] = field(default_factory=lambda: defaultdict(dict))
    failures: list[str] = field(default_factory=list)

    def add(self, suite: str, title: str, figures: Figures) -> None:
        """One repetition of one case."""
        self.repetitions[suite].setdefault(title, []).append(figures)

    def medians(self) -> dict[str, dict[str, Figures]]:
        """The figures of each case, by suite and title."""
        return {
            suite: {title: medians_of(each) for title, each in cases.items()}
            for suite, cases in self.repetitions.items()
        }


def main() -> int:
    """Returns 1 where a budget was exceeded, or a suite failed."""
    chosen = _parse()
    # So that whoever stops it leaves no nodes and no namespaces behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kubectl, found = Kubectl.located(), Found()
    installation = Installation(kubectl)
    installation.ensure()
    with open_api(kubectl) as api, fake_nodes(kubectl, NODES):
        cluster = Cluster(kubectl, api, installation, Namespaces(kubectl))
        for suite, default in SIZES.items():
            if suite in (chosen.suites or SIZES):
                size = Size(chosen.pods or default.pods, chosen.repeat or default.repeat)
                try:
                    _run(cluster, suite, size, found)
                except AssertionError as failure:
                    print(f"{suite} FAILED: {failure}", flush=True)
                    found.failures.append(suite)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, load average {os.getloadavg()[0]:.1f} at the end"
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"machine": machine, "figures": found.medians()}, indent=1))
    if found.results:
        print(f"\n{table_of(found.results)}\n{requests_of(found.results)}\n{reactions_of(found.results)}")
    print(f"\n{machine}; {RESULT}")
    exceeded = [each.case.title for each in found.results if each.case.ours and each.most_away > each.case.budget]
    print("".join(f"\nBUDGET EXCEEDED: {title}" for title in exceeded))
    return int(bool(exceeded or found.failures))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "suites",
        nargs="*",
        choices=[*SIZES, []],
        metavar="SUITE",
        help=f"of {', '.join(SIZES)} (default: all of them)",
    )
    sizes = ", ".join(f"{suite} {size.pods} x{size.repeat}" for suite, size in SIZES.items())
    parser.add_argument("--pods", type=int, help=f"how many pods a set has, or there are (default: {sizes})")
    parser.add_argument("--repeat", type=int, help="how often everything is measured")
    chosen = parser.parse_args()
    if any(number is not None and number < 1 for number in (chosen.pods, chosen.repeat)):
        parser.error("--pods and --repeat must be at least 1")
    if GROWTH in chosen.suites and chosen.pods is not None and chosen.pods < GROWS[0]:
        parser.error(f"growth begins with {GROWS[0]} pods: --pods must be at least {GROWS[0]}")
    return chosen


def _run(cluster: Cluster, suite: str, size: Size, found: Found) -> None:
    """Measure one suite as often as asked. Raises AssertionError, with what was measured before in `found`."""
    for _ in range(size.repeat):
        if suite in MEASURES:
            title, all_figures = f"{size.pods} pods", dict[str, float]()
            for figures in MEASURES[suite](cluster, size.pods):
                all_figures |= figures
                print(f"{suite}, {title}:\n{lines_of(figures)}", flush=True)
            found.add(suite, title, all_figures)
            continue
        for case in cases_of(suite, size.pods):
            with cluster.namespace("bench") as namespace:
                result = measure(cluster, namespace, case)
            found.results.append(result)
            found.add(suite, case.title, figures_of(result))
            print(f"{case.title}: {result.seconds:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
