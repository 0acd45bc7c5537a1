"""Keeps the webhook's TLS alive: what a source gives is published, then served.

The order is what makes a renewal gapless: the CAs go into the `caBundle` of the configurations, and only *then* is the
leaf served that needs them, in new handshakes of the running server. All of it is looked at again every minute: what
others overwrite comes back. Another replica may serve by the CA before for up to a minute; so what is published keeps
that beside the new one, and what was before stands in the configuration itself. One of two sources decides what is
given: the operator's own authority (`kube/authority.py`), or a Secret that others keep (`kube/foreign_secret.py`). What
the webhook answers is in `kube/webhook.py`.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import structlog

from statefulrollout.errors import KubeError, NotFound, UnusableSecret
from statefulrollout.kube import paths
from statefulrollout.kube.client import JSON_PATCH, Json, Kube
from statefulrollout.kube.pki import Credentials, build_bundle_beside
from statefulrollout.kube.tls import LiveContext

log = structlog.stdlib.get_logger(__name__)

CHECK_SECONDS = 60.0
_RETRY_SECONDS = 1.0


class Source(Protocol):
    """Decides what is served, and what callers are told to trust; every replica has one, and all come to the same."""

    async def obtain(self) -> Credentials:
        """What to serve now; raises `KubeError` or `UnusableSecret` where there is nothing that can be served."""


class Certificates:
    """The certificates of one webhook Service.

    Attributes:
        context: the TLS context to serve with; handshakes fail until `loaded`.
        loaded: set once a leaf is served that the API server has been told to trust.
    """

    def __init__(
        self,
        kube: Kube,
        source: Source,
        *,
        namespace: str,
        service: str,
        configuration: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ):
        """`service` is of `namespace`; `configuration` names both webhook configurations."""
        self._live = LiveContext()
        self.context = self._live.context
        self.loaded = asyncio.Event()
        self._kube = kube
        self._source = source
        self._clock = clock
        self._namespace = namespace
        self._service = service
        kinds = (paths.mutatingwebhookconfigurations, paths.validatingwebhookconfigurations)
        self._configurations = [kind(name=configuration) for kind in kinds]
        self._served: Credentials | None = None

    async def run(self) -> None:
        """Look and mend until cancelled."""
        failures = 0
        while True:
            try:
                await self.ensure()
                failures = 0
                wait = CHECK_SECONDS
            except (KubeError, UnusableSecret) as error:
                log.warning("the webhook's certificates are not in order", error=str(error), remedy=_remedy_of(error))
                wait = min(CHECK_SECONDS, _RETRY_SECONDS * 2.0**failures)
                failures = min(failures + 1, 10)
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret

    async def ensure(self) -> None:
        """Look once, and mend what is not as it shall be; what was served before is served on where that fails.

        Raises:
            KubeError: the API server does not let us.
            UnusableSecret: others keep the Secret, and what is in it is not good.
        """
        credentials = await self._source.obtain()
        await self._publish(credentials)
        if credentials != self._served:
            self._live.serve(credentials)
            self._served = credentials
            self.loaded.set()

    async def _publish(self, credentials: Credentials) -> None:
        for path in self._configurations:
            configuration = await self._kube.call("GET", path)
            patch = build_bundle_patch(
                configuration,
                self._namespace,
                self._service,
                lambda published: build_bundle_beside(credentials.bundle, published, self._clock()),
            )
            if patch:
                await self._kube.call("PATCH", path, body=patch, content_type=JSON_PATCH)


def build_bundle_patch(
    configuration: Json, namespace: str, service: str, build_bundle: Callable[[bytes], bytes]
) -> list[Json]:
    """Build the JSON Patch that gives every webhook that calls the Service its bundle; empty where all have it.

    `build_bundle` is told what the webhook has now.
    """
    patch: list[Json] = []
    for index, webhook in enumerate(configuration.get("webhooks") or ()):
        client = webhook["clientConfig"]
        target = client.get("service") or {}
        ours = (target.get("namespace"), target.get("name")) == (namespace, service)
        if not ours:
            continue
        published = base64.b64decode(client.get("caBundle") or "")
        bundle = build_bundle(published)
        if bundle != published:
            patch += [
                {"op": "test", "path": f"/webhooks/{index}/name", "value": webhook["name"]},
                {
                    "op": "add",
                    "path": f"/webhooks/{index}/clientConfig/caBundle",
                    "value": base64.b64encode(bundle).decode(),
                },
            ]
    return patch


def _remedy_of(error: KubeError | UnusableSecret) -> str:
    if isinstance(error, UnusableSecret):
        return error.remedy
    if isinstance(error, NotFound):
        return "the chart creates it; install the chart again, or correct its name in the operator's environment"
    return "tried again until it works; pods are admitted without the readiness gate meanwhile"
