from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from typing import Any

import aiohttp
import pytest
import structlog.testing
from aiohttp.test_utils import TestServer

from statefulrollout.kube.client import Kube
from tests.unit.kube.fake_api import FakeApi


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What the code under test logs."""
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def server(api: FakeApi) -> AsyncIterator[TestServer]:
    server = TestServer(api.application())
    await server.start_server(shutdown_timeout=0.1)
    yield server
    await server.close()


@pytest.fixture
async def connect(server: TestServer) -> AsyncIterator[Callable[[str], Kube]]:
    """Connect as a client of the given name, which faults can be meant for."""
    clients: list[Kube] = []

    def connect(name: str) -> Kube:
        session = aiohttp.ClientSession(headers={"X-Client": name})
        clients.append(Kube(str(server.make_url("")), session))
        return clients[-1]

    yield connect
    for client in clients:
        await client.close()


@pytest.fixture
async def kube(connect: Callable[[str], Kube]) -> Kube:
    return connect("operator")
