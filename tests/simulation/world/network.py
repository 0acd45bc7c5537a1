"""The way between a client and the simulated API server: HTTP, latency, and all that can happen to a request.

The operator's own client runs on it, with nothing replaced but its HTTP session. Every call takes a little simulated
time, in which everybody else may act. Scripts look at requests before and after they take effect; what they raise is
what the client meets: a refusal, a broken connection, silence, or an effect that comes late.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, cast

import aiohttp

from statefulrollout.errors import ApiError
from statefulrollout.kube.client import Kube
from tests.simulation.world.apiserver import OPERATOR, ApiServer
from tests.simulation.world.commands import Commands, CommandSocket
from tests.simulation.world.objects import Json
from tests.simulation.world.rest import Request, answer_of, request_of
from tests.simulation.world.streams import WatchStream
from tests.simulation.world.timeline import Timeline

HOST = "https://api.simulated"
WATCH_SECONDS = 0.005
CACHE_SECONDS = 0.0025


class Silent(Exception):
    """No answer comes. Raised by a script before the request takes effect, or after."""


@dataclass
class Late(Exception):
    """No answer comes, and the request takes effect so many seconds later, whatever has become of its sender."""

    seconds: float


Script = Callable[[Request], None]
"""Looks at a request; raises what its sender shall meet (ApiError, aiohttp.ClientError, Silent, Late), or kills it."""


@dataclass
class Link:
    """One client's connection.

    Attributes:
        who: whom the API server takes it for.
        leads: whether its process believes at this moment that it leads.
        dead: its process is gone: no call returns any more.
        watch_seconds: how late watch events arrive.
        cache_seconds: how far the cache lags of the API server at its end.
        repeats: every watch event arrives twice.
    """

    who: str
    leads: Callable[[], bool] = lambda: True
    dead: bool = False
    watch_seconds: float = WATCH_SECONDS
    cache_seconds: float = CACHE_SECONDS
    repeats: bool = False
    held: list[Callable[[], None]] = field(default_factory=list)
    _running: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._running.set()

    @property
    def frozen(self) -> bool:
        """Whether its process is stopped (SIGSTOP): nothing goes out or comes in."""
        return not self._running.is_set()

    def freeze(self) -> None:
        """Stop the process: what it was about to send is sent when it is thawed."""
        self._running.clear()

    def thaw(self) -> None:
        """Let the process run on."""
        self._running.set()
        while self.held:
            self.held.pop(0)()

    def hurry(self) -> None:
        """Let watch events and what caches hold arrive as quickly as usual."""
        self.watch_seconds, self.cache_seconds = WATCH_SECONDS, CACHE_SECONDS

    async def passable(self) -> None:
        """Return once the process runs; never, where it is dead."""
        await self._running.wait()
        if self.dead:
            raise asyncio.CancelledError


class Network:
    """Attributes:
    seconds: simulated time that a call takes.
    before: scripts that run before a request of the operator takes effect.
    after: scripts that run after it took effect, before the answer arrives.
    seen: every request of the operator, in order.
    forgotten: watches from this version or an earlier one must start over with a list.
    commands: what runs commands in containers.
    """

    commands: Commands

    def __init__(self, server: ApiServer, timeline: Timeline) -> None:
        self.server = server
        self.timeline = timeline
        self.seconds = 0.004
        self.before: list[Script] = []
        self.after: list[Script] = []
        self.seen: list[Request] = []
        self.forgotten = 0
        self.streams: set[WatchStream] = set()
        self._encoded: dict[tuple[str, str], str] = {}

    def connect(self, link: Link) -> Kube:
        """The operator's client over a link."""
        return Kube(HOST, cast("aiohttp.ClientSession", ClusterSession(self, link)))

    def forget(self) -> None:
        """Break every watch and forget what was: all must list anew, and hear of no deletion before that."""
        self.forgotten = int(self.server.version)
        self.break_streams()

    def break_streams(self) -> None:
        """Break every watch; it may go on where it was."""
        for stream in list(self.streams):
            stream.close()

    def deliver(self, request: Request) -> Json:
        """Let a request take effect, and return the answer; raises what its sender meets instead of it."""
        request.before = self.server.find(request.plural, request.namespace, request.name)
        self._run(self.before, request)
        return self.land(request)

    def land(self, request: Request) -> Json:
        """The same for a request that nothing can happen to any more before it takes effect."""
        try:
            answer = answer_of(self.server, request, self.timeline.now)
            request.status = 200
        except ApiError as error:
            request.status = error.status
            raise
        finally:
            if request.who == OPERATOR:
                self.seen.append(request)
            self._run(self.after, request)
        return answer

    def land_later(self, request: Request, seconds: float) -> None:
        """Let a request take effect in so many seconds, when nobody waits for its answer any more."""

        def arrive() -> None:
            try:
                self.land(request)
            except (ApiError, aiohttp.ClientError, Silent):
                return

        self.timeline.after(seconds, f"{request} arrives late", arrive)

    def encode(self, tree: Json) -> str:
        """JSON; of an object of one version it is kept, in each form."""
        if "items" in tree:
            items = ",".join(self.encode(item) for item in tree["items"])
            return f'{{"kind":"List","metadata":{json.dumps(tree["metadata"])},"items":[{items}]}}'
        version = (tree.get("metadata") or {}).get("resourceVersion")
        if version is None:
            return json.dumps(tree)
        form = (tree.get("kind", ""), version)
        if form not in self._encoded:
            self._encoded[form] = json.dumps(tree)
        return self._encoded[form]

    def _run(self, scripts: list[Script], request: Request) -> None:
        for script in list(scripts) if request.who == OPERATOR else ():
            script(request)


