"""What members ask each other, on the admin port: `POST /peer/<verb>` with JSON; the other side is `peers.py`.

Reads the question, hands it to the member, and turns the member's no's into statuses. Decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from e2e.kvstore.member import Member
from e2e.kvstore.peers import AheadError, BehindError, UnavailableError, entries_of
from e2e.kvstore.placement import declaration_of
from e2e.kvstore.terms import Stage

Verb = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
MAX_BODY_BYTES = 16 * 1024 * 1024


class PeerApi:
    """The verbs of one member."""

    def __init__(self, member: Member) -> None:
        self._member = member

    def routes(self) -> list[web.RouteDef]:
        """Routes for the admin application."""
        verbs: dict[str, Verb] = {
            "ping": self._ping,
            "declare": self._declare,
            "progress": self._progress,
            "read": self._read,
            "peek": self._peek,
            "write": self._write,
        }
        return [web.post(f"/peer/{name}", _answering(verb)) for name, verb in verbs.items()]

    async def _ping(self, question: dict[str, Any]) -> dict[str, Any]:
        return {"generation": self._member.generation}

    async def _declare(self, question: dict[str, Any]) -> dict[str, Any]:
        declaration = declaration_of(question)
        self._member.adopt(declaration)
        self._member.term_at(declaration.generation)
        return {}

    async def _progress(self, question: dict[str, Any]) -> dict[str, Any]:
        progress = await self._member.progress(
            question["generation"], Stage(question["stage"]), question["waitSeconds"]
        )
        return {"stage": int(progress.stage), "left": progress.left}

    async def _read(self, question: dict[str, Any]) -> dict[str, Any]:
        return {"entries": await self._member.read(question["generation"], question["keys"])}

    async def _peek(self, question: dict[str, Any]) -> dict[str, Any]:
        return {"entries": self._member.peek(question["generation"], question["keys"])}

    async def _write(self, question: dict[str, Any]) -> dict[str, Any]:
        await self._member.write(question["generation"], entries_of(question["entries"]))
        return {}


def _answering(verb: Verb) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            return web.json_response(await verb(json.loads(await request.read())))
        except AheadError as newer:
            return web.json_response(newer.declaration.as_document(), status=409)
        except BehindError as behind:
            return web.json_response({"generation": behind.generation}, status=412)
        except UnavailableError as error:
            return web.json_response({"error": str(error)}, status=503)

    return answer
