"""Makes sure that programs of the host are installed: from Debian's archive where that is allowed.

Installs only as root on a system with apt-get; anywhere else it says exactly what to install.
"""

from collections.abc import Iterable
from pathlib import Path

from e2e.cluster import cache, machine
from e2e.cluster.commands import CommandError, call_logged
from e2e.cluster.errors import ClusterToolError
from e2e.cluster.progress import step

PACKAGE_OF_PROGRAM = {
    "debootstrap": "debootstrap",
    "docker": "docker.io",
    "dockerd": "docker.io",
    "iptables": "iptables",
}
INSTALL_SECONDS = 900.0
LOCK_WAIT = "DPkg::Lock::Timeout=120"


def missing_packages_of(programs: Iterable[str]) -> list[str]:
    """The Debian packages, sorted, of those programs that are not installed."""
    return sorted({PACKAGE_OF_PROGRAM[name] for name in programs if machine.find_program(name) is None})


def ensure_programs(programs: Iterable[str], *, purpose: str) -> None:
    """Install what is missing of `programs`.

    Raises ClusterToolError with the list of packages where this user or this system cannot.
    """
    packages = missing_packages_of(programs)
    if not packages:
        return
    named = " ".join(packages)
    if machine.find_program("apt-get") is None:
        raise ClusterToolError(
            f"{purpose} needs what Debian calls {named}: install it with this system's package manager, "
            "then run the command again"
        )
    if not machine.is_root():
        raise ClusterToolError(f"{purpose} needs packages: run `sudo apt-get install {named}`, then this again")
    with step(f"installing {named}"):
        log = cache.folder() / "logs" / "apt-get.log"
        try:
            _apt_get("install", "--no-install-recommends", *packages, log=log)
        except CommandError:
            # Lists that are empty or out of date name versions the archive no longer has.
            _apt_get("update", log=log)
            _apt_get("install", "--no-install-recommends", *packages, log=log)


def _apt_get(*arguments: str, log: Path) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    if not machine.runs_systemd():
        # Without systemd a package's service would be started by its init script, unconfigured:
        # invoke-rc.d starts nothing in single-user mode.
        quiet["RUNLEVEL"] = "1"
    call_logged(
        ["apt-get", "-y", "-q", "-o", "Dpkg::Options::=--force-confold", "-o", LOCK_WAIT, *arguments],
        log=log,
        timeout_seconds=INSTALL_SECONDS,
        env=quiet,
    )
