"""`kubectl` and `helm` as a user runs them: for what users do (apply, scale, delete), not for watching."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

Json = dict[str, Any]

COMMAND_SECONDS = 120.0
HELM = Path(sys.executable).with_name("helm")


class CommandFailedError(AssertionError):
    """A command that should have worked did not; the message has what it said."""


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Kubectl:
    """The client programs, pointed at one cluster."""

    kubeconfig: Path
    program: Path

    @classmethod
    def located(cls) -> Self:
        """For the cluster that `make cluster` made, or that the user named. Raises subprocess.CalledProcessError."""

        def ask(command: str) -> Path:
            argv = [sys.executable, "-m", "e2e.cluster", command]
            return Path(subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())

        return cls(ask("kubeconfig"), ask("path") / "kubectl")

    def try_run(self, *args: str, stdin: str | None = None, seconds: float = COMMAND_SECONDS) -> Answer:
        """Run kubectl and return how it ended. Raises subprocess.TimeoutExpired."""
        return self._start([str(self.program), *args], stdin, seconds)

    def run(self, *args: str, stdin: str | None = None, seconds: float = COMMAND_SECONDS) -> str:
        """Run kubectl and return its output. Raises CommandFailedError."""
        return _output_of(f"kubectl {' '.join(args)}", self.try_run(*args, stdin=stdin, seconds=seconds))

    def apply(self, *manifests: Json) -> None:
        """Apply objects, as from files."""
        self.run("apply", "-f", "-", stdin=list_of(manifests))

    def helm(self, *args: str) -> str:
        """Run helm and return its output. Raises CommandFailedError."""
        return _output_of(f"helm {' '.join(args)}", self._start([str(HELM), *args], None, COMMAND_SECONDS))

    def _start(self, argv: list[str], stdin: str | None, seconds: float) -> Answer:
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        ended = subprocess.run(argv, input=stdin, env=env, capture_output=True, text=True, timeout=seconds, check=False)
        return Answer(ended.returncode, ended.stdout, ended.stderr)


def list_of(manifests: Iterable[Json]) -> str:
    """Objects as one document for `kubectl -f -`."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})


def _output_of(command: str, answer: Answer) -> str:
    if answer.code != 0:
        raise CommandFailedError(f"`{command}` ended with {answer.code}:\n{answer.err or answer.out}")
    return answer.out
