"""Facts about the machine that decide how the Docker engine and the nodes must be set up.

Reads /proc and /sys only. Pure functions take the text of a file; the others read it.
"""

import os
import shutil
from pathlib import Path

# Bit numbers are the kernel's (include/uapi/linux/capability.h).
CAP_SYS_RESOURCE = 24


def bounding_set_of(status: str) -> int:
    """The capability bounding set in the text of a /proc/PID/status file, as a bit mask."""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapBnd":
            return int(value, 16)
    raise ValueError("a /proc/PID/status without a CapBnd line")


def lacks_sys_resource(status: str) -> bool:
    """Whether a privileged container, which asks for every capability, cannot be started here."""
    return not bounding_set_of(status) >> CAP_SYS_RESOURCE & 1


def read_own_status() -> str:
    """The text of /proc/self/status."""
    return Path("/proc/self/status").read_text()


def uses_cgroup_v2() -> bool:
    """Whether the unified cgroup hierarchy is mounted where Kubernetes looks for it."""
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def runs_systemd() -> bool:
    """Whether systemd is the init process (sd_booted(3) asks the same question)."""
    return Path("/run/systemd/system").is_dir()


def is_root() -> bool:
    return os.geteuid() == 0


def find_program(name: str) -> str | None:
    """The path of a program on PATH or in the administrator's folders, which a user's PATH may lack."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")
