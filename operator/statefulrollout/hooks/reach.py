"""How the application is reached: an HTTP request over one session, or a command in a container."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp

from statefulrollout.api.v1alpha1 import Exec, Http
from statefulrollout.core.asks import Address, Request
from statefulrollout.hooks.commands import Execute, call_exec
from statefulrollout.hooks.http import call_http
from statefulrollout.hooks.replies import Outcome


@dataclass(frozen=True)
class Reach:
    """The two ways; the session stays its opener's to close.

    `execute` is None where no commands shall be run.
    """

    session: aiohttp.ClientSession
    execute: Execute | None = None

    async def call(self, namespace: str, request: Request, address: Address) -> Outcome:
        """Send the request to one of its addresses, a Service or pod of the namespace."""
        match request.what:
            case Http() as http:
                return await call_http(self.session, http, request, address)
            case Exec() as command:
                return await call_exec(self.execute, namespace, command, request, address)
