from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from statefulrollout.hooks.http import open_session
from statefulrollout.hooks.runner import HookRunner
from tests.unit.hooks.application import FAST, Application, Listener, reach_of


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as session:
        yield session


@asynccontextmanager
async def running(*names: str) -> AsyncIterator[list[Application]]:
    applications = [Application(name) for name in names]
    for application in applications:
        await application.start()
    yield applications
    for application in applications:
        await application.stop()


@pytest.fixture
async def pods() -> AsyncIterator[list[Application]]:
    """Three applications, each on its own port."""
    async with running("kvstore-0", "kvstore-1", "kvstore-2") as applications:
        yield applications


@pytest.fixture
async def pod() -> AsyncIterator[Application]:
    async with running("kvstore-0") as (application,):
        yield application


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def runner(session: aiohttp.ClientSession, listener: Listener) -> AsyncIterator[HookRunner]:
    runner = HookRunner(reach_of(session), listener, lambda: True, cadence=FAST)
    listener.runner = runner
    yield runner
    await runner.aclose()
