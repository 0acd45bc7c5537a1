"""Replicas that serve from a Secret that others keep: renewals without a gap, and what happens when it goes bad."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from statefulrollout.errors import ApiError, UnusableSecret
from statefulrollout.kube import certificates as certificates_module
from statefulrollout.kube import paths
from statefulrollout.kube.certificates import Certificates
from statefulrollout.kube.client import Kube
from statefulrollout.kube.foreign_secret import ForeignSecret
from statefulrollout.kube.pki import pem_of
from tests.unit.kube.fake_api import FakeApi, refuse
from tests.unit.kube.issuers import KEYS, Issued, issue_ca, issue_leaf, secret_of
from tests.unit.kube.waiting import until
from tests.unit.kube.webhook_service import (
    CONFIGURATION,
    EVICTIONS,
    HOST,
    Clock,
    bundle_for_evictions_in,
    bundle_in,
    put_configurations,
    served_on,
)

SECRET = paths.secrets("operators", "webhook-tls")
CA = issue_ca()
OTHER_CA = issue_ca(name="another")


@pytest.fixture
async def certificates(api: FakeApi, connect: Callable[[str], Kube], clock: Clock) -> Callable[[], Certificates]:
    """Make a replica; nothing has been published yet, and there is no Secret."""
    put_configurations(api)

    def replica() -> Certificates:
        kube = connect("replica")
        source = ForeignSecret(kube, namespace="operators", secret="webhook-tls", host=HOST)
        return Certificates(
            kube, source, namespace="operators", service="webhook", configuration="webhook", clock=clock
        )

    return replica


Replicas = Callable[[], Certificates]
Serve = Callable[[Any], Awaitable[int]]


def keep(api: FakeApi, issued: Issued) -> None:
    api.put(SECRET, secret_of(issued.values()))


def published_in(api: FakeApi) -> list[x509.Certificate]:
    assert bundle_for_evictions_in(api) == bundle_in(api)
    return x509.load_pem_x509_certificates(bundle_in(api))


def writes_in(api: FakeApi) -> list[tuple[str, str]]:
    return [(one.verb, one.path) for one in api.requests if one.verb != "GET"]


async def test_it_is_published_and_then_served_and_never_written(
    api: FakeApi, certificates: Replicas, serve: Serve
) -> None:
    leaf = issue_leaf(CA)
    keep(api, leaf)
    replica = certificates()
    port = await serve(replica.context)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await served_on(port, pem_of(CA.certificate))
    await replica.ensure()
    assert replica.loaded.is_set()
    assert published_in(api) == [CA.certificate]
    assert await served_on(port, bundle_in(api)) == leaf.serial
    assert writes_in(api) == [("PATCH", CONFIGURATION), ("PATCH", EVICTIONS)]

    api.requests.clear()
    await replica.ensure()
    assert [one.verb for one in api.requests] == ["GET", "GET", "GET"]


async def test_a_leaf_with_another_kind_of_key_replaces_the_one_before(
    api: FakeApi, certificates: Replicas, serve: Serve
) -> None:
    replica = certificates()
    port = await serve(replica.context)
    for kind in (*KEYS, *reversed(KEYS)):
        leaf = issue_leaf(CA, kind=kind)
        keep(api, leaf)
        await replica.ensure()
        assert await served_on(port, bundle_in(api)) == leaf.serial


async def test_while_replicas_follow_a_new_authority_all_of_them_are_trusted(
    api: FakeApi, certificates: Replicas, serve: Serve
) -> None:
    before, after = issue_leaf(CA), issue_leaf(OTHER_CA)
    keep(api, before)
    early, late = certificates(), certificates()
    ports = [await serve(each.context) for each in (early, late)]
    await asyncio.gather(early.ensure(), late.ensure())

    keep(api, after)
    await early.ensure()
    assert [await served_on(port, bundle_in(api)) for port in ports] == [after.serial, before.serial]
    api.requests.clear()
    for replica in (late, early, certificates()):
        await replica.ensure()
    assert [await served_on(port, bundle_in(api)) for port in ports] == [after.serial, after.serial]
    assert published_in(api) == [OTHER_CA.certificate, CA.certificate]
    assert writes_in(api) == []


async def test_of_authorities_before_one_is_kept_until_it_expires(
    api: FakeApi, certificates: Replicas, clock: Clock
) -> None:
    authorities = [issue_ca(name=f"authority {number}", days=20) for number in range(3)]
    for authority in authorities:
        keep(api, issue_leaf(authority))
        replica = certificates()
        await replica.ensure()
    first, second, third = (each.certificate for each in authorities)
    assert published_in(api) == [third, second]

    clock.now = second.not_valid_after_utc - timedelta(seconds=1)
    await replica.ensure()
    assert published_in(api) == [third, second]
    clock.now = second.not_valid_after_utc
    await replica.ensure()
    assert published_in(api) == [third]
    assert first not in published_in(api)


async def test_nothing_is_served_that_could_not_be_published(
    api: FakeApi, certificates: Replicas, serve: Serve
) -> None:
    before = issue_leaf(CA)
    keep(api, before)
    replica = certificates()
    port = await serve(replica.context)
    await replica.ensure()
    keep(api, issue_leaf(OTHER_CA))
    api.script("PATCH", EVICTIONS, refuse(422, "Invalid"))
    with pytest.raises(ApiError):
        await replica.ensure()
    assert await served_on(port, bundle_for_evictions_in(api)) == before.serial


async def test_a_bundle_that_somebody_overwrote_comes_back(api: FakeApi, certificates: Replicas) -> None:
    keep(api, issue_leaf(CA))
    replica = certificates()
    await replica.ensure()
    api.objects[CONFIGURATION]["webhooks"][1]["clientConfig"]["caBundle"] = "Zm9v"
    await replica.ensure()
    assert published_in(api) == [CA.certificate]


async def test_a_secret_that_goes_bad_leaves_the_replica_with_what_it_served(
    api: FakeApi, certificates: Replicas, serve: Serve
) -> None:
    good = issue_leaf(CA)
    keep(api, good)
    replica = certificates()
    port = await serve(replica.context)
    await replica.ensure()
    for bad in (issue_leaf(OTHER_CA, days=-1), issue_leaf(OTHER_CA, ["webhook.other.svc"])):
        keep(api, bad)
        with pytest.raises(UnusableSecret):
            await replica.ensure()
    api.remove(SECRET)
    with pytest.raises(UnusableSecret, match="Secret operators/webhook-tls does not exist"):
        await replica.ensure()
    assert published_in(api) == [CA.certificate]
    assert await served_on(port, bundle_in(api)) == good.serial


async def test_a_replica_waits_unready_for_a_secret_that_can_be_served(
    api: FakeApi,
    certificates: Replicas,
    logged: list[MutableMapping[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(certificates_module, "_RETRY_SECONDS", 0.02)
    replica = certificates()
    task = asyncio.create_task(replica.run())
    await until(lambda: logged != [])
    assert logged[0]["log_level"] == "warning"
    assert "Secret operators/webhook-tls does not exist" in logged[0]["error"]
    assert "webhook.existingSecret" in logged[0]["remedy"]
    keep(api, issue_leaf(CA, ["webhook.other.svc"]))
    await until(lambda: "Hostname mismatch" in logged[-1]["error"])
    assert HOST in logged[-1]["remedy"]
    assert not replica.loaded.is_set()
    assert writes_in(api) == []
    keep(api, issue_leaf(CA))
    await asyncio.wait_for(replica.loaded.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
