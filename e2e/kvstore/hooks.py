"""How this application takes part in a StatefulRollout: the whole of it.

The operator sends the same request until the answer is final: 200 is done, 202 is "in progress, ask again". So a
hook starts what it was asked for, or finds it already under way, waits a moment, and says how far it has come.
Every request must be safe to repeat, to another member too: operators and members die in the middle.

* `POST /drain` lets this pod's clients go; `DELETE /drain` takes it back; `GET /drain` says what is left.
* `POST /members`, to any one member: "consist of exactly serving + joining". What this store makes of the other
  roles: `leaving` hand over their keys; `away` and `unknown` count as gone, since memory does not come back.
* `POST /migrate`: nothing to do pod by pod, because keys move with the membership.
* `POST /restore`: nothing to warm up; that it answers is the answer.
"""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from e2e.kvstore.coordinator import Coordinator
from e2e.kvstore.draining import Draining
from e2e.kvstore.placement import BadDocumentError, declaration_of

WAIT_SECONDS = 1.0
"""How long a hook waits before it answers 202: saves the operator from asking often, and stays far below its
timeout of 5 seconds."""


class Hooks:
    """The endpoints. Without a coordinator (members that never change) there is no membership to declare."""

    def __init__(self, draining: Draining, coordinator: Coordinator | None, *, durable: bool) -> None:
        self._draining = draining
        self._coordinator = coordinator
        self._durable = durable

    def routes(self) -> list[web.RouteDef]:
        """Routes for the admin application."""
        return [
            web.post("/drain", self._drain),
            web.get("/drain", self._drain_status),
            web.delete("/drain", self._undo_drain),
            web.post("/members", self._declare_members),
            web.post("/migrate", self._nothing_to_do),
            web.post("/restore", self._nothing_to_do),
        ]

    def application(self) -> web.Application:
        """The endpoints alone."""
        application = web.Application()
        application.add_routes(self.routes())
        return application

    async def _drain(self, request: web.Request) -> web.Response:
        self._draining.begin()
        if await self._draining.wait(WAIT_SECONDS):
            return web.json_response(self._clients())
        return web.json_response(self._clients(), status=202)

    async def _drain_status(self, request: web.Request) -> web.Response:
        return web.json_response(self._clients())

    async def _undo_drain(self, request: web.Request) -> web.Response:
        self._draining.undo()
        return web.json_response(self._clients())

    def _clients(self) -> dict[str, int]:
        clients = self._draining.connections
        return {"progress": clients, "inFlight": self._draining.in_flight, "connections": clients}

    async def _declare_members(self, request: web.Request) -> web.Response:
        if self._coordinator is None:
            raise web.HTTPNotFound(text="members are static here (MEMBERSHIP=static): remove the membership hook\n")
        try:
            declaration = declaration_of(json.loads(await request.read())["members"])
        except (BadDocumentError, KeyError, TypeError, ValueError) as error:
            raise web.HTTPBadRequest(text=f"not a membership document: {error}\n") from error
        if not declaration.owners and self._durable:
            return web.json_response({"generation": declaration.generation})
        if not declaration.owners:
            # In memory only, keys that nobody is left to take are lost: not for us to say that this is fine.
            return web.json_response({"error": "no member would be left to take the keys"}, status=423)
        if declaration.generation < self._coordinator.generation:
            return web.json_response({"generation": self._coordinator.generation}, status=409)

        change = self._coordinator.begin(declaration)
        await asyncio.wait([change.task], timeout=WAIT_SECONDS)
        if change.done:
            return web.json_response({"generation": declaration.generation})
        if self._coordinator.generation > declaration.generation:
            return web.json_response({"generation": self._coordinator.generation}, status=409)
        progress = {"progress": change.keys_left, "waitingFor": sorted(change.waiting_for)}
        return web.json_response(progress, status=202, headers={"Retry-After": "0"})

    async def _nothing_to_do(self, request: web.Request) -> web.Response:
        return web.json_response({})
