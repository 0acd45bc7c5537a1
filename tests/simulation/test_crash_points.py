"""The operator dies between any two of its API calls, and goes on as if nothing had happened.

The crash points of a scenario are enumerated, not sampled: the scenario runs once to count the writes, then once for
each with a crash just before it takes effect and once with a crash just after, before its answer arrives.
"""

from __future__ import annotations

import functools

import pytest

from tests.simulation.scenario import Scenario, a_scenario
from tests.simulation.world.loop import simulate

EVERY = 4
"""One in so many crash points is run here; set it to 1 to run them all."""


async def _rollout(scenario: Scenario) -> None:
    await scenario.roll_out()
    await scenario.until_complete()
    assert scenario.images() == ["kvstore:2"] * 3
    assert scenario.world.lost_keys == set()


async def _started() -> Scenario:
    return await a_scenario(replicas=3, policy="Parallel", keys=20)


@functools.cache
def _writes() -> int:
    async def count() -> int:
        scenario = await _started()
        before = sum(request.writes for request in scenario.world.transport.seen)
        await _rollout(scenario)
        return sum(request.writes for request in scenario.world.transport.seen) - before

    return simulate(count())


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("part", range(4))
def test_a_crash_at_any_write_loses_nothing(when: str, part: int) -> None:
    async def crash(number: int) -> None:
        scenario = await _started()
        crash_at = scenario.operator.crash_before_call if when == "before" else scenario.operator.crash_after_call
        crash_at(number, writes_only=True)
        try:
            await _rollout(scenario)
        except AssertionError as error:
            raise AssertionError(f"crash {when} write {number}: {error}") from error

    total = _writes()
    assert total > 20
    for number in range(1 + part, total + 1, EVERY * 4):
        simulate(crash(number))
