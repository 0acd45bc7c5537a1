"""The API server through one `kubectl proxy`: cheap requests, watches, and ports of pods.

Whatever authentication the kubeconfig uses is the proxy's affair, and asking often costs no process each time.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TypeVar

from e2e.harness.kubectl import Json, Kubectl

REQUEST_SECONDS = 30.0
CONTENT_TYPES = {"PATCH": "application/merge-patch+json"}
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
BUSY_SECONDS = 30.0
"""How long a read is repeated that the API server puts off, as it does for a resource that was just defined."""

Found = TypeVar("Found")


class ApiRefusedError(AssertionError):
    """The API server, or the pod behind it, answered with an error."""

    def __init__(self, method: str, path: str, status: int, text: str, retry_after: str | None = None) -> None:
        super().__init__(f"{method} {path}: {status} {text[:500]}")
        self.status = status
        self.put_off_seconds = float(retry_after) if status == 429 and retry_after else None
        """When to come back, where the answer was "later"."""


@dataclass(frozen=True)
class Api:
    """Where the proxy listens."""

    port: int

    def get(self, path: str) -> Json:
        """Read a JSON document, later where the API server says so. Raises ApiRefusedError."""
        return _once_it_is_time(lambda: self.send("GET", path))

    def send(self, method: str, path: str, body: object = None, content_type: str | None = None) -> Json:
        """Make one request (a PATCH is a JSON merge patch unless its type says otherwise). Raises ApiRefusedError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_SECONDS)
        try:
            headers = {"Content-Type": content_type or CONTENT_TYPES.get(method, "application/json")}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 400:
            raise ApiRefusedError(method, path, answer.status, text, answer.headers["Retry-After"])
        document: Json = json.loads(text)
        return document

    def open_stream(self, path: str) -> Stream:
        """Begin a request whose answer never ends by itself, later where the API server says so."""
        return _once_it_is_time(lambda: Stream(self.port, path))


def _once_it_is_time(read: Callable[[], Found]) -> Found:
    give_up_at = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return read()
        except ApiRefusedError as error:
            if error.put_off_seconds is None or time.monotonic() + error.put_off_seconds > give_up_at:
                raise
            time.sleep(error.put_off_seconds)


class Stream:
    """The lines of an endless answer. `close` may be called from another thread and ends the iteration."""

    def __init__(self, port: int, path: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._connection.request("GET", path)
        self._answer = self._connection.getresponse()
        if self._answer.status != 200:
            text, retry_after = self._answer.read().decode(), self._answer.headers["Retry-After"]
            self._connection.close()
            raise ApiRefusedError("GET", path, self._answer.status, text, retry_after)

    def __iter__(self) -> Iterator[bytes]:
        try:
            with suppress(OSError, http.client.HTTPException, ValueError):
                yield from self._answer
        finally:
            self._answer.close()
            self._connection.close()

    def close(self) -> None:
        """End the stream."""
        if self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)


def pod_path(namespace: str, pod: str, port: int, path: str) -> str:
    """Where the API server passes a request on to a port of a pod."""
    return f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}"


@contextmanager
def open_api(kubectl: Kubectl, log: IO[str] | None = None) -> Iterator[Api]:
    """Run the proxy for as long as the context lasts; what it says of requests that failed goes to the log."""
    argv = [str(kubectl.program), "--kubeconfig", str(kubectl.kubeconfig), "proxy", "--port=0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ}) as proxy:
        try:
            line = proxy.stdout.readline() if proxy.stdout else ""
            yield Api(int(line.rpartition(":")[2]))
        finally:
            proxy.terminate()
