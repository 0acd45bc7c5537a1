"""Making the hooks of one pod misbehave on purpose, so that tests see what the operator makes of it.

`POST /faults` with `{"drain": {"mode": "hang", "seconds": 20}}` replaces all faults; `{}` clears them. The name is
the hook's path. A fault lasts `seconds` from the first request that meets it (no `seconds`: until cleared), then
the real hook answers. Kept apart from `hooks.py`, which knows nothing of it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

STALLED_PROGRESS = 7


class Mode(StrEnum):
    """What a faulty hook does instead of its work."""

    ACCEPT = "accept-202"
    UNAVAILABLE = "unavailable-503"
    HANG = "hang"
    ERROR = "error-500"
    MISSING = "missing-404"
    STALL = "stall"
    """202 with a progress that never changes."""


@dataclass
class Fault:
    """One hook's misbehaviour; `until` is event loop time, set when the first request meets it."""

    mode: Mode
    seconds: float | None = None
    until: float | None = None


class Faults:
    """The faults of one pod."""

    def __init__(self, initial: dict[str, Fault] | None = None) -> None:
        self._faults = initial or {}

    def routes(self) -> list[web.RouteDef]:
        """Routes for the admin application."""
        return [web.post("/faults", self._replace)]

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer in the hook's place while it has a fault. Taking back is never faulty: DELETE gets through."""
        fault = self._faults.get(request.path.strip("/"))
        if fault is None or request.method != "POST" or not _is_on(fault):
            return await handler(request)
        match fault.mode:
            case Mode.HANG:
                await asyncio.sleep(_seconds_left(fault))
                return await handler(request)
            case Mode.ACCEPT:
                return web.json_response({}, status=202)
            case Mode.STALL:
                return web.json_response({"progress": STALLED_PROGRESS}, status=202)
            case Mode.UNAVAILABLE:
                return web.json_response({"error": "a fault was asked for"}, status=503)
            case Mode.ERROR:
                return web.json_response({"error": "a fault was asked for"}, status=500)
            case Mode.MISSING:
                return web.json_response({"error": "a fault was asked for"}, status=404)

    async def _replace(self, request: web.Request) -> web.Response:
        try:
            self._faults = faults_of(json.loads(await request.read()))
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        return web.json_response({})


def faults_of(document: Any) -> dict[str, Fault]:
    """Read faults as `POST /faults` and the environment variable FAULTS give them. Raises ValueError."""
    try:
        return {
            hook: Fault(Mode(fault["mode"]), float(fault["seconds"]) if "seconds" in fault else None)
            for hook, fault in document.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        modes = ", ".join(Mode)
        raise ValueError(f"faults are {{hook: {{mode, seconds}}}} with mode one of {modes}: {error}") from error


def _is_on(fault: Fault) -> bool:
    return _seconds_left(fault) > 0


def _seconds_left(fault: Fault) -> float:
    if fault.seconds is None:
        return float("inf")
    now = asyncio.get_running_loop().time()
    if fault.until is None:
        fault.until = now + fault.seconds
    return fault.until - now
