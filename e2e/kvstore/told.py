"""What a pod was told about itself, on the admin port: stands for what an application knows, a role or its load.

`PUT /told/role` with `{"value": "leader"}`, then `GET /told/role` answers the same. A pod that was told nothing answers
404; one that restarts has forgotten.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web


class Told:
    """The values of one pod."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def routes(self) -> list[web.RouteDef]:
        """Routes for the admin application."""
        return [web.get("/told/{name}", self._tell), web.put("/told/{name}", self._hear)]

    async def _tell(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._values:
            raise web.HTTPNotFound(text=f"nobody told this pod its {name}\n")
        return web.json_response({"value": self._values[name]})

    async def _hear(self, request: web.Request) -> web.Response:
        document = await request.json()
        self._values[request.match_info["name"]] = document["value"]
        return web.json_response(document)
