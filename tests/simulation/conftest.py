"""Tests in this folder run in simulated time."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.world.loop import SimulatedLoop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], SimulatedLoop]]:
    return {"simulated": SimulatedLoop}
