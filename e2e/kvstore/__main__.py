"""`python -m e2e.kvstore`: one pod of the store, configured by its environment alone.

POD_NAME (required) · CLIENT_PORT, ADMIN_PORT (8080, 8081) · MEMBERSHIP: `declared` by the operator (default), or
`static`: REPLICAS pods of a StatefulSet behind the headless Service SERVICE · DATA_DIR: keep keys on this volume
too · TLS_DIR (tls.crt, tls.key): its hooks are on port 8443 below /secure as well, for LOGIN (user:password) ·
VERSION: shown in /state, to tell two templates apart. To break a revision on purpose: CRASH=1 exits at once,
CRASH_AFTER after so many seconds, READY_DELAY is not ready for so many seconds, FAULTS as in `faults.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from e2e.kvstore.faults import faults_of
from e2e.kvstore.placement import Declaration, Peer
from e2e.kvstore.server import DECLARED_PATIENCE_SECONDS, STATIC_PATIENCE_SECONDS, Settings, serve_until


def settings_of(env: Mapping[str, str]) -> Settings:
    """Read the settings. Raises ValueError with the variable's name and what it must be."""
    name = env.get("POD_NAME", "")
    if not name:
        raise ValueError("POD_NAME must be set to the pod's name (fieldRef: metadata.name)")
    membership = env.get("MEMBERSHIP", "declared")
    if membership not in {"declared", "static"}:
        raise ValueError("MEMBERSHIP must be declared or static")
    static = membership == "static"
    return Settings(
        name=name,
        client_port=int(env.get("CLIENT_PORT", "8080")),
        admin_port=int(env.get("ADMIN_PORT", "8081")),
        static_members=static_members_of(name, env) if static else None,
        patience_seconds=STATIC_PATIENCE_SECONDS if static else DECLARED_PATIENCE_SECONDS,
        data_dir=Path(env["DATA_DIR"]) if env.get("DATA_DIR") else None,
        tls_dir=Path(env["TLS_DIR"]) if env.get("TLS_DIR") else None,
        login=env.get("LOGIN", ""),
        ready_delay_seconds=float(env.get("READY_DELAY", "0")),
        version=env.get("VERSION", ""),
        faults=faults_of(json.loads(env.get("FAULTS", "{}"))),
    )


def static_members_of(name: str, env: Mapping[str, str]) -> Declaration:
    """Ordinals 0 to REPLICAS-1 of the pod's StatefulSet, by the names that the headless Service gives them."""
    service, replicas = env.get("SERVICE", ""), env.get("REPLICAS", "")
    statefulset, _, ordinal = name.rpartition("-")
    if not service or not replicas.isdecimal() or not ordinal.isdecimal():
        raise ValueError("MEMBERSHIP=static needs SERVICE, REPLICAS (a number) and a POD_NAME that ends in an ordinal")
    pods = (f"{statefulset}-{index}" for index in range(int(replicas)))
    return Declaration(generation=1, owners=tuple(Peer(pod, f"{pod}.{service}") for pod in pods))


async def serve(settings: Settings, crash_after_seconds: float | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if crash_after_seconds is not None:
        loop.call_later(crash_after_seconds, os._exit, 1)
    await serve_until(stop, settings)


def main() -> int:
    """Run the pod; the exit code is 2 for settings that cannot be read."""
    if os.environ.get("CRASH"):
        print("CRASH is set: exiting at once", file=sys.stderr)
        return 1
    try:
        settings = settings_of(os.environ)
        crash_after = os.environ.get("CRASH_AFTER")
        crash_after_seconds = float(crash_after) if crash_after else None
    except ValueError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 2
    asyncio.run(serve(settings, crash_after_seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
