"""Runs benchmarks on the cluster that `make cluster` made.

    python -m bench [--pods 100] [--repeat 3] [instant] [lifelike] [growth] [scale]

Each case is a rollout of a fresh set, and every comparison is made within one repetition, side after side: the machine
is not always as fast. `growth` rolls ever larger sets of instant pods, a tenth at a time, up to so many pods; `scale`
keeps so many in sets of 50, once. Writes build/bench.json and prints tables.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.cases import Case
from bench.fake_nodes import fake_nodes
from bench.measuring import Result, measure
from bench.reaction import REACTIONS, percentile
from bench.scale import measure_scale
from e2e.harness.api import open_api
from e2e.harness.installation import Installation
from e2e.harness.kubectl import Kubectl
from e2e.harness.namespaces import Namespaces

RESULT = Path("build") / "bench.json"
NODES = 5
PACES = {"instant": (0.0, 0.0), "lifelike": (2.0, 1.0)}
"""By suite: how many seconds a pod takes to start and to stop."""
GROWTH, SCALE = "growth", "scale"
SUITES = (*PACES, GROWTH, SCALE)
GROWS = (10, 100, 1000, 10_000)


def cases_of(suite: str, pods: int) -> Iterator[Case]:
    """One pod at a time, beside Kubernetes alone, and a tenth of them; Kubernetes' own batches are off by default."""
    if suite == GROWTH:
        sizes = (size for size in GROWS if size <= pods)
        yield from (Case(size, size // 10, 0.0, 0.0, ours=True) for size in sizes)
        return
    starts_after, stops_after = PACES[suite]
    one = Case(pods, 1, starts_after, stops_after, ours=True)
    yield replace(one, ours=False)
    yield one
    if pods >= 20:
        yield replace(one, budget=pods // 10)


def table_of(results: list[Result]) -> str:
    """The table in Markdown: medians, with the spread of the times."""
    lines = ["| rollout | seconds, median (min-max) | ideal | most away | requests per pod | operator CPU ms per pod |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for case in dict.fromkeys(result.case for result in results):
        found = [result for result in results if result.case == case]
        times = [result.seconds for result in found]
        costs = [result.cost for result in found if result.cost]
        requests = f"{median(sum(c.requests.values()) for c in costs) / case.pods:.1f}" if costs else ""
        cpu = f"{1000 * median(c.cpu_seconds for c in costs) / case.pods:.0f}" if costs else ""
        lines.append(
            f"| {case.title} | {median(times):.1f} ({min(times):.1f}-{max(times):.1f}) | {case.ideal_seconds:.0f} "
            f"| {max(result.most_away for result in found)} | {requests} | {cpu} |"
        )
    return "\n".join(lines)


def requests_of(results: list[Result]) -> str:
    """What was asked of the API server per pod, last time in each case of ours."""
    lines = []
    for case, cost in {result.case: result.cost for result in results if result.cost}.items():
        lines.append(f"\nRequests per pod, {case.title}:")
        lines += (f"  {count / case.pods:6.2f}  {name}" for name, count in cost.requests.most_common())
    return "\n".join(lines)


def reactions_of(results: list[Result]) -> str:
    """How quick the operator was, of all repetitions of a case together."""
    lines = []
    for case in dict.fromkeys(result.case for result in results if result.reactions):
        lines.append(f"\nReaction in milliseconds (median, 99 of 100), {case.title}:")
        for kind in REACTIONS:
            times = [1000 * time for result in results if result.case == case for time in result.reactions[kind]]
            lines.append(f"  {percentile(times, 50):4.0f} {percentile(times, 99):4.0f}  {kind}")
    return "\n".join(lines)


def as_json(result: Result) -> dict[str, object]:
    """One measurement, for whoever compares with another run."""
    case, cost = result.case, result.cost
    return {
        **vars(case),
        "seconds": round(result.seconds, 2),
        "idealSeconds": case.ideal_seconds,
        "mostAway": result.most_away,
        "requests": dict(cost.requests) if cost else None,
        "cpuSeconds": round(cost.cpu_seconds, 2) if cost else None,
    }


def main() -> int:
    """Returns 1 where a budget was exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "suites",
        nargs="*",
        choices=[*SUITES, []],
        metavar="SUITE",
        help=f"of {', '.join(SUITES)} (default: the first two)",
    )
    parser.add_argument("--pods", type=int, default=40, help="how many pods a set has, or there are")
    parser.add_argument("--repeat", type=int, default=3, help="how often")
    chosen = parser.parse_args()
    if min(chosen.pods, chosen.repeat) < 1:
        parser.error("--pods and --repeat must be at least 1")
    if GROWTH in chosen.suites and chosen.pods < GROWS[0]:
        parser.error(f"growth begins with {GROWS[0]} pods: --pods must be at least {GROWS[0]}")
    # So that whoever stops it leaves no nodes and no namespaces behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kubectl = Kubectl.located()
    installation, namespaces, results = Installation(kubectl), Namespaces(kubectl), list[Result]()
    installation.ensure()
    suites, scale = chosen.suites or list(PACES), dict[str, float]()
    with open_api(kubectl) as api, fake_nodes(kubectl, NODES):
        if SCALE in suites:
            for figures in measure_scale(kubectl, api, installation, namespaces, chosen.pods):
                scale |= figures
                print("\n".join(f"{name}: {value:.4g}" for name, value in figures.items()), flush=True)
        for _ in range(chosen.repeat):
            for suite in (suite for suite in suites if suite != SCALE):
                for case in cases_of(suite, chosen.pods):
                    namespace = namespaces.create("bench")
                    try:
                        results.append(measure(kubectl, api, installation, namespace, case))
                    finally:
                        namespaces.delete(namespace)
                        namespaces.await_gone()
                    print(f"{case.title}: {results[-1].seconds:.1f} s", flush=True)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, load average {os.getloadavg()[0]:.1f} at the end"
    RESULT.parent.mkdir(exist_ok=True)
    found = {"machine": machine, "results": [as_json(each) for each in results], SCALE: scale}
    RESULT.write_text(json.dumps(found, indent=1))
    print(f"\n{table_of(results)}\n{requests_of(results)}\n{reactions_of(results)}\n\n{machine}; {RESULT}")
    return int(any(result.most_away > result.case.budget for result in results))


if __name__ == "__main__":
    sys.exit(main())
