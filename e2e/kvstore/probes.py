"""What the kubelet and curious people ask, on the admin port: `/healthz`, `/readyz`, `/state`. Changes nothing.

A pod that has not been told its members is ready all the same: the operator declares them only to pods whose
containers are ready, and its readiness gate keeps the pod out of the Service until then.
"""

from __future__ import annotations

import time

from aiohttp import web

from e2e.kvstore.draining import Draining
from e2e.kvstore.member import Member


class Probes:
    """The endpoints; `ready_delay_seconds` counts from here."""

    def __init__(self, member: Member, draining: Draining, ready_delay_seconds: float, version: str) -> None:
        self._member = member
        self._draining = draining
        self._ready_from = time.monotonic() + ready_delay_seconds
        self._version = version

    def routes(self) -> list[web.RouteDef]:
        """Routes for the admin application."""
        return [
            web.get("/healthz", self._healthz),
            web.get("/readyz", self._readyz),
            web.get("/state", self._state),
        ]

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        left = self._ready_from - time.monotonic()
        if left > 0:
            return web.Response(status=503, text=f"ready in {left:.1f} s\n")
        return web.Response(text="ok\n")

    async def _state(self, request: web.Request) -> web.Response:
        member = self._member
        told = member.generation > 0
        return web.json_response(
            {
                "name": member.name,
                "version": self._version,
                "keys": len(member.store),
                "keysLeft": member.keys_left(),
                "generation": member.generation,
                "stage": member.term.stage.name.title() if told else "Undeclared",
                "members": [peer.name for peer in member.term.declaration.owners] if told else [],
                "draining": self._draining.active,
                "inFlight": self._draining.in_flight,
                "connections": self._draining.connections,
            }
        )
