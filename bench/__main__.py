"""Runs benchmarks on the cluster that `make cluster` made.

    python -m bench [--pods N] [--repeat N] [--record] [SUITE ...]

Every comparison of two sides is made within one repetition, one after the other: the machine is not always as fast.
Writes build/bench.json, and prints tables and how the figures compare with those of the recorded run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bench.cases import keeps_batches
from bench.cluster import Cluster
from bench.fake_nodes import fake_nodes
from bench.figures import lines_of
from bench.found import Found
from bench.growth import draw_growth
from bench.measuring import measure
from bench.recorded import Recorded, as_json, comparison_of, describe_machine, read, record
from bench.suites import BY_NAME_ONLY, GROWS, GROWTH, MEASURES, SIZES, Size, cases_of
from bench.tables import report_of
from e2e.harness.api import open_api
from e2e.harness.installation import Installation
from e2e.harness.kubectl import Kubectl
from e2e.harness.namespaces import Namespaces

RESULT = Path("build") / "bench.json"
PROXY_LOG = Path("build") / "bench-proxy.log"
NODES = 5


def main() -> int:
    """Returns 1 where a budget was exceeded, or a suite failed."""
    chosen = _parse()
    # So that whoever stops it leaves no nodes and no namespaces behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kubectl, found = Kubectl.located(), Found()
    installation = Installation(kubectl)
    installation.ensure()
    RESULT.parent.mkdir(exist_ok=True)
    with PROXY_LOG.open("w") as log, open_api(kubectl, log) as api, fake_nodes(kubectl, NODES):
        cluster, batches = Cluster(kubectl, api, installation, Namespaces(kubectl)), keeps_batches(kubectl)
        for suite, default in SIZES.items():
            if suite in chosen.suites or not (chosen.suites or suite in BY_NAME_ONLY):
                size = Size(chosen.pods or default.pods, chosen.repeat or default.repeat)
                began = time.monotonic()
                try:
                    _run(cluster, suite, size, batches, found)
                except (AssertionError, OSError, subprocess.SubprocessError) as failure:
                    print(f"{suite} FAILED: {failure}", flush=True)
                    found.failed.append(suite)
                print(f"{suite}: {time.monotonic() - began:.0f} s in all", flush=True)
    _report(found, keep=chosen.record)
    return int(bool(found.exceeded() or found.failed))


def _report(found: Found, *, keep: bool) -> None:
    """Print everything, write it to build/, and record what was measured to its end if it shall be kept."""
    figures, machine, load = found.figures(), describe_machine(), os.getloadavg()[0]
    RESULT.write_text(json.dumps({suite: as_json(Recorded(machine, load, each)) for suite, each in figures.items()}))
    for suite, results in found.results.items():
        print(f"\n{suite}\n\n{report_of(results, found.not_allowed[suite])}")
    print("\n".join(comparison_of(read(), figures, machine)))
    print(f"\n{machine}, load average {load:.1f} at the end; {RESULT}")
    print("".join(f"BUDGET EXCEEDED: {title}\n" for title in found.exceeded()), end="")
    if keep:
        whole = {suite: each for suite, each in figures.items() if suite not in found.failed}
        record(whole, machine, load)
        print(f"recorded: {', '.join(whole) or 'nothing'}")
        if GROWTH in whole:
            draw_growth()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "suites",
        nargs="*",
        choices=[*SIZES, []],
        metavar="SUITE",
        help=f"of {', '.join(SIZES)} (default: all but {', '.join(BY_NAME_ONLY)})",
    )
    sizes = ", ".join(f"{suite} {size.pods} x{size.repeat}" for suite, size in SIZES.items())
    parser.add_argument("--pods", type=int, help=f"how many pods a set has, or there are (default: {sizes})")
    parser.add_argument("--repeat", type=int, help="how often everything is measured")
    parser.add_argument(
        "--record", action="store_true", help="keep the figures in bench/recorded.json, to be committed"
    )
    chosen = parser.parse_args()
    if any(number is not None and number < 1 for number in (chosen.pods, chosen.repeat)):
        parser.error("--pods and --repeat must be at least 1")
    if GROWTH in chosen.suites and chosen.pods is not None and chosen.pods < GROWS[0]:
        parser.error(f"growth begins with {GROWS[0]} pods: --pods must be at least {GROWS[0]}")
    return chosen


def _run(cluster: Cluster, suite: str, size: Size, batches: bool, found: Found) -> None:
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
            if case.is_batch_of_kubernetes and not batches:
                if case not in found.not_allowed[suite]:
                    found.not_allowed[suite].append(case)
                continue
            with cluster.namespace("bench") as namespace:
                result = measure(cluster, namespace, case)
            found.results[suite].append(result)
            print(f"{case.title}: {result.seconds:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
