"""The whole process against the fake server: how it starts, becomes ready, hands over, and dies of a lost Lease."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from statefulrollout import settings
from statefulrollout.__main__ import build_source
from statefulrollout.kube import paths
from statefulrollout.kube.authority import OwnAuthority
from statefulrollout.kube.foreign_secret import ForeignSecret
from statefulrollout.kube.leader import LOST_EXIT_CODE
from tests.unit.kube.fake_api import FakeApi
from tests.unit.kube.recorder import RecordedKube

LEASE = paths.leases("operators", "lease")
SECRET = paths.secrets("operators", "webhook")
CONFIGURATIONS = (
    paths.mutatingwebhookconfigurations(name="webhook"),
    paths.validatingwebhookconfigurations(name="webhook"),
)
SOURCES = Path(settings.__file__).parents[1]


@dataclass
class Operator:
    process: asyncio.subprocess.Process
    health_port: int

    async def get(self, path: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.health_port}{path}") as response,
        ):
            return response.status, await response.text()

    async def ready(self) -> None:
        async with asyncio.timeout(20):
            while True:
                assert self.process.returncode is None
                try:
                    if (await self.get("/readyz"))[0] == 200:
                        return
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.05)


@pytest.fixture
async def operator(api: FakeApi, kubeconfig: Path) -> AsyncIterator[Operator]:
    api.put(SECRET, {})
    service = {"namespace": "operators", "name": "webhook"}
    for configuration in CONFIGURATIONS:
        api.put(configuration, {"webhooks": [{"name": "ours", "clientConfig": {"service": service}}]})
    health_port = unused_port()
    given = {
        "NAMESPACE": "operators",
        "POD_NAME": "operator-0",
        "LEASE_NAME": "lease",
        "LEASE_DURATION_SECONDS": "3",
        "LEASE_RENEW_DEADLINE_SECONDS": "2",
        "LEASE_RETRY_SECONDS": "0.2",
        "WEBHOOK_SECRET": "webhook",
        "WEBHOOK_CONFIGURATION": "webhook",
        "WEBHOOK_SERVICE": "webhook",
        "WEBHOOK_PORT": "0",
        "HEALTH_PORT": str(health_port),
        "LOG_FORMAT": "console",
    }
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SOURCES),
        "KUBECONFIG": str(kubeconfig),
        **{settings.PREFIX + name: value for name, value in given.items()},
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "statefulrollout", env=environment)
    yield Operator(process, health_port)
    if process.returncode is None:
        process.kill()
        await process.wait()


@pytest.mark.parametrize(("kept_by", "source"), [("operator", OwnAuthority), ("others", ForeignSecret)])
def test_who_keeps_the_certificates_is_a_setting(kept_by: Literal["operator", "others"], source: type) -> None:
    told = settings.Settings(
        namespace="operators",
        pod_name="operator-0",
        lease_name="lease",
        webhook_secret="webhook",
        webhook_certificates_kept_by=kept_by,
        webhook_configuration="webhook",
        webhook_service="webhook",
    )
    assert isinstance(build_source(RecordedKube(), told), source)


async def test_it_becomes_ready_leads_and_hands_over_when_told_to_stop(api: FakeApi, operator: Operator) -> None:
    await operator.ready()
    assert await operator.get("/healthz") == (200, "ok\n")
    assert api.objects[LEASE]["spec"]["holderIdentity"].startswith("operator-0_")
    for configuration in CONFIGURATIONS:
        assert api.objects[configuration]["webhooks"][0]["clientConfig"]["caBundle"]
    _, metrics = await operator.get("/metrics")
    assert "statefulrollout_leader 1.0" in metrics

    operator.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(operator.process.wait(), 10) == 0
    assert api.objects[LEASE]["spec"]["holderIdentity"] == ""


async def test_it_dies_at_once_when_another_holds_its_lease(api: FakeApi, operator: Operator) -> None:
    await operator.ready()
    taken = {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 15, "renewTime": "now"}}
    api.put(LEASE, taken)
    assert await asyncio.wait_for(operator.process.wait(), 10) == LOST_EXIT_CODE
    assert api.objects[LEASE]["spec"] == taken["spec"]


async def test_a_standby_is_ready_and_stops_without_touching_the_lease(api: FakeApi, operator: Operator) -> None:
    held = {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 60, "renewTime": "now"}}
    api.put(LEASE, held)
    await operator.ready()
    assert "statefulrollout_leader 0.0" in (await operator.get("/metrics"))[1]
    operator.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(operator.process.wait(), 10) == 0
    assert api.objects[LEASE]["spec"] == held["spec"]
    assert {one.path for one in api.requests} & {paths.pods(), paths.statefulsets()} == set()
