"""Keeps the webhook's TLS alive without anybody's help: the Secret, the webhook configuration, the served chain.

The order is what makes a renewal gapless: the replicas agree on the Secret by compare-and-swap, then its CAs go into
the `caBundle` of the configuration, and only *then* is the leaf served that needs them. A new leaf is loaded into the
live TLS context, for new handshakes. All of it is looked at again every minute: what others overwrite comes back.
What is in the Secret is decided in `kube/pki.py`; what the webhook answers, in `kube/webhook.py`.
"""

from __future__ import annotations

import asyncio
import base64
import random
import ssl
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from statefulrollout.errors import Conflict, KubeError, NotFound
from statefulrollout.kube import paths
from statefulrollout.kube.client import JSON_PATCH, Json, Kube
from statefulrollout.kube.pki import Material, decide_material

log = structlog.stdlib.get_logger(__name__)

CHECK_SECONDS = 60.0
_RETRY_SECONDS = 1.0
_TRIES_TO_AGREE = 5


class Certificates:
    """The certificates of one webhook Service.

    Attributes:
        context: the TLS context to serve with; handshakes fail until `loaded`.
        loaded: set once a leaf is served that the API server has been told to trust.
    """

    def __init__(
        self,
        kube: Kube,
        *,
        namespace: str,
        service: str,
        secret: str,
        configuration: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ):
        """`secret` is of `namespace`, as is `service`; `configuration` names both webhook configurations."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.loaded = asyncio.Event()
        self._kube = kube
        self._namespace = namespace
        self._service = service
        self._secret = paths.secrets(namespace, secret)
        kinds = (paths.mutatingwebhookconfigurations, paths.validatingwebhookconfigurations)
        self._configurations = [kind(name=configuration) for kind in kinds]
        self._clock = clock
        self._served: Material | None = None

    async def run(self) -> None:
        """Look and mend until cancelled."""
        failures = 0
        while True:
            try:
                await self.ensure()
                failures = 0
                wait = CHECK_SECONDS
            except KubeError as error:
                log.warning("the webhook's certificates are not in order", error=str(error), remedy=_remedy_of(error))
                wait = min(CHECK_SECONDS, _RETRY_SECONDS * 2.0**failures)
                failures = min(failures + 1, 10)
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret

    async def ensure(self) -> None:
        """Look once, and mend what is not as it shall be; raises `KubeError` where the API server does not let us."""
        material = await self._agree()
        await self._publish(material.bundle)
        self._serve(material)

    async def _agree(self) -> Material:
        """The Secret's content, renewed where it is due; of several replicas that renew, one wins."""
        for tries_left in reversed(range(_TRIES_TO_AGREE)):
            secret = await self._kube.call("GET", self._secret)
            data = secret.get("data") or {}
            stored = Material.of(data)
            wanted = decide_material(stored, f"{self._service}.{self._namespace}.svc", self._clock())
            if wanted == stored:
                break
            secret["data"] = {**data, **wanted.data()}
            try:
                await self._kube.call("PUT", self._secret, body=secret)
            except Conflict:
                if not tries_left:
                    raise
            else:
                log.info("made new certificates for the webhook", secret=self._secret)
                break
        return wanted

    async def _publish(self, bundle: bytes) -> None:
        for path in self._configurations:
            configuration = await self._kube.call("GET", path)
            patch = build_bundle_patch(configuration, self._namespace, self._service, bundle)
            if patch:
                await self._kube.call("PATCH", path, body=patch, content_type=JSON_PATCH)

    def _serve(self, material: Material) -> None:
        if material == self._served:
            return
        # OpenSSL reads chains from files only; they live for the moment of reading, in a directory of our own.
        with tempfile.TemporaryDirectory() as directory:
            chain, key = Path(directory, "tls.crt"), Path(directory, "tls.key")
            chain.write_bytes(material.leaf)
            key.write_bytes(material.leaf_key)
            self.context.load_cert_chain(chain, key)
        self._served = material
        self.loaded.set()


def build_bundle_patch(configuration: Json, namespace: str, service: str, bundle: bytes) -> list[Json]:
    """Build the JSON Patch that gives `bundle` to every webhook that calls the Service; empty where all have it."""
    value = base64.b64encode(bundle).decode()
    patch: list[Json] = []
    for index, webhook in enumerate(configuration.get("webhooks") or ()):
        client = webhook["clientConfig"]
        target = client.get("service") or {}
        ours = (target.get("namespace"), target.get("name")) == (namespace, service)
        if ours and client.get("caBundle") != value:
            patch += [
                {"op": "test", "path": f"/webhooks/{index}/name", "value": webhook["name"]},
                {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": value},
            ]
    return patch


def _remedy_of(error: KubeError) -> str:
    if isinstance(error, NotFound):
        return "the chart creates it; install the chart again, or correct its name in the operator's environment"
    return "tried again until it works; pods are admitted without the readiness gate meanwhile"
