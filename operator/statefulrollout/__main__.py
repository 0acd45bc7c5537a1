"""The operator's process: every part is made and joined here, and here is the order in which they start and stop.

    every replica   health server, webhook server and its certificates, the view of StatefulRollouts, the election
    the leader      views of StatefulSets and pods, kopf, the sweep, the hooks, and the workers that reconcile

On SIGTERM: the work ends, the hooks are closed, the Lease is released, and only then do the servers stop. A Lease
that is *lost* ends the process on the spot (`kube/leader.py`). A part that ends by itself takes the process with it:
a restart is the cure that is always tested.
"""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import ssl
import sys
import uuid
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from statefulrollout import health
from statefulrollout.errors import InvalidSettings, KubeError
from statefulrollout.handlers import Sources, hear_rollouts
from statefulrollout.hooks.http import open_session
from statefulrollout.hooks.runner import HookRunner
from statefulrollout.kube import webhook
from statefulrollout.kube.certificates import Certificates
from statefulrollout.kube.client import Kube
from statefulrollout.kube.events import Events
from statefulrollout.kube.leader import Leader, LeaseTimes
from statefulrollout.kube.queue import WorkQueue
from statefulrollout.kube.reflector import Key
from statefulrollout.logs import configure_logging
from statefulrollout.reconcile import Reconciler
from statefulrollout.settings import Settings, load_settings

log = structlog.stdlib.get_logger("statefulrollout")

_FAILED_SWEEP_SECONDS = 5.0


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
        sources = Sources(kube, queue.wake_up)
        leader = build_leader(kube, settings)
        certificates = Certificates(
            kube,
            namespace=settings.namespace,
            service=settings.webhook_service,
            secret=settings.webhook_secret,
            configuration=settings.webhook_configuration,
        )

        def missing() -> list[str]:
            parts = {"the webhook's certificate": certificates.loaded, "StatefulRollouts": sources.rollouts.synced}
            if leader.is_leader:
                parts |= {"StatefulSets": sources.stateful_sets.synced, "pods": sources.pods.synced}
            return [name for name, event in parts.items() if not event.is_set()]

        await listen(stack, health.build_application(missing), settings.health_port)
        admission = webhook.build_application(sources.is_targeted, leader.lease_is_fresh)
        await listen(stack, admission, settings.webhook_port, certificates.context)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(until_told_to_stop())
                group.create_task(certificates.run())
                group.create_task(sources.rollouts.run())
                group.create_task(hold_office(kube, settings, leader, sources, queue))
        except* _ToldToStop:
            log.info("stopping")


async def hold_office(kube: Kube, settings: Settings, leader: Leader, sources: Sources, queue: WorkQueue[Key]) -> None:
    """Wait for the Lease, lead until cancelled, and hand over once nothing moves any more."""
    await leader.acquire()
    renewal = asyncio.create_task(leader.renew_forever())
    try:
        await lead(kube, settings, leader, sources, queue)
    finally:
        renewal.cancel()
        await asyncio.gather(renewal, return_exceptions=True)
        await leader.release()


async def lead(kube: Kube, settings: Settings, leader: Leader, sources: Sources, queue: WorkQueue[Key]) -> None:
    """Everything that only the leader does; leaves no hook and no worker behind."""
    async with AsyncExitStack() as stack:
        hooks = HookRunner(await stack.enter_async_context(open_session()), queue.wake_up)
        stack.push_async_callback(hooks.aclose)
        reconciler = Reconciler(kube, hooks, Events(kube, settings.pod_name), leader.check)
        async with asyncio.TaskGroup() as group:
            group.create_task(sources.stateful_sets.run())
            group.create_task(sources.pods.run())
            for view in (sources.rollouts, sources.stateful_sets, sources.pods):
                await view.synced.wait()
            tune_garbage_collection()
            group.create_task(hear_rollouts(queue.wake_up))
            group.create_task(sweep_forever(reconciler, queue, settings.sweep_seconds))
            group.create_task(queue.run(reconciler.reconcile, workers=settings.workers))


async def sweep_forever(reconciler: Reconciler, queue: WorkQueue[Key], every: float) -> None:
    """Look at everything there is, at once and then every so many seconds, whatever was heard or missed."""
    within = 0.0
    while True:
        try:
            queue.add_all(await reconciler.sweep(), within=within)
            within, wait = every / 2, every * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret
        except KubeError as error:
            wait = min(every, _FAILED_SWEEP_SECONDS)
            log.warning("the sweep did not succeed", error=str(error), again_seconds=wait)
        await asyncio.sleep(wait)


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


def build_leader(kube: Kube, settings: Settings) -> Leader:
    """Build the candidate; the identity is new with every start of the process."""
    times = LeaseTimes(
        settings.lease_duration_seconds, settings.lease_renew_deadline_seconds, settings.lease_retry_seconds
    )
    identity = f"{settings.pod_name}_{uuid.uuid4().hex[:8]}"
    return Leader(kube, settings.namespace, settings.lease_name, identity, times=times)


def tune_garbage_collection() -> None:
    """Keep the collector off what lives for ever: parsing big lists otherwise costs three times as much."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


if __name__ == "__main__":
    main()
