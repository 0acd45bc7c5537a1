"""runc, asked only for the capabilities that this machine holds.

Docker's default runtime where root lacks CAP_SYS_RESOURCE (many sandboxes): a privileged container
asks for every capability there is, and runc refuses what it cannot give. This program takes those
out of the request and becomes runc. It is copied beside the engine's configuration and must stay a
single file that needs nothing but the standard library.
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# In the order of the kernel's bits (include/uapi/linux/capability.h).
_NAMES = (
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID "
    "CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW "
    "CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT "
    "CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD "
    "CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG "
    "CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE"
)
CAPABILITIES = tuple(_NAMES.split())


def held_of(bounding_set: int) -> set[str]:
    """The names of the capabilities in a bit mask."""
    return {name for bit, name in enumerate(CAPABILITIES) if bounding_set >> bit & 1}


def request_file_of(arguments: Sequence[str]) -> Path | None:
    """The file in which these runc arguments ask for capabilities, if their command has one."""
    if "create" in arguments or "run" in arguments:
        return Path(_option_of(arguments, "--bundle", "-b") or ".") / "config.json"
    if "exec" in arguments:
        process = _option_of(arguments, "--process", "-p")
        return Path(process) if process else None
    return None


def without_others(request: dict[str, Any], held: set[str]) -> dict[str, Any]:
    """The container configuration, or process, with only the held capabilities asked for."""
    if "process" in request:
        return {**request, "process": without_others(request["process"], held)}
    asked = request.get("capabilities") or {}
    kept = {name: [capability for capability in names if capability in held] for name, names in asked.items()}
    return {**request, "capabilities": kept}


def _option_of(arguments: Sequence[str], *spellings: str) -> str | None:
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = argument.partition("=")
        if name in spellings:
            return value if equals else following
    return None


def main(arguments: Sequence[str]) -> None:
    path = request_file_of(arguments)
    if path is not None:
        status = Path("/proc/self/status").read_text()
        mask = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:"))
        path.write_text(json.dumps(without_others(json.loads(path.read_text()), held_of(int(mask, 16)))))
    runc = shutil.which("runc", path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin") or "/usr/sbin/runc"
    os.execv(runc, ["runc", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
