from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from statefulrollout.errors import Conflict, NotFound
from statefulrollout.kube import certificates as certificates_module
from statefulrollout.kube import paths
from statefulrollout.kube.authority import OwnAuthority
from statefulrollout.kube.certificates import Certificates, build_bundle_patch
from statefulrollout.kube.client import Kube
from statefulrollout.kube.pki import CA_LIFE, LEAF_LIFE, Material, decide_material
from tests.unit.kube.fake_api import FakeApi, refuse
from tests.unit.kube.waiting import until
from tests.unit.kube.webhook_service import (
    CONFIGURATION,
    HOST,
    Clock,
    bundle_for_evictions_in,
    bundle_in,
    put_configurations,
    served_on,
)

SECRET = paths.secrets("operators", "webhook")


@pytest.fixture
async def certificates(api: FakeApi, connect: Callable[[str], Kube], clock: Clock) -> Callable[[], Certificates]:
    """Make a replica; the Secret and the configurations are as the chart leaves them."""
    api.put(SECRET, {"type": "Opaque"})
    put_configurations(api)

    def replica() -> Certificates:
        kube = connect("replica")
        source = OwnAuthority(kube, namespace="operators", secret="webhook", host=HOST, clock=clock)
        return Certificates(
            kube, source, namespace="operators", service="webhook", configuration="webhook", clock=clock
        )

    return replica


def stored_in(api: FakeApi) -> Material:
    material = Material.of(api.objects[SECRET]["data"])
    assert material is not None
    return material


def serial_of(material: Material) -> int:
    return x509.load_pem_x509_certificate(material.leaf).serial_number


async def test_an_empty_secret_is_filled_and_what_is_served_is_trusted(
    api: FakeApi, certificates: Callable[[], Certificates], serve: Any
) -> None:
    replica = certificates()
    port = await serve(replica.context)
    assert not replica.loaded.is_set()
    await replica.ensure()
    assert replica.loaded.is_set()
    assert await served_on(port, bundle_in(api)) == serial_of(stored_in(api))
    assert "caBundle" not in api.objects[CONFIGURATION]["webhooks"][0]["clientConfig"]
    assert bundle_for_evictions_in(api) == bundle_in(api)


async def test_what_is_in_order_is_left_alone(api: FakeApi, certificates: Callable[[], Certificates]) -> None:
    replica = certificates()
    await replica.ensure()
    api.requests.clear()
    await replica.ensure()
    assert [one.verb for one in api.requests] == ["GET", "GET", "GET"]


async def test_replicas_that_start_together_agree(
    api: FakeApi, certificates: Callable[[], Certificates], serve: Any
) -> None:
    replicas = [certificates() for _ in range(3)]
    ports = [await serve(replica.context) for replica in replicas]
    await asyncio.gather(*(replica.ensure() for replica in replicas))
    serials = {await served_on(port, bundle_in(api)) for port in ports}
    assert serials == {serial_of(stored_in(api))}


async def test_a_leaf_is_renewed_in_the_running_server(
    api: FakeApi, certificates: Callable[[], Certificates], serve: Any, clock: Clock
) -> None:
    today = clock.now
    clock.now = today - LEAF_LIFE * 2 / 3
    replica = certificates()
    port = await serve(replica.context)
    await replica.ensure()
    before, bundle = stored_in(api), bundle_in(api)

    clock.now = today - timedelta(hours=1)
    await replica.ensure()
    assert await served_on(port, bundle) == serial_of(before)

    clock.now = today
    await replica.ensure()
    assert serial_of(stored_in(api)) != serial_of(before)
    assert await served_on(port, bundle) == serial_of(stored_in(api))
    assert bundle_in(api) == bundle


@pytest.mark.parametrize("emptied", [False, True])
async def test_a_new_authority_is_trusted_beside_the_old_one(
    api: FakeApi, certificates: Callable[[], Certificates], serve: Any, clock: Clock, emptied: bool
) -> None:
    early, late = certificates(), certificates()
    ports = [await serve(replica.context) for replica in (early, late)]
    today = clock.now
    clock.now = today - LEAF_LIFE / 2
    before = decide_material(decide_material(None, HOST, today - CA_LIFE * 2 / 3), HOST, clock.now)
    api.objects[SECRET]["data"] = before.data()
    await early.ensure()
    await late.ensure()
    clock.now = today
    if emptied:
        api.objects[SECRET]["data"] = {}
    await early.ensure()
    assert serial_of(stored_in(api)) != serial_of(before)
    assert bundle_in(api) == stored_in(api).ca + before.ca
    served = [await served_on(port, bundle_in(api)) for port in ports]
    assert served == [serial_of(stored_in(api)), serial_of(before)]


@pytest.mark.parametrize("part", ["ca", "ca_key", "leaf", "leaf_key"])
@pytest.mark.parametrize("other", ["garbage", "of another"])
def test_what_does_not_belong_together_is_made_anew(part: str, other: str) -> None:
    now = datetime.now(UTC)
    good = decide_material(None, HOST, now)
    assert decide_material(good, HOST, now) is good
    wrong = b"garbage" if other == "garbage" else getattr(decide_material(None, HOST, now), part)
    mended = decide_material(Material(**{**vars(good), part: wrong}), HOST, now)
    assert getattr(mended, part) != wrong or mended.leaf != good.leaf
    assert decide_material(mended, HOST, now) is mended


def test_a_leaf_for_another_name_is_replaced_by_the_same_authority() -> None:
    now = datetime.now(UTC)
    before = decide_material(None, HOST, now)
    after = decide_material(before, "renamed.operators.svc", now)
    assert after.ca == before.ca
    assert after.leaf != before.leaf


async def test_a_bundle_that_somebody_overwrote_comes_back(
    api: FakeApi, certificates: Callable[[], Certificates]
) -> None:
    replica = certificates()
    await replica.ensure()
    api.objects[CONFIGURATION]["webhooks"][1]["clientConfig"]["caBundle"] = "Zm9v"
    await replica.ensure()
    assert bundle_in(api) == stored_in(api).ca


def test_the_patch_names_the_webhook_that_it_means() -> None:
    ours = {"service": {"namespace": "operators", "name": "webhook"}}
    configuration = {"webhooks": [{"name": "a", "clientConfig": {"url": "x"}}, {"name": "b", "clientConfig": ours}]}
    assert build_bundle_patch(configuration, "operators", "webhook", lambda _: b"pem") == [
        {"op": "test", "path": "/webhooks/1/name", "value": "b"},
        {"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": "cGVt"},
    ]


async def test_a_replica_that_never_wins_says_so(api: FakeApi, certificates: Callable[[], Certificates]) -> None:
    api.script("PUT", SECRET, *[refuse(409, "Conflict")] * 5)
    with pytest.raises(Conflict):
        await certificates().ensure()


async def test_a_missing_secret_is_named_and_waited_for(
    api: FakeApi,
    certificates: Callable[[], Certificates],
    logged: list[MutableMapping[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(certificates_module, "_RETRY_SECONDS", 0.02)
    replica = certificates()
    api.remove(SECRET)
    with pytest.raises(NotFound):
        await replica.ensure()
    task = asyncio.create_task(replica.run())
    await until(lambda: logged != [])
    assert SECRET in logged[0]["error"]
    assert "install the chart" in logged[0]["remedy"]
    api.put(SECRET, {})
    await asyncio.wait_for(replica.loaded.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
