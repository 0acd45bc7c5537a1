from collections.abc import AsyncIterator

import pytest

from tests.unit.kvstore.pods import Pods


@pytest.fixture
async def pods() -> AsyncIterator[Pods]:
    async with Pods() as running:
        yield running
