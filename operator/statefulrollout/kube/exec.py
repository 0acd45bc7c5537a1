"""Runs a command in a container, as `kubectl exec` does: through the API server, over a WebSocket.

The protocol is Kubernetes' `v5.channel.k8s.io`: every message is binary and begins with the number of its channel. It
is the first that can end the standard input of the command, and every API server from 1.30 on speaks it.
"""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from statefulrollout.api.v1alpha1 import Exec
from statefulrollout.core.asks import Address
from statefulrollout.errors import NotFound, Unavailable, api_error_of
from statefulrollout.kube import paths
from statefulrollout.kube.client import Json, Kube

PROTOCOL = "v5.channel.k8s.io"
STDIN, STDOUT, ERROR, CLOSE = 0, 1, 3, 255

NOT_FOUND_EXIT = 127
"""What a shell says of a program that does not exist; the container runtime says it in words."""
_NOT_FOUND = ("executable file not found", "no such file or directory")


async def execute(
    kube: Kube, namespace: str, address: Address, command: Exec, stdin: str, *, most_bytes: int
) -> tuple[int, bytes]:
    """Run a command in the pod of that name and UID, and wait for its end.

    Kubernetes knows pods by their names here, and a StatefulSet re-creates them under the same. So the UID is looked at
    right before: within the moment that is left no other pod can have begun to run.

    Returns:
        The exit code, and the standard output, cut where it is longer than `most_bytes`.

    Raises:
        NotFound: there is no such pod any more, or the container does not run.
        ApiError: the API server or the kubelet refused.
        Unavailable: the connection broke; the command may have run all the same.
    """
    pod = await kube.call("GET", paths.pods(namespace, address.name))
    if pod["metadata"]["uid"] != address.uid or not _runs(pod, command.container):
        raise NotFound(404, {"message": f"container {command.container} of pod {address.uid} does not run"})
    options = {"container": command.container, "stdin": "true", "stdout": "true", "stderr": "true"}
    params = [*options.items(), *(("command", word) for word in command.command)]
    path = paths.pods(namespace, address.name, "exec")
    async with kube.channel(path, params=params, protocol=PROTOCOL) as socket:
        await socket.send_bytes(bytes([STDIN]) + stdin.encode())
        await socket.send_bytes(bytes([CLOSE, STDIN]))
        output = bytearray()
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            if message.data[0] == STDOUT:
                output += message.data[1 : 1 + most_bytes - len(output)]
            elif message.data[0] == ERROR:
                return exit_code_of(json.loads(message.data[1:])), bytes(output)
    raise Unavailable(f"POST {path}: the connection ended before the command")


def exit_code_of(status: Json) -> int:
    """The exit code in the `Status` that ends a command.

    Raises `ApiError` where it has none: the command was not run, or nobody knows how it ended.
    """
    if status.get("status") == "Success":
        return 0
    causes: list[dict[str, Any]] = (status.get("details") or {}).get("causes") or []
    for cause in causes:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    if any(words in status.get("message", "") for words in _NOT_FOUND):
        return NOT_FOUND_EXIT
    raise api_error_of(int(status.get("code") or 500), status, request="exec")


def _runs(pod: Json, container: str) -> bool:
    found = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(entry["name"] == container and "running" in (entry.get("state") or {}) for entry in found)
