"""`python -m e2e.demo`: install the operator, run both sides, write the figures and the page, print the table.

Ends with 0 where the StatefulRollout kept its promise, 1 where a request failed or a key was lost or stale under it,
2 where the demo could not be carried out. The cluster stays up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster.cli import KUBECONFIG_VARIABLE
from e2e.demo.figures import Measurement, build_table, figures_of, problems_of
from e2e.demo.install import install_operator, locate, remove, start_store
from e2e.demo.measuring import Load, measure
from e2e.demo.page import Setting, build_page
from e2e.demo.programs import Cluster, DemoError
from e2e.demo.terminal import Terminal
from e2e.demo.variants import NAME, Variant, build_variants

FOLDER = Path(__file__).parents[2] / "build" / "demo"


def build_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m e2e.demo",
        description="The same change under load with and without StatefulRollout, on the cluster of `python -m "
        "e2e.cluster up`, or on your own: figures on the terminal, a page in build/demo. Replaces the "
        "namespaces demo-statefulset and demo-statefulrollout.",
    )
    parser.add_argument(
        "--kubeconfig",
        default=os.environ.get(KUBECONFIG_VARIABLE) or None,
        metavar="FILE",
        help=f"use the cluster of this kubeconfig (or of {KUBECONFIG_VARIABLE}); it must be able to pull both images",
    )
    parser.add_argument("--operator-image", default="statefulrollout:dev", metavar="IMAGE", help="(%(default)s)")
    parser.add_argument("--store-image", default="kvstore:dev", metavar="IMAGE", help="(%(default)s)")
    parser.add_argument("--keep-operator", action="store_true", help="use the operator that is installed already")
    parser.add_argument("--together", action="store_true", help="run both sides at once: quicker, and less exact")
    parser.add_argument("--keys", type=int, default=50_000, help="keys for each side (%(default)s)")
    parser.add_argument("--rate", type=int, default=300, help="requests per second for each side (%(default)s)")
    return parser


async def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Carry the demo out; return the exit status. Raises DemoError."""
    cluster = await locate(options.kubeconfig)
    variants = build_variants(options.store_image)
    before = os.getloadavg()[0]
    _mention_load(cluster, before, terminal)
    async with asyncio.TaskGroup() as group:
        for variant in variants:
            group.create_task(remove(cluster, variant, terminal))
        if not options.keep_operator:
            group.create_task(install_operator(cluster, options.operator_image, terminal))
    sides = await _measure_all(cluster, variants, options, terminal)
    version = json.loads(await cluster.run("version", "--output", "json"))["serverVersion"]["gitVersion"]
    nodes = len((await cluster.get("nodes"))["items"])
    machine = "" if cluster.external else _describe_machine(before)
    page = _write(sides, Setting(version, nodes, options.keys, options.rate, options.together, machine))
    return report(cluster, sides, page)


async def _measure_all(
    cluster: Cluster, variants: Sequence[Variant], options: argparse.Namespace, terminal: Terminal
) -> list[Measurement]:
    async with asyncio.TaskGroup() as group:
        for variant in variants:
            group.create_task(start_store(cluster, variant, terminal))
    load = Load(options.keys, options.rate)
    if not options.together:
        return [await measure(cluster, variant, load, terminal) for variant in variants]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(measure(cluster, variant, load, terminal)) for variant in variants]
    return [task.result() for task in tasks]


def _write(sides: Sequence[Measurement], setting: Setting) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    result = {side.variant.key: figures_of(side).as_json() for side in sides}
    (FOLDER / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    page = FOLDER / "index.html"
    page.write_text(build_page(sides, setting), encoding="utf-8")
    return page


def report(cluster: Cluster, sides: Sequence[Measurement], page: Path) -> int:
    """Print the table, what went wrong under the StatefulRollout, and how to play on; return the exit status."""
    print(f"\n{build_table([(side.variant.title, figures_of(side)) for side in sides])}\n")
    *_, ours = sides
    problems = problems_of(ours)
    if problems:
        print(f"{ours.variant.title} did not keep its promise:")
        print("\n".join(f"  {problem}" for problem in problems), end="\n\n")
    at = f"-n {ours.variant.namespace}"
    print(f"The page: {page}\nThe cluster stays up. To play on:")
    print(f"  export KUBECONFIG={cluster.kubeconfig} PATH={cluster.kubectl.parent}:$PATH\n")
    print(f"  kubectl get sro {at} {NAME} -w")
    print(f"  kubectl set env {at} statefulset/{NAME} VERSION=3")
    print(f"  kubectl describe sro {at} {NAME}")
    return 1 if problems else 0


def _describe_machine(before: float) -> str:
    return (
        f" on one machine of {os.cpu_count()} cores; its load average was {before:.1f} before the demo and "
        f"{os.getloadavg()[0]:.1f} after it"
    )


def _mention_load(cluster: Cluster, busy: float, terminal: Terminal) -> None:
    cores = os.cpu_count() or 1
    if not cluster.external and busy > 2 * cores:
        terminal.say(
            f"this machine is busy (load average {busy:.1f} on {cores} cores): slow requests may say more about "
            "it than about the rollouts"
        )


def main() -> int:
    """Run it; explain what could not be done."""
    options = build_parser().parse_args()
    try:
        return asyncio.run(run(options, Terminal()))
    except* DemoError as failures:
        print(f"error: {failures.exceptions[0]}", file=sys.stderr)
    except* KeyboardInterrupt:
        print("interrupted; run the same command again to start over", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
