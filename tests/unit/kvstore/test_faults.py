from __future__ import annotations

import asyncio

import pytest

from e2e.kvstore.faults import STALLED_PROGRESS, Fault, Mode, faults_of
from tests.unit.kvstore.pods import Pods


@pytest.mark.parametrize(
    ("mode", "status"), [("accept-202", 202), ("unavailable-503", 503), ("error-500", 500), ("missing-404", 404)]
)
async def test_a_fault_answers_in_the_hooks_place_until_its_time_is_up(pods: Pods, mode: str, status: int) -> None:
    await pods.start(0)
    assert (await pods.admin(0, "POST", "/faults", {"drain": {"mode": mode, "seconds": 0.05}}))[0] == 200
    assert (await pods.admin(0, "POST", "/drain"))[0] == status
    assert (await pods.admin(0, "POST", "/restore"))[0] == 200, "only the hook that was named is faulty"
    await asyncio.sleep(0.05)
    assert (await pods.admin(0, "POST", "/drain"))[0] == 200


async def test_a_stalled_hook_reports_the_same_progress_until_cleared(pods: Pods) -> None:
    await pods.start(0, faults={"migrate": Fault(Mode.STALL)})
    for _ in range(2):
        assert await pods.admin(0, "POST", "/migrate") == (202, {"progress": STALLED_PROGRESS})
    await pods.admin(0, "POST", "/faults", {})
    assert (await pods.admin(0, "POST", "/migrate"))[0] == 200


async def test_a_hanging_hook_answers_late_and_can_still_be_taken_back(pods: Pods) -> None:
    await pods.start(0, faults={"drain": Fault(Mode.HANG, seconds=0.2)})
    draining = asyncio.create_task(pods.admin(0, "POST", "/drain"))
    assert (await pods.admin(0, "DELETE", "/drain"))[0] == 200
    assert not draining.done()
    assert (await draining)[0] == 200


def test_an_unknown_mode_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="accept-202, unavailable-503, hang"):
        faults_of({"drain": {"mode": "sulk"}})
