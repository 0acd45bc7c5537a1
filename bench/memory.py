"""The most memory that the operator's process has had resident, as the kernel keeps it (proc(5), VmHWM)."""

from __future__ import annotations

import re

from bench.cluster import Cluster

_RESET = "open('/proc/1/clear_refs', 'w').write('5')"
_READ = "print(open('/proc/1/status').read())"
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


def reset_peak(cluster: Cluster) -> None:
    """Let the peak count from now on."""
    _run(cluster, _RESET)


def read_peak_mib(cluster: Cluster) -> float:
    """The peak since it was reset, or since the process started if that was later."""
    return peak_mib_in(_run(cluster, _READ))


def peak_mib_in(status: str) -> float:
    """The peak in what the kernel says of a process."""
    found = _PEAK.search(status)
    assert found is not None, f"there is no peak in {status!r}"
    return int(found[1]) / 1024


def _run(cluster: Cluster, program: str) -> str:
    pod = cluster.installation.leader()["metadata"]["name"]
    return cluster.kubectl.run("exec", "-n", cluster.installation.name, pod, "--", "python", "-c", program)
