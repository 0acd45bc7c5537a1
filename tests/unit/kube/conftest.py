from __future__ import annotations

import functools
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog.testing
from aiohttp import web
from aiohttp.test_utils import TestServer

from statefulrollout.api import names
from statefulrollout.kube.client import Kube
from tests.unit.kube.fake_api import FakeApi, answer
from tests.unit.kube.webhook_service import Clock

VERSION = {"groupVersion": names.API_VERSION, "version": names.VERSION}


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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[ssl.SSLContext], Awaitable[int]]]:
    """Serve with a context on a port of loopback, which is returned."""
    runners: list[web.AppRunner] = []

    async def serve(context: ssl.SSLContext) -> int:
        runner = web.AppRunner(web.Application())
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        return int(runner.addresses[0][1])

    yield serve
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
def kubeconfig(api: FakeApi, server: TestServer, tmp_path: Path) -> Path:
    """Credentials for the fake server, which answers kopf's question which resources there are."""
    path = tmp_path / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": str(server.make_url(""))}}],
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    groups = {names.API_VERSION: (names.PLURAL, names.KIND), "v1": ("namespaces", "Namespace")}
    respond = {
        "/api": {"versions": ["v1"]},
        "/apis": {"groups": [{"name": names.GROUP, "versions": [VERSION], "preferredVersion": VERSION}]},
    }
    for version, (plural, kind) in groups.items():
        resource = {"name": plural, "singularName": "", "kind": kind, "namespaced": plural == names.PLURAL}
        resource["verbs"] = ["list", "watch", "patch"]
        respond[f"/api/{version}" if version == "v1" else f"/apis/{version}"] = {"resources": [resource]}
    for asked, body in respond.items():
        api.script("GET", asked, answer(functools.partial(web.json_response, body)))
    return path
