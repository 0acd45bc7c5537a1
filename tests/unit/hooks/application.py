"""An application with scripted answers on a loopback port, and a listener that hears what the runner reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from statefulrollout.api.v1alpha1 import Http
from statefulrollout.core.asks import Address, Ask, Report, Request
from statefulrollout.hooks.cadence import Cadence
from statefulrollout.hooks.commands import Execute
from statefulrollout.hooks.reach import Reach
from statefulrollout.hooks.runner import HookRunner, Key

KEY: Key = ("shop", "kvstore")

FAST = Cadence(
    progress_first=0.005,
    progress_most=0.02,
    retry_first=0.005,
    retry_most=0.02,
    misconfigured=0.02,
    unsettled=0.005,
    settled=0.005,
    retry_after_least=0.005,
)


@dataclass
class Say:
    """One scripted answer: JSON where `body` is not text; `hangs` until the client has gone."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False


@dataclass
class Heard:
    """A request as the application saw it."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: str


class Application:
    """Answers each path with its script in order, the last answer for ever; records every request."""

    def __init__(self, name: str = "kvstore-0") -> None:
        self.name = name
        self.heard: list[Heard] = []
        self.hanging = 0
        self.most_hanging = 0
        self.news = asyncio.Event()
        self._scripts: dict[str, list[Say]] = {}
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def address(self) -> Address:
        return Address(self.name, "127.0.0.1", self.port)

    def says(self, *script: Say, path: str = "/drain", method: str = "POST") -> None:
        self._scripts[f"{method} {path}"] = list(script)

    async def until(self, condition: Callable[[Application], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition(self):
                self.news.clear()
                await self.news.wait()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.heard.append(Heard(request.method, request.raw_path, request.headers, body))
        self.news.set()
        script = self._scripts.get(f"{request.method} {request.path}")
        if not script:
            raise web.HTTPNotFound
        say = script.pop(0) if len(script) > 1 else script[0]
        if say.hangs:
            await self._hang()
        if say.body is None or isinstance(say.body, str):
            return web.Response(status=say.status, text=say.body or "", headers=say.headers)
        return web.json_response(say.body, status=say.status, headers=say.headers)

    async def _hang(self) -> None:
        self.hanging += 1
        self.most_hanging = max(self.most_hanging, self.hanging)
        try:
            await asyncio.Event().wait()
        finally:
            self.hanging -= 1
            self.news.set()


class Listener:
    """Counts wakes, keeps every report that caused one, and waits for what a test wants to see."""

    def __init__(self) -> None:
        self.runner: HookRunner | None = None
        self.wakes: list[Key] = []
        self.heard: list[Report] = []
        self._news = asyncio.Event()

    def __call__(self, key: Key) -> None:
        self.wakes.append(key)
        assert self.runner is not None
        self.heard.extend(self.runner.reports(key).values())
        self._news.set()

    async def until(self, condition: Callable[[Mapping[str, Report]], bool], key: Key = KEY) -> Mapping[str, Report]:
        assert self.runner is not None
        async with asyncio.timeout(5):
            while not condition(reports := self.runner.reports(key)):
                self._news.clear()
                await self._news.wait()
        return reports


class NoSecrets:
    """A cluster in which no hook may read anything."""

    async def read(self, namespace: str, name: str) -> Mapping[str, bytes]:
        raise AssertionError(f"Secret {namespace}/{name} was read")

    def forget(self, namespace: str, name: str) -> None:
        raise AssertionError(f"Secret {namespace}/{name} was forgotten")


def reach_of(session: aiohttp.ClientSession, execute: Execute | None = None) -> Reach:
    return Reach(session, NoSecrets(), execute)


def request_to(*applications: Application, path: str = "/drain", **changes: Any) -> Request:
    http = Http(port="admin", path=path, **{key: changes.pop(key) for key in ("method", "headers") if key in changes})
    addresses = tuple(application.address for application in applications)
    return Request(http, addresses, **{"timeout_seconds": 5, **changes})


def http_of(request: Request) -> Http:
    assert isinstance(request.what, Http)
    return request.what


def ask_of(request: Request, **changes: Any) -> Ask:
    return Ask(**{"id": "uid/rev/drain", "title": "drain", "request": request, **changes})
