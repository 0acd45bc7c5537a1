"""The Docker engine: used untouched where one answers, installed and started where none does.

An engine that this tool starts has its configuration, log and process number in the cache folder
and keeps running when the tool ends. Knows images by name only; what is in them is for others.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from e2e.cluster import cache, machine, runc_held
from e2e.cluster.commands import SHORT_SECONDS, CommandError, call, succeeds, tail_of
from e2e.cluster.errors import ClusterToolError
from e2e.cluster.packages import ensure_programs
from e2e.cluster.progress import step, wait_until

ANSWER_SECONDS = 10.0
START_SECONDS = 60.0
MANIFEST_SECONDS = 15.0


def docker(*arguments: str | Path, stdin: bytes = b"", timeout_seconds: float = SHORT_SECONDS) -> str:
    """Run the Docker client and return what it prints."""
    return call(["docker", *arguments], stdin=stdin, timeout_seconds=timeout_seconds)


def answers() -> bool:
    """Whether there is a client and an engine behind it: a client alone is no engine."""
    return succeeds(["docker", "version", "--format", "{{.Server.Version}}"], timeout_seconds=ANSWER_SECONDS)


def ensure_engine() -> None:
    """Return once a Docker engine answers.

    Raises ClusterToolError that says what to install or start where this tool may not do it.
    """
    if answers():
        return
    if sys.platform != "linux":
        raise ClusterToolError("no Docker engine answers: install Docker and start it, then run this again")
    ensure_programs(["docker", "dockerd", "iptables"], purpose="running the cluster's nodes")
    if answers():
        return
    if not machine.is_root():
        raise ClusterToolError(
            "no Docker engine answers: start it (`sudo systemctl start docker`), "
            "or add this user to the group docker, then run this again"
        )
    with step("starting the Docker engine"):
        if machine.runs_systemd():
            call(["systemctl", "start", "docker"])
            wait_until("the Docker engine to answer", answers, deadline_seconds=START_SECONDS)
        else:
            _start_dockerd()


def build_engine_config(*, cgroup_v2: bool, runtime: Path | None) -> dict[str, Any]:
    """The dockerd configuration for this machine; `runtime` replaces runc where given.

    On cgroup v1 a node needs a cgroup namespace of its own, which there is not the default.
    """
    config: dict[str, Any] = {} if cgroup_v2 else {"default-cgroupns-mode": "private"}
    if runtime is not None:
        config |= {"runtimes": {"runc-held": {"path": str(runtime)}}, "default-runtime": "runc-held"}
    return config


def stop_own_engine() -> bool:
    """Stop the dockerd that this tool started; False if it started none that still runs."""
    pid = _own_pid()
    if pid is None:
        return False
    with step("stopping the Docker engine"):
        os.kill(pid, signal.SIGTERM)
        wait_until(f"dockerd (process {pid}) to end", lambda: _own_pid() is None, deadline_seconds=START_SECONDS)
    return True


def image_id(name: str) -> str | None:
    """The ID of an image that the engine has, by name."""
    try:
        return docker("image", "inspect", "--format", "{{.Id}}", name)
    except CommandError:
        return None


def drop_other_tags(name: str) -> None:
    """Remove the other tags of the image `name`, but for those that a container uses."""
    repository, _, tag = name.rpartition(":")
    for other in docker("image", "ls", "--format", "{{.Tag}}", repository).split():
        if other != tag:
            succeeds(["docker", "image", "rm", f"{repository}:{other}"])


def why_unpullable(name: str) -> str | None:
    """None if a registry in reach offers the image, else the reason, found within 15 seconds."""
    try:
        docker("manifest", "inspect", name, timeout_seconds=MANIFEST_SECONDS)
    except CommandError as failure:
        lines = failure.output.strip().splitlines()
        return lines[-1] if lines else f"no answer within {MANIFEST_SECONDS:.0f} s"
    return None


def _folder() -> Path:
    path = cache.folder() / "engine"
    path.mkdir(exist_ok=True)
    return path


def _own_pid() -> int | None:
    pid_file = _folder() / "dockerd.pid"
    try:
        pid = int(pid_file.read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    return pid if str(pid_file).encode() in words else None


def _start_dockerd() -> None:
    home = _folder()
    runtime = _write_runtime(home) if machine.lacks_sys_resource(machine.read_own_status()) else None
    config = home / "daemon.json"
    config.write_text(json.dumps(build_engine_config(cgroup_v2=machine.uses_cgroup_v2(), runtime=runtime), indent=2))
    pid_file = home / "dockerd.pid"
    if _own_pid() is None:
        pid_file.unlink(missing_ok=True)
    log = home / "dockerd.log"
    dockerd = machine.find_program("dockerd")
    assert dockerd is not None, "ensure_engine installs it"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [dockerd, "--config-file", config, "--pidfile", pid_file],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )

    def settled() -> bool:
        return process.poll() is not None or answers()

    def end_of_log() -> str:
        return f"{tail_of(log.read_text(errors='replace'))}\n(all of it: {log})"

    wait_until("the Docker engine to answer", settled, deadline_seconds=START_SECONDS, explain=end_of_log)
    if process.poll() is not None:
        raise ClusterToolError(f"dockerd ended with status {process.returncode}:\n{end_of_log()}")


def _write_runtime(home: Path) -> Path:
    """Install the program of `runc_held` for the engine, on the interpreter that a virtualenv links to."""
    program = home / "runc-held"
    interpreter = Path(sys.executable).resolve()
    body = Path(runc_held.__file__).read_text()
    program.write_text(f"#!{interpreter} -IS\n{body}")
    program.chmod(0o755)
    return program
