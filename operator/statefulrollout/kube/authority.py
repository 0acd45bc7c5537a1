"""The operator's own authority as the source of the webhook's certificates: replicas agree on a Secret that is ours.

The chart creates the Secret empty; whichever replica finds something due renews it by compare-and-swap. What is due is
decided in `kube/pki.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from statefulrollout.errors import Conflict
from statefulrollout.kube import paths
from statefulrollout.kube.client import Kube
from statefulrollout.kube.pki import Credentials, Material, decide_material

log = structlog.stdlib.get_logger(__name__)

_TRIES_TO_AGREE = 5


class OwnAuthority:
    """A CA and a leaf for `host`, made and renewed here."""

    def __init__(
        self,
        kube: Kube,
        *,
        namespace: str,
        secret: str,
        host: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ):
        self._kube = kube
        self._secret = paths.secrets(namespace, secret)
        self._host = host
        self._clock = clock

    async def obtain(self) -> Credentials:
        """The Secret's content, renewed where it is due; of replicas that renew, one wins. Raises `KubeError`."""
        for tries_left in reversed(range(_TRIES_TO_AGREE)):
            secret = await self._kube.call("GET", self._secret)
            data = secret.get("data") or {}
            stored = Material.of(data)
            wanted = decide_material(stored, self._host, self._clock())
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
        return wanted.credentials()
