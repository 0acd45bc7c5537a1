"""Commands in containers: the far end of `kubectl exec`, which runs them by the name of the pod.

The application's command line is `ctl METHOD PATH`, with the document on its standard input: it asks the process beside
it and turns the answer into output and exit code.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

import aiohttp

from statefulrollout.kube.exec import ERROR, STDIN, STDOUT
from tests.simulation.world.application import Application, Silence
from tests.simulation.world.kubelet import Kubelet
from tests.simulation.world.objects import Json

if TYPE_CHECKING:
    from tests.simulation.world.network import Link

EXIT_CODES = {200: 0, 204: 0, 202: 75, 409: 75, 404: 127}


@dataclass(frozen=True)
class Message:
    """One message of a WebSocket."""

    data: bytes
    type: aiohttp.WSMsgType = aiohttp.WSMsgType.BINARY


class Commands:
    """Runs commands in the containers of the application."""

    def __init__(self, kubelet: Kubelet, application: Application) -> None:
        self._kubelet = kubelet
        self._application = application

    def run(self, pod: str, words: Sequence[str], stdin: str) -> tuple[int, Json] | Silence:
        """Exit code and output of a command, in the pod that has this name now."""
        _, method, path = words
        found = [sandbox for sandbox in self._kubelet.sandboxes.values() if sandbox.name == pod]
        if not found:
            return Silence.REFUSE
        reply = self._application.answer(found[-1].ip, method, path, stdin)
        if isinstance(reply, Silence):
            return reply
        status, document = reply
        return EXIT_CODES.get(status, 1), document


class CommandSocket:
    """The WebSocket of one command: its input comes in, and then its output and how it ended."""

    def __init__(self, commands: Commands, link: Link, pod: str, words: Sequence[str], seconds: float) -> None:
        self._commands = commands
        self._link = link
        self._pod = pod
        self._words = words
        self._seconds = seconds
        self._stdin = b""

    async def __aenter__(self) -> CommandSocket:
        await asyncio.sleep(self._seconds)
        await self._link.passable()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def send_bytes(self, data: bytes) -> None:
        """Take a message of the client's: input of the command, or the end of its input."""
        if data[0] == STDIN:
            self._stdin += data[1:]

    async def __aiter__(self) -> AsyncIterator[Message]:
        await asyncio.sleep(self._seconds)
        await self._link.passable()
        end = self._commands.run(self._pod, self._words, self._stdin.decode())
        if end is Silence.HANG:
            await asyncio.get_running_loop().create_future()
        elif not isinstance(end, Silence):
            code, document = end
            yield Message(bytes([STDOUT]) + json.dumps(document).encode())
            yield Message(bytes([ERROR]) + json.dumps(_status_of(code)).encode())


def _status_of(code: int) -> Json:
    if code == 0:
        return {"status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
