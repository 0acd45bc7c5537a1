"""The client programs, kind and kubectl, in one folder for everyone who works with the cluster.

Those on PATH are taken if they are new enough; others are built from the pinned source.
"""

import functools
import json
import os
import re
import shutil
from pathlib import Path

from e2e.cluster import cache, components, golang
from e2e.cluster.commands import call
from e2e.cluster.errors import ClusterToolError

# The node images are made for the kind release that is pinned; kubectl works with servers one minor away.
OLDEST_KIND = (0, 33)
OLDEST_KUBECTL = (1, 34)


def folder() -> Path:
    """The folder that holds `kind` and `kubectl`, to put first on PATH."""
    path = cache.folder() / "bin"
    path.mkdir(exist_ok=True)
    return path


@functools.cache
def ensure_kind() -> Path:
    """The path of a `kind` that knows the node images of this tool."""
    found = shutil.which("kind", path=_path_without_own())
    if found is not None and version_of(call([found, "version"])) >= OLDEST_KIND:
        return _link("kind", Path(found))
    return _link("kind", golang.ensure_programs(components.KIND) / "kind")


@functools.cache
def ensure_kubectl() -> Path:
    """The path of a `kubectl` for the Kubernetes version that the cluster runs."""
    if golang.is_built(components.kubernetes()):
        return _link("kubectl", golang.ensure_programs(components.kubernetes()) / "kubectl")
    found = shutil.which("kubectl", path=_path_without_own())
    if found is not None:
        client = json.loads(call([found, "version", "--client", "--output", "json"]))["clientVersion"]
        if version_of(client["gitVersion"]) >= OLDEST_KUBECTL:
            return _link("kubectl", Path(found))
    return _link("kubectl", golang.ensure_programs(components.kubectl()) / "kubectl")


def version_of(answer: str) -> tuple[int, int]:
    """The major and minor number of the first version, such as v1.2.3, in what a program answers."""
    found = re.search(r"\bv(\d+)\.(\d+)", answer)
    if found is None:
        raise ClusterToolError(f"there is no version in {answer!r}")
    return int(found[1]), int(found[2])


def _path_without_own() -> str:
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(name for name in folders if name and Path(name).resolve() != folder().resolve())


def _link(name: str, program: Path) -> Path:
    link = folder() / name
    if not link.exists() or not link.samefile(program):
        fresh = folder() / f".{name}-{os.getpid()}"
        if cache.folder() in program.parents:
            # A hard link outlives the result it was made from, when that is replaced by a newer one.
            fresh.hardlink_to(program)
        else:
            fresh.symlink_to(program)
        fresh.replace(link)
    return link
