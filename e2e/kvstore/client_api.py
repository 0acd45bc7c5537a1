"""What clients see, on the client port: one key at a time, or many.

* `PUT /keys/{key}` with the value as body and `X-Version: <n>`: 200 once the owner has stored it.
* `GET /keys/{key}`: 200, the value, and its `X-Version`; 404 where there is no such key.
* `POST /keys` with `{key: [version, value]}`: 200 once all are stored.
* `POST /keys/query` with `[key, …]`: 200 `{key: [version, value]}` of those that exist.

503 means that the store cannot know or do it now; 400 names what is wrong with the request.
"""

from __future__ import annotations

import json

from aiohttp import web

from e2e.kvstore.peers import UnavailableError, entries_of
from e2e.kvstore.routing import Router
from e2e.kvstore.store import Entry

VERSION_HEADER = "X-Version"


class ClientApi:
    """The routes of the client port."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def routes(self) -> list[web.RouteDef]:
        """Routes for the client application."""
        return [
            web.put("/keys/{key}", self._put),
            web.get("/keys/{key}", self._get),
            web.post("/keys", self._put_many),
            web.post("/keys/query", self._get_many),
        ]

    async def _put(self, request: web.Request) -> web.Response:
        version = request.headers.get(VERSION_HEADER, "")
        if not version.isdecimal():
            raise web.HTTPBadRequest(text=f"{VERSION_HEADER} must be a whole number that grows with every write\n")
        try:
            value = (await request.read()).decode()
        except UnicodeDecodeError:
            raise web.HTTPBadRequest(text="the value must be UTF-8 text\n") from None
        try:
            await self._router.write({request.match_info["key"]: Entry(int(version), value)})
        except UnavailableError as error:
            return _unavailable(error)
        return web.Response(headers={VERSION_HEADER: version})

    async def _get(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        try:
            entry = (await self._router.read([key])).get(key)
        except UnavailableError as error:
            return _unavailable(error)
        if entry is None:
            return web.Response(status=404, text="no such key\n")
        return web.Response(text=entry.value, headers={VERSION_HEADER: str(entry.version)})

    async def _put_many(self, request: web.Request) -> web.Response:
        try:
            entries = entries_of(json.loads(await request.read()))
        except (ValueError, TypeError, AttributeError):
            raise web.HTTPBadRequest(text="the body must be JSON: {key: [version, value]}\n") from None
        try:
            await self._router.write(entries)
        except UnavailableError as error:
            return _unavailable(error)
        return web.Response()

    async def _get_many(self, request: web.Request) -> web.Response:
        try:
            keys = [str(key) for key in json.loads(await request.read())]
        except (ValueError, TypeError):
            raise web.HTTPBadRequest(text="the body must be a JSON list of keys\n") from None
        try:
            return web.json_response(await self._router.read(keys))
        except UnavailableError as error:
            return _unavailable(error)


def _unavailable(error: UnavailableError) -> web.Response:
    return web.Response(status=503, text=f"{error}\n", headers={"Retry-After": "1"})