class ClusterSession:
    """What the operator's client needs of an `aiohttp.ClientSession`."""

    def __init__(self, network: Network, link: Link) -> None:
        self._network = network
        self._link = link

    def request(
        self, method: str, url: str, *, data: str | None, headers: Mapping[str, str], params: Mapping[str, str] | None,
        **_: Any,
    ) -> _Exchange:  # fmt: skip
        """Send a request."""
        kind = headers.get("Content-Type", "")
        body = None if data is None else json.loads(data)
        request = request_of(method, url.removeprefix(HOST), params or {}, body, kind)
        request.at, request.who = self._network.timeline.now, self._link.who
        request.link, request.led = self._link, self._link.leads()
        request.cache_seconds, request.accept = self._link.cache_seconds, headers.get("Accept", "")
        return _Exchange(self._network, self._link, request)

    def get(self, url: str, *, params: Mapping[str, str], timeout: aiohttp.ClientTimeout, **_: Any) -> WatchStream:
        """Begin a watch."""
        request = request_of("GET", url.removeprefix(HOST), params, None, "")
        return WatchStream(self._network, self._link, request, timeout)

    def ws_connect(self, url: str, *, params: Sequence[tuple[str, str]], **_: Any) -> CommandSocket:
        """Begin a command in a container."""
        pod = url.split("/")[-2]
        words = [value for name, value in params if name == "command"]
        return CommandSocket(self._network.commands, self._link, pod, words, self._network.seconds / 2)


class _Exchange:
    """One request on its way."""

    def __init__(self, network: Network, link: Link, request: Request) -> None:
        self._network = network
        self._link = link
        self._request = request

    async def __aenter__(self) -> _Response:
        if self._link.dead:
            raise asyncio.CancelledError
        await asyncio.sleep(self._network.seconds / 2)
        if self._link.frozen:
            self._link.held.append(lambda: self._network.land_later(self._request, 0.0))
            await _for_ever()
        if self._link.dead:
            raise asyncio.CancelledError
        try:
            answer = self._network.deliver(self._request)
            response = _Response(200, self._network.encode(answer), None)
        except ApiError as error:
            response = _Response(error.status, json.dumps(error.body), error.retry_after)
        except Silent:
            await _for_ever()
        except Late as late:
            self._network.land_later(self._request, late.seconds)
            await _for_ever()
        await asyncio.sleep(self._network.seconds / 2)
        await self._link.passable()
        return response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


class _Response:
    def __init__(self, status: int, text: str, retry_after: float | None) -> None:
        self.status = status
        self.headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
        self._text = text

    async def read(self) -> bytes:
        return self._text.encode()

    async def text(self, errors: str = "strict") -> str:
        del errors
        return self._text
