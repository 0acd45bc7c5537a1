"""What single rollouts took and cost, for a human and for whoever compares with another run."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.figures import Figures
from bench.measuring import Result
from bench.reaction import REACTIONS, percentile


def table_of(results: Sequence[Result]) -> str:
    """The table in Markdown: medians, with the spread of the times."""
    lines = [
        "| rollout | seconds, median (min-max) | ideal | most away | requests per pod, without events "
        "| operator CPU ms per pod |",
        "|---|---|---|---|---|---|",
    ]
    for case in dict.fromkeys(result.case for result in results):
        found = [result for result in results if result.case == case]
        times = [result.seconds for result in found]
        costs = [result.cost for result in found if result.cost]
        requests = f"{median(cost.asked for cost in costs) / case.pods:.1f}" if costs else ""
        cpu = f"{1000 * median(cost.cpu_seconds for cost in costs) / case.pods:.0f}" if costs else ""
        lines.append(
            f"| {case.title} | {median(times):.1f} ({min(times):.1f}-{max(times):.1f}) | {case.ideal_seconds:.0f} "
            f"| {max(result.most_away for result in found)} | {requests} | {cpu} |"
        )
    return "\n".join(lines)


def requests_of(results: Sequence[Result]) -> str:
    """What was asked of the API server per pod, last time in each case of ours."""
    lines = []
    for case, cost in {result.case: result.cost for result in results if result.cost}.items():
        lines.append(f"\nRequests per pod, {case.title}:")
        lines += (f"  {count / case.pods:6.2f}  {name}" for name, count in cost.requests.most_common())
    return "\n".join(lines)


def reactions_of(results: Sequence[Result]) -> str:
    """How quick the operator was, of all repetitions of a case together."""
    lines = []
    for case in dict.fromkeys(result.case for result in results if result.reactions):
        lines.append(f"\nReaction in milliseconds (median, 99 of 100), {case.title}:")
        for kind in REACTIONS:
            times = [1000 * time for result in results if result.case == case for time in result.reactions[kind]]
            lines.append(f"  {percentile(times, 50):4.0f} {percentile(times, 99):4.0f}  {kind}")
    return "\n".join(lines)


def figures_of(result: Result) -> Figures:
    """The figures of one rollout."""
    case, cost = result.case, result.cost
    figures = {"pods": case.pods, "seconds": result.seconds, "mostAway": result.most_away}
    if case.ideal_seconds:
        figures |= {"idealSeconds": case.ideal_seconds, "timesIdeal": result.seconds / case.ideal_seconds}
    if cost:
        figures |= {
            "requestsPerPod": cost.asked / case.pods,
            "cpuMillisecondsPerPod": 1000 * cost.cpu_seconds / case.pods,
        }
    return figures
