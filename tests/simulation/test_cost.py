"""What a rollout asks of the API server and builds of the answers, to the last request and the last view of a pod.

Whatever makes it more has to say so here. How long anything takes is not measured here (that is what `bench/` is for),
so no machine is too slow for it.
"""

from __future__ import annotations

from collections import Counter

import pytest

from statefulrollout import reconcile
from statefulrollout.core.plan import Plan
from statefulrollout.core.plan import decide as decide_on
from statefulrollout.core.snapshot import PodView, Snapshot
from statefulrollout.kube import views
from tests.simulation.scenario import a_scenario
from tests.simulation.world.rest import Request

UNCOUNTED = {"events", "leases"}
"""Those are written beside the work, and by the clock."""


async def roll(pods: int, budget: int) -> Counter[str]:
    """Roll so many pods without hooks: how often which resource was read and written."""
    strategy = {"soakSeconds": 0, "maxUnavailable": budget}
    spec = {"strategy": strategy, "drain": None, "membership": None}
    scenario = await a_scenario(replicas=pods, policy="Parallel", keys=0, spec=spec)
    counted: Counter[str] = Counter()

    def count(request: Request) -> None:
        if request.plural not in UNCOUNTED and "watch" not in request.params:
            verb = "read" if request.method == "GET" else "write"
            counted[f"{verb} {request.plural}{'/' + request.sub if request.sub else ''}"] += 1

    scenario.world.network.after.append(count)
    await scenario.roll_out()
    await scenario.until_complete()
    return counted


@pytest.mark.parametrize(
    ("budget", "found"),
    [
        (
            1,
            {
                "read statefulrollouts": 14,
                "read statefulrolloutledgers": 14,
                "read statefulsets": 14,
                "read pods": 24,
                "read endpointslices": 20,
                "read poddisruptionbudgets": 13,
                "write statefulrollouts/status": 22,
                "write statefulrolloutledgers": 10,
                "write statefulsets": 4,
                "write pods/status": 30,
                "write pods": 10,
                "write poddisruptionbudgets": 2,
            },
        ),
        (
            5,
            {
                "read statefulrollouts": 6,
                "read statefulrolloutledgers": 6,
                "read statefulsets": 6,
                "read pods": 8,
                "read endpointslices": 4,
                "read poddisruptionbudgets": 5,
                "write statefulrollouts/status": 6,
                "write statefulrolloutledgers": 2,
                "write statefulsets": 4,
                "write pods/status": 30,
                "write pods": 10,
                "write poddisruptionbudgets": 2,
            },
        ),
    ],
)
async def test_what_is_asked_of_the_api_server_for_ten_pods(budget: int, found: dict[str, int]) -> None:
    assert await roll(10, budget) == found


@pytest.mark.parametrize(("budget", "plans", "pods_parsed"), [(1, 129, 130), (5, 33, 130)])
async def test_what_is_built_for_ten_pods(
    monkeypatch: pytest.MonkeyPatch, budget: int, plans: int, pods_parsed: int
) -> None:
    """A pod that is as it was is not read again from its JSON: views of pods are most of what a pass allocates."""
    built: Counter[str] = Counter()
    parse = views.pod_of

    def count_pod(raw: views.Json) -> PodView:
        built["pods"] += 1
        return parse(raw)

    def count_plan(snapshot: Snapshot, now: float) -> Plan:
        built["plans"] += 1
        return decide_on(snapshot, now)

    monkeypatch.setattr(views, "pod_of", count_pod)
    monkeypatch.setattr(reconcile, "decide", count_plan)
    await roll(10, budget)
    assert (built["plans"], built["pods"]) == (plans, pods_parsed)
