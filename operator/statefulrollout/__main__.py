"""The operator's process: every part is made and joined here, and here is the order in which they start and stop.

    every replica   health server, webhook server and its certificates, the view of StatefulRollouts, the election
    the leader      views of StatefulSets and pods, kopf, the sweep, the hooks, and the workers that reconcile

What the leader does is in `office.py`. On SIGTERM the servers are the last to stop. A Lease that is *lost* ends the
process on the spot (`kube/leader.py`). A part that ends by itself takes the process with it: a restart is the cure that
is always tested.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
import uuid
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from statefulrollout import health
from statefulrollout.errors import InvalidSettings, KubeError
from statefulrollout.kube import webhook
from statefulrollout.kube.authority import OwnAuthority
from statefulrollout.kube.certificates import Certificates, Source
from statefulrollout.kube.client import Kube
from statefulrollout.kube.evictions import Evictions
from statefulrollout.kube.foreign_secret import ForeignSecret
from statefulrollout.kube.leader import Leader, LeaseTimes
from statefulrollout.kube.queue import WorkQueue
from statefulrollout.kube.reflector import Key
from statefulrollout.kube.sources import Sources
from statefulrollout.logs import configure_logging
from statefulrollout.office import Office
from statefulrollout.settings import Settings, load_settings

log = structlog.stdlib.get_logger("statefulrollout")


class _ToldToStop(Exception):  # noqa: N818 - no error: the way out of the task group
    pass


def main() -> None:
    """Run the operator until it is told to stop; exits with 1 where a part failed, 2 where the settings are wrong."""
    try:
        settings = load_settings()
    except InvalidSettings as error:
        sys.stderr.write(f"statefulrollout cannot start: {error}\n")
        sys.exit(2)
    configure_logging(settings.log_format, settings.log_level)
    try:
        asyncio.run(operate(settings))
    except KubeError as error:
        log.critical("cannot start", error=str(error))
        sys.exit(1)
    except Exception:
        log.exception("ended: a part of the operator failed")
        sys.exit(1)


async def operate(settings: Settings) -> None:
    """Do what every replica does, and lead when it is our turn; returns once told to stop."""
    async with AsyncExitStack() as stack:
        kube = await Kube.connect()
        stack.push_async_callback(kube.close)
        queue: WorkQueue[Key] = WorkQueue()
        sources = Sources(kube, queue.wake_up, settings.namespaces)
        leader = build_leader(kube, settings)
        certificates = Certificates(
            kube,
            build_source(kube, settings),
            namespace=settings.namespace,
            service=settings.webhook_service,
            configuration=settings.webhook_configuration,
        )

        def missing() -> list[str]:
            parts = {"the webhook's certificate": certificates.loaded, "StatefulRollouts": sources.rollouts.synced}
            if leader.is_leader:
                parts |= {"StatefulSets": sources.stateful_sets.synced, "pods": sources.pods.synced}
            return [name for name, event in parts.items() if not event.is_set()]

        await listen(stack, health.build_application(missing), settings.health_port)
        admission = webhook.build_application(sources.is_targeted, leader.lease_is_fresh)
        evictions = Evictions(kube, sources.rollouts_of)
        admission.router.add_post(evictions.PATH, evictions.handle)
        await listen(stack, admission, settings.webhook_port, certificates.context)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(until_told_to_stop())
                group.create_task(certificates.run())
                group.create_task(sources.rollouts.run())
                office = Office(kube, leader, sources, queue, settings)
                group.create_task(office.hold())
        except* _ToldToStop:
            log.info("stopping")


async def until_told_to_stop() -> None:
    """Wait for SIGTERM or SIGINT, and end the task group that this runs in."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    raise _ToldToStop


async def listen(
    stack: AsyncExitStack, application: web.Application, port: int, context: ssl.SSLContext | None = None
) -> None:
    """Serve on all addresses until the stack unwinds; open requests are given five seconds then."""
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, port=port, ssl_context=context).start()


def build_source(kube: Kube, settings: Settings) -> Source:
    """Build what the webhook's certificates come from, for the name by which the API server calls the Service."""
    make = OwnAuthority if settings.webhook_certificates_kept_by == "operator" else ForeignSecret
    host = f"{settings.webhook_service}.{settings.namespace}.svc"
    return make(kube, namespace=settings.namespace, secret=settings.webhook_secret, host=host)


def build_leader(kube: Kube, settings: Settings) -> Leader:
    """Build the candidate; the identity is new with every start of the process."""
    times = LeaseTimes(
        settings.lease_duration_seconds, settings.lease_renew_deadline_seconds, settings.lease_retry_seconds
    )
    identity = f"{settings.pod_name}_{uuid.uuid4().hex[:8]}"
    return Leader(kube, settings.namespace, settings.lease_name, identity, times=times)


if __name__ == "__main__":
    main()
