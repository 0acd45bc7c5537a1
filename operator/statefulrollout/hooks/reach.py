"""How the application is reached: an HTTP request over one session, or a command in a container."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp

from statefulrollout.api.v1alpha1 import Exec, Http
from statefulrollout.core.asks import Address, Request
from statefulrollout.hooks.commands import Execute, call_exec
from statefulrollout.hooks.credentials import NO_CREDENTIALS, Secrets, credentials_of
from statefulrollout.hooks.http import call_http
from statefulrollout.hooks.replies import NoReply, Outcome, Reply

UNAUTHORIZED = 401


@dataclass(frozen=True)
class Reach:
    """The two ways; the session stays its opener's to close.

    `secrets` reads what protects requests. `execute` is None where no commands shall be run.
    """

    session: aiohttp.ClientSession
    secrets: Secrets
    execute: Execute | None = None

    async def call(self, namespace: str, request: Request, address: Address) -> Outcome:
        """Send the request to one of its addresses, a Service or pod of the namespace."""
        match request.what:
            case Http() as http:
                return await self._call_http(namespace, http, request, address)
            case Exec() as command:
                return await call_exec(self.execute, namespace, command, request, address)

    async def _call_http(self, namespace: str, http: Http, request: Request, address: Address) -> Outcome:
        credentials = NO_CREDENTIALS
        if http.tls is not None or http.auth_from is not None:
            found = await credentials_of(http, namespace, self.secrets)
            if isinstance(found, NoReply):
                return found
            credentials = found
        reply = await call_http(self.session, http, request, address, credentials)
        if http.tls is not None and isinstance(reply, NoReply):
            self.secrets.forget(namespace, http.tls.ca_from.name)
        if http.auth_from is not None and isinstance(reply, Reply) and reply.status == UNAUTHORIZED:
            self.secrets.forget(namespace, http.auth_from.name)
        return reply
