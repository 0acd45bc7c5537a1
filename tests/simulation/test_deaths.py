"""Pods that somebody deletes outright, in simulated time: what can be moved within the grace period is moved."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.scenario import a_scenario
from tests.simulation.world.sandbox import Behaviour

MIGRATE = {"apply": {"http": {"port": "admin", "path": "/migrate"}}}


@pytest.mark.parametrize(
    "spec", [{"membership": None, "migrate": MIGRATE}, {"migrate": MIGRATE}, {}], ids=["migrate", "both", "membership"]
)
async def test_a_pod_that_takes_its_time_to_stop_has_moved_its_state_by_then(spec: dict[str, Any]) -> None:
    scenario = await a_scenario(replicas=3, policy="Parallel", spec=spec)
    world, deleted = scenario.world, scenario.world.pod(1)["metadata"]["uid"]
    world.kubelet.default = Behaviour(stop_seconds=20)
    assert world.application.keys_of(deleted)
    scenario.user.delete_pod(1)
    await world.run(until=lambda: deleted not in {pod["metadata"]["uid"] for pod in world.pods()}, limit_seconds=60)
    await scenario.until_complete()
    assert world.lost_keys == set()
    scenario.assert_settled()
