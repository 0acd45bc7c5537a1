"""Commands in containers, over the WebSocket that `kubectl exec` uses as well."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from statefulrollout.api.v1alpha1 import Exec
from statefulrollout.core.asks import Address
from statefulrollout.errors import ApiError, NotFound, Unavailable
from statefulrollout.kube import paths
from statefulrollout.kube.client import Kube
from statefulrollout.kube.exec import CLOSE, ERROR, PROTOCOL, STDIN, STDOUT, execute, exit_code_of
from tests.unit.kube.fake_api import FakeApi, Json, status_of

POD = paths.pods("shop", "db-0")
EXEC = paths.pods("shop", "db-0", "exec")
HERE = Address("db-0", "10.0.0.1", 0, "uid-0")
COMMAND = Exec(container="store", command=["ctl", "drain", "--all"])
STDERR = 2
SUCCESS: Json = {"status": "Success"}


def ended_with(code: int) -> Json:
    """The `Status` of a command that failed, as the kubelet makes it."""
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}


class Container:
    """The far end of one command: remembers what it read, prints, and ends with a `Status`, or just breaks off."""

    def __init__(self, *printed: tuple[int, bytes], status: Json | None) -> None:
        self.printed = printed
        self.status = status
        self.read = b""
        self.words: list[tuple[str, str]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.words = list(request.query.items())
        socket = web.WebSocketResponse(protocols=(PROTOCOL,))
        await socket.prepare(request)
        async for message in socket:
            assert message.type is aiohttp.WSMsgType.BINARY
            if message.data == bytes([CLOSE, STDIN]):
                break
            assert message.data[0] == STDIN
            self.read += message.data[1:]
        for channel, data in self.printed:
            await socket.send_bytes(bytes([channel]) + data)
        if self.status is not None:
            await socket.send_bytes(bytes([ERROR]) + json.dumps(self.status).encode())
        await socket.close()
        return socket


@pytest.fixture
def pod(api: FakeApi) -> Json:
    running = {"containerStatuses": [{"name": "store", "state": {"running": {}}}, {"name": "log", "state": {}}]}
    return api.put(POD, {"metadata": {"uid": "uid-0"}, "status": running})


async def run(kube: Kube, command: Exec = COMMAND, *, most_bytes: int = 100, **address: Any) -> tuple[int, bytes]:
    here = Address(**{"name": HERE.name, "uid": HERE.uid, **address})
    return await execute(kube, "shop", here, command, "input", most_bytes=most_bytes)


@pytest.mark.usefixtures("pod")
async def test_a_command_gets_its_input_and_gives_output_and_code(api: FakeApi, kube: Kube) -> None:
    container = Container((STDOUT, b"out"), (STDERR, b"noise"), (STDOUT, b"put"), status=ended_with(75))
    api.script("GET", EXEC, container)
    assert await run(kube) == (75, b"output")
    assert container.read == b"input"
    assert [word for name, word in container.words if name == "command"] == ["ctl", "drain", "--all"]
    assert dict(container.words)["container"] == "store"


@pytest.mark.usefixtures("pod")
async def test_success_is_zero_and_long_output_is_cut(api: FakeApi, kube: Kube) -> None:
    api.script("GET", EXEC, Container((STDOUT, b"x" * 70), (STDOUT, b"y" * 70), status=SUCCESS))
    assert await run(kube, most_bytes=80) == (0, b"x" * 70 + b"y" * 10)


@pytest.mark.usefixtures("pod")
@pytest.mark.parametrize(
    ("uid", "container"), [("uid-of-an-earlier-one", "store"), ("uid-0", "log"), ("uid-0", "nowhere")]
)
async def test_nothing_runs_in_another_pod_or_a_container_that_does_not_run(
    api: FakeApi, kube: Kube, uid: str, container: str
) -> None:
    with pytest.raises(NotFound):
        await run(kube, Exec(container=container, command=["x"]), uid=uid)
    assert api.seen("GET", EXEC) == []


async def test_a_pod_that_is_gone_is_not_found(kube: Kube) -> None:
    with pytest.raises(NotFound):
        await run(kube)


@pytest.mark.usefixtures("pod")
async def test_a_connection_that_breaks_is_no_answer(api: FakeApi, kube: Kube) -> None:
    api.script("GET", EXEC, Container((STDOUT, b"half"), status=None))
    with pytest.raises(Unavailable, match="ended before the command"):
        await run(kube)


@pytest.mark.usefixtures("pod")
async def test_a_refusal_has_its_status(api: FakeApi, kube: Kube) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        del request
        return status_of(403, "Forbidden")

    api.script("GET", EXEC, refuse)
    with pytest.raises(ApiError) as caught:
        await run(kube)
    assert caught.value.status == 403


def test_a_program_that_does_not_exist_is_what_a_shell_says_of_it() -> None:
    words = 'OCI runtime exec failed: exec: "ctl": executable file not found in $PATH: unknown'
    assert exit_code_of({"status": "Failure", "reason": "InternalError", "message": words, "code": 500}) == 127


def test_an_end_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(ApiError, match="container is in the wrong state"):
        exit_code_of({"status": "Failure", "message": "container is in the wrong state", "code": 500})
