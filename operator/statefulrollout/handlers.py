"""kopf's part: it hears of the StatefulRollouts on the leader, and wakes up whom a change concerns.

It decides nothing and writes nothing (its handler returns None). Our own view of the StatefulRollouts
(`kube/sources.py`) hears as well the deletions that kopf loses when it has to list anew.
"""

from __future__ import annotations

import asyncio
import functools
import random
import threading
from collections.abc import Callable, Iterator

import kopf
from kopf._core.engines.peering import Identity

from statefulrollout.api import names
from statefulrollout.errors import StatefulRolloutError
from statefulrollout.kube.hints import RolloutHint, rollout_hint_of
from statefulrollout.kube.reflector import Key
from statefulrollout.kube.sources import Sources


class Forever:
    """Endless, jittered pauses in seconds: kopf gives up, and ends, where its list of them does."""

    def __iter__(self) -> Iterator[float]:
        pause = 1.0
        while True:
            yield pause * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, 30)


def build_registry(hear: Callable[[Key, RolloutHint, bool], object]) -> kopf.OperatorRegistry:
    """Build kopf's handlers: it logs in, is told to keep its hands off, and passes events on to `hear`."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(settings: kopf.OperatorSettings, **_: object) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(settings=settings) or kopf.login_with_kubeconfig(settings=settings)

    @kopf.on.startup(registry=registry)
    def configure(settings: kopf.OperatorSettings, **_: object) -> None:
        settings.scanning.disabled = True
        settings.posting.enabled = False
        settings.watching.server_timeout = 300
        settings.watching.client_timeout = 330
        # Its timer can end a watch without a trace; the two timeouts above bound a silent stream instead.
        settings.watching.inactivity_timeout = 999_999_999
        settings.watching.chunk_size = 500
        settings.networking.request_timeout = 15
        settings.networking.connect_timeout = 3
        settings.networking.error_backoffs = Forever()

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    def rollout_event(namespace: str | None, name: str | None, body: kopf.Body, type: str, **_: object) -> None:  # noqa: A002 - kopf's own word
        if namespace and name:
            hear((namespace, name), rollout_hint_of(body), type == "DELETED")

    return registry


async def hear_rollouts(sources: Sources) -> None:
    """Run kopf until cancelled, in a thread and loop of its own; `sources` hears of it in the caller's loop.

    In a shared loop kopf would take over the signals and, when it stops, cancel tasks that are not its own.
    """
    loop = asyncio.get_running_loop()
    stop = threading.Event()
    registry = build_registry(lambda *heard: loop.call_soon_threadsafe(sources.hear_of, *heard))
    # Without an identity kopf looks for the user's name, which an arbitrary UID does not have.
    run = functools.partial(
        kopf.run,
        registry=registry,
        identity=Identity(names.FIELD_MANAGER),
        standalone=True,
        clusterwide=not sources.namespaces,
        namespaces=sources.namespaces,
        stop_flag=stop,
    )
    thread = loop.run_in_executor(None, run)
    try:
        await asyncio.shield(thread)
    finally:
        # It has nothing to finish: whoever waits for the loop's executor waits for the thread.
        stop.set()
    raise StatefulRolloutError("kopf ended by itself; its log says why")
