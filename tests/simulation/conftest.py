"""Tests in this folder run in simulated time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.world.loop import SimulatedLoop


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of these tests."""
    parser.addoption("--update-golden", action="store_true", help="write the golden transcripts anew")
    parser.addoption("--story-seed", type=int, action="append", default=[], help="tell the stories of this seed, too")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], SimulatedLoop]]:
    return {"simulated": SimulatedLoop}
