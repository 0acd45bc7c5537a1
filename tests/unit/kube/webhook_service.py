"""The webhook's Service `webhook` of namespace `operators` as the API server sees it: how it is set up and called."""

from __future__ import annotations

import asyncio
import base64
import ssl
from datetime import UTC, datetime

from cryptography import x509

from statefulrollout.kube import paths
from tests.unit.kube.fake_api import FakeApi

HOST = "webhook.operators.svc"
CONFIGURATION = paths.mutatingwebhookconfigurations(name="webhook")
EVICTIONS = paths.validatingwebhookconfigurations(name="webhook")


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def put_configurations(api: FakeApi) -> None:
    """As the chart leaves them; the mutating one has a webhook of somebody else, too."""
    service = {"namespace": "operators", "name": "webhook", "path": "/mutate-pod"}
    foreign = {"namespace": "operators", "name": "other"}
    webhooks = [
        {"name": "other.example", "clientConfig": {"service": foreign}},
        {"name": "pods.statefulrollout.dev", "clientConfig": {"service": service}},
    ]
    api.put(CONFIGURATION, {"webhooks": webhooks})
    api.put(EVICTIONS, {"webhooks": [{"name": "evictions.statefulrollout.dev", "clientConfig": {"service": service}}]})


def bundle_in(api: FakeApi) -> bytes:
    return base64.b64decode(api.objects[CONFIGURATION]["webhooks"][1]["clientConfig"]["caBundle"])


def bundle_for_evictions_in(api: FakeApi) -> bytes:
    return base64.b64decode(api.objects[EVICTIONS]["webhooks"][0]["clientConfig"]["caBundle"])


async def served_on(port: int, bundle: bytes) -> int:
    """Shake hands as the API server does, trusting `bundle` only; returns the serial number of what is served."""
    context = ssl.create_default_context(cadata=bundle.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(der).serial_number
