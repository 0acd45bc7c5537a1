"""What a rollout asks of the API server, to the last request: whatever makes it more has to say so here.

How long anything takes is not measured here (that is what `bench/` is for), so no machine is too slow for it.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.scenario import a_scenario
from tests.simulation.world.rest import Request

UNCOUNTED = {"events", "leases"}
"""Those are written beside the work, and by the clock."""


async def requests_of_a_rollout(pods: int, budget: int) -> Counter[str]:
    """How often which resource is read and written until all pods are rolled; they have no hooks."""
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
                "read statefulrollouts": 104,
                "read statefulrolloutledgers": 104,
                "read statefulsets": 104,
                "read pods": 115,
                "read endpointslices": 30,
                "read poddisruptionbudgets": 13,
                "write statefulrollouts/status": 41,
                "write statefulrolloutledgers": 10,
                "write statefulsets": 3,
                "write pods/status": 30,
                "write pods": 10,
                "write poddisruptionbudgets": 2,
            },
        ),
        (
            5,
            {
                "read statefulrollouts": 24,
                "read statefulrolloutledgers": 24,
                "read statefulsets": 24,
                "read pods": 27,
                "read endpointslices": 6,
                "read poddisruptionbudgets": 5,
                "write statefulrollouts/status": 9,
                "write statefulrolloutledgers": 2,
                "write statefulsets": 3,
                "write pods/status": 30,
                "write pods": 10,
                "write poddisruptionbudgets": 2,
            },
        ),
    ],
)
async def test_what_is_asked_of_the_api_server_for_ten_pods(budget: int, found: dict[str, int]) -> None:
    assert await requests_of_a_rollout(10, budget) == found
