"""What single rollouts took and cost, for a human and for whoever compares with another run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from bench.cases import Case
from bench.figures import Figures, medians_of
from bench.legs import DEEDS, LEGS, percentile
from bench.measuring import Result

NOT_ALLOWED = "the API server keeps no maxUnavailable (feature gate MaxUnavailableStatefulSet)"
_COLUMNS = {
    "requestsPerPod": "requests per pod, without events",
    "receivedKiBPerPod": "KiB received per pod",
    "cpuMillisecondsPerPod": "operator CPU ms per pod",
    "apiServerCpuMillisecondsPerPod": "API server CPU ms per pod",
}


def report_of(results: Sequence[Result], not_allowed: Collection[Case]) -> str:
    """Everything about the rollouts of one suite."""
    return f"{table_of(results, not_allowed)}\n{requests_of(results)}\n{legs_of(results)}"


def table_of(results: Sequence[Result], not_allowed: Collection[Case] = ()) -> str:
    """The table in Markdown: medians, with the spread of the times."""
    head = ["rollout", "seconds, median (min-max)", "ideal", "times native", "most away", *_COLUMNS.values()]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for title, figures in figures_by_title(results).items():
        found = [result for result in results if result.case.title == title]
        times, ideal = [result.seconds for result in found], found[0].case.ideal_seconds
        cells = [
            f"{figures['seconds']:.1f} ({min(times):.1f}-{max(times):.1f})",
            f"{ideal:.0f}",
            f"{figures['timesNative']:.2f}" if "timesNative" in figures else "",
            f"{max(result.most_away for result in found)}",
            *(f"{figures[name]:.1f}" if name in figures else "" for name in _COLUMNS),
        ]
        lines.append(f"| {' | '.join([title, *cells])} |")
    lines += (f"| {case.title} | not measured: {NOT_ALLOWED} |" + " |" * (len(head) - 2) for case in not_allowed)
    return "\n".join(lines)


def requests_of(results: Sequence[Result]) -> str:
    """What was asked of the API server per pod, last time in each case of ours."""
    lines = []
    for case, cost in {result.case: result.cost for result in results if result.cost}.items():
        lines.append(f"\nRequests per pod, {case.title}:")
        lines += (f"  {count / case.pods:6.2f}  {name}" for name, count in cost.requests.most_common())
    return "\n".join(lines)


def legs_of(results: Sequence[Result]) -> str:
    """Who was waited for, of all repetitions of a case together."""
    lines = []
    for case in dict.fromkeys(result.case for result in results if result.legs):
        mine = [result for result in results if result.case == case]
        lines.append(f"\nMilliseconds of every leg (mean for each pod, median, 99 of 100), {case.title}:")
        for leg in LEGS:
            if times := [1000 * time for result in mine for time in result.legs.get(leg, ())]:
                mean = sum(times) / (len(mine) * case.pods)
                lines.append(f"  {mean:5.0f} {percentile(times, 50):5.0f} {percentile(times, 99):5.0f}  {leg}")
    return "\n".join(lines)


def figures_by_title(results: Sequence[Result]) -> dict[str, Figures]:
    """The figures of each case: medians, and how many times those of Kubernetes alone they are where both are there."""
    by_case = {
        case: dict(medians_of([figures_of(result) for result in results if result.case == case]))
        for case in dict.fromkeys(result.case for result in results)
    }
    for case, figures in by_case.items():
        if native := by_case.get(replace(case, ours=False)) if case.ours else None:
            figures["timesNative"] = figures["seconds"] / native["seconds"]
            figures["apiServerCpuTimesNative"] = (
                figures["apiServerCpuMillisecondsPerPod"] / native["apiServerCpuMillisecondsPerPod"]
            )
    return {case.title: figures for case, figures in by_case.items()}


def figures_of(result: Result) -> Figures:
    """The figures of one rollout."""
    case, cost = result.case, result.cost
    figures = {
        "pods": case.pods,
        "seconds": result.seconds,
        "mostAway": result.most_away,
        "apiServerCpuMillisecondsPerPod": 1000 * result.api_server_cpu_seconds / case.pods,
    }
    if case.ideal_seconds:
        figures["timesIdeal"] = result.seconds / case.ideal_seconds
    if cost:
        figures["requestsPerPod"] = cost.asked / case.pods
        figures["cpuMillisecondsPerPod"] = 1000 * cost.cpu_seconds / case.pods
        if result.legs:
            waited = sum(sum(result.legs.get(deed, ())) for deed in DEEDS)
            figures["waitedForOperatorMillisecondsPerPod"] = 1000 * waited / case.pods
        if cost.received:
            figures["receivedKiBPerPod"] = cost.received.total() / 1024 / case.pods
    return figures
