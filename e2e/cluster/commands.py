"""Runs other programs: never with a standard input to wait on, always with a deadline.

`call` and `call_bytes` are for short commands whose output is the answer; `call_logged` for long ones whose output
only matters when they fail. Knows nothing of what the programs do.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from e2e.cluster.errors import ClusterToolError

TAIL_LINES = 25
SHORT_SECONDS = 60.0


class CommandError(ClusterToolError):
    """A program ended with an error or did not end in time; `output` is what it wrote."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output


def tail_of(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a program's output, indented for a message."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-lines:])


def call_bytes(
    argv: Sequence[str | Path],
    *,
    timeout_seconds: float = SHORT_SECONDS,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> bytes:
    """Run a program and return its standard output.

    Raises CommandError with the end of its standard error.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            timeout=timeout_seconds,
            env=_with(env),
            cwd=cwd,
            check=False,
            close_fds=False,  # the lock of `cache` is the one that is inheritable
        )
    except FileNotFoundError:
        raise ClusterToolError(f"{words[0]} is not installed, or not on PATH") from None
    except subprocess.TimeoutExpired as late:
        written = (late.stderr or b"").decode(errors="replace")
        message = f"`{' '.join(words)}` did not end within {timeout_seconds:.0f} s\n{tail_of(written)}"
        raise CommandError(message.rstrip(), written) from None
    if done.returncode != 0:
        written = (done.stderr or done.stdout).decode(errors="replace")
        message = f"`{' '.join(words)}` ended with status {done.returncode}:\n{tail_of(written)}"
        raise CommandError(message, written)
    return done.stdout


def call(
    argv: Sequence[str | Path],
    *,
    timeout_seconds: float = SHORT_SECONDS,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """As `call_bytes`, for output that is text: decoded and stripped."""
    output = call_bytes(argv, timeout_seconds=timeout_seconds, stdin=stdin, env=env, cwd=cwd)
    return output.decode(errors="replace").strip()


def succeeds(argv: Sequence[str | Path], *, timeout_seconds: float = SHORT_SECONDS) -> bool:
    """Whether a program exists, ends in time and ends well."""
    try:
        call(argv, timeout_seconds=timeout_seconds)
    except ClusterToolError:
        return False
    return True


def call_logged(
    argv: Sequence[str | Path],
    *,
    log: Path,
    timeout_seconds: float,
    stdin: IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a program with all its output in the file `log`.

    Raises CommandError with the end of the log and its path.
    """
    words = [str(word) for word in argv]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        try:
            status: int | None = subprocess.run(
                words,
                stdin=stdin or subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                timeout=timeout_seconds,
                env=_with(env),
                cwd=cwd,
                check=False,
                close_fds=False,
            ).returncode
        except FileNotFoundError:
            raise ClusterToolError(f"{words[0]} is not installed, or not on PATH") from None
        except subprocess.TimeoutExpired:
            status = None
    if status != 0:
        written = log.read_text(errors="replace")
        how = f"did not end within {timeout_seconds:.0f} s" if status is None else f"ended with status {status}"
        raise CommandError(f"`{words[0]} …` {how}; the end of {log}:\n{tail_of(written)}", written)


def _with(env: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if env is None else {**os.environ, **env}
