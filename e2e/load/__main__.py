"""`python -m e2e.load --host kvstore`: preload, then run client and watcher until `POST /finish`, then sweep.

Stays to be asked for its figures until SIGTERM. The endpoints are in `run.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from aiohttp import web

from e2e.load.run import Control, Load, Settings

CONTROL_PORT = 8090


def settings_of(argv: list[str]) -> tuple[Settings, int]:
    """Read the command line; also the port to be asked on."""
    parser = argparse.ArgumentParser(prog="python -m e2e.load", description="A client that never stops, and a watcher.")
    parser.add_argument("--host", required=True, help="the store's Service")
    parser.add_argument("--port", type=int, default=8080, help="the Service's port (%(default)s)")
    parser.add_argument("--keys", type=int, default=50_000, help="keys to write first (%(default)s)")
    parser.add_argument("--rate", type=float, default=300.0, help="requests per second (%(default)s)")
    parser.add_argument("--watch-rate", type=float, default=2000.0, help="keys watched per second (%(default)s)")
    parser.add_argument("--connections", type=int, default=16, help="keep-alive connections (%(default)s)")
    parser.add_argument("--timeout-seconds", type=float, default=10.0, help="per request (%(default)s)")
    parser.add_argument("--control-port", type=int, default=CONTROL_PORT, help="to be asked on (%(default)s)")
    values = vars(parser.parse_args(argv))
    control_port = values.pop("control_port")
    return Settings(**values), control_port


async def serve(settings: Settings, control_port: int) -> None:
    """Run the load and answer for it until SIGTERM or SIGINT. A load that breaks ends the process."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    load = Load(settings)
    runner = web.AppRunner(Control(load).application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, port=control_port).start()
    running = asyncio.create_task(load.run())
    running.add_done_callback(lambda task: stop.set() if not task.cancelled() and task.exception() else None)
    await stop.wait()
    running.cancel()
    await asyncio.wait([running])
    await runner.cleanup()
    if not running.cancelled():
        running.result()


if __name__ == "__main__":
    asyncio.run(serve(*settings_of(sys.argv[1:])))
