"""Which suites there are, what each of them rolls, and how large it is unless somebody says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from bench.cases import Case
from bench.cluster import Cluster
from bench.figures import Figures
from bench.hooks import measure_hooks
from bench.hot import measure_hot
from bench.scale import measure_scale
from bench.shards import measure_shards
from bench.storm import measure_storm

PACES = {"instant": (0.0, 0.0), "lifelike": (2.0, 1.0)}
"""By suite: how many seconds a pod takes to start and to stop."""
GROWTH = "growth"
GROWS = (10, 100, 1000, 10_000)

Measure = Callable[[Cluster, int], Iterator[Figures]]
MEASURES: Mapping[str, Measure] = {
    "hooks": measure_hooks,
    "hot": measure_hot,
    "scale": measure_scale,
    "storm": measure_storm,
    "shards": measure_shards,
}
"""Suites that are more than single rollouts, each with what measures it for so many pods."""


@dataclass(frozen=True)
class Size:
    """So many pods in a set, or in all, and how often everything is measured."""

    pods: int
    repeat: int


SIZES: Mapping[str, Size] = {
    "instant": Size(100, 1),
    "lifelike": Size(20, 1),
    GROWTH: Size(1000, 1),
    "hooks": Size(200, 1),
    "hot": Size(40, 1),
    "scale": Size(1000, 1),
    "storm": Size(1000, 1),
    "shards": Size(2000, 1),
}
"""All suites in the order in which they are run, as large as what fits into 20 minutes on two cores."""
BY_NAME_ONLY = ("shards",)
"""Suites that do not fit in: they are run where somebody asks for them."""


def cases_of(suite: str, pods: int) -> Iterator[Case]:
    """One pod at a time, and a tenth of them, each beside Kubernetes alone."""
    if suite == GROWTH:
        sizes = (size for size in GROWS if size <= pods)
        yield from (Case(size, size // 10, 0.0, 0.0, ours=True) for size in sizes)
        return
    starts_after, stops_after = PACES[suite]
    one = Case(pods, 1, starts_after, stops_after, ours=True)
    for budget in (1, pods // 10) if pods >= 20 else (1,):
        yield replace(one, budget=budget, ours=False)
        yield replace(one, budget=budget)
