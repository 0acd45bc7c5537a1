"""Debian root file systems, made with debootstrap: what an image is based on where none can be pulled.

Each is kept as a tar in the cache and imported as an image when the engine lacks it. Decides the
packages and the finishing touches; what runs on top is decided by `node_image` and `python_base`.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2e.cluster import cache, engine, machine
from e2e.cluster.commands import call, call_logged
from e2e.cluster.errors import ClusterToolError
from e2e.cluster.packages import ensure_programs
from e2e.cluster.progress import step

# Debian 12: systemd 256 and later, as in Debian 13, refuses to run on cgroup v1.
SUITE = "bookworm"
DEBOOTSTRAP_SECONDS = 1200.0
UNNEEDED_FOLDERS = (
    *("usr/share/doc", "usr/share/locale", "usr/share/man"),
    *("var/cache/apt/archives", "var/lib/apt/lists"),
)


@dataclass(frozen=True)
class RootFileSystem:
    """A Debian of some packages, finished by a function that changes its folder."""

    name: str
    packages: tuple[str, ...]
    finish: Callable[[Path], None]
    # What `finish` depends on beside the code, for the key: a text, or the hash of one.
    finished_from: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return cache.key_of(
            SUITE, *UNNEEDED_FOLDERS, *self.packages, self.finished_from, *(f"{k}={v}" for k, v in self.env.items())
        )

    @property
    def image(self) -> str:
        """The name of the image, which no registry can offer: its tag says what it was built from."""
        return f"localhost/statefulrollout/{self.name}:{self.key}"


def ensure_image(system: RootFileSystem) -> str:
    """Return the name of the image of `system`, built or imported if the engine lacks it."""
    if engine.image_id(system.image) is None:
        archive = _ensure_archive(system)
        with step(f"importing the Debian of the {system.name} image"):
            changes = [word for name, value in system.env.items() for word in ("--change", f"ENV {name}={value}")]
            engine.docker("import", *changes, archive, system.image, timeout_seconds=300)
        engine.drop_other_tags(system.image)
    return system.image


def mirror_of(index_targets: str) -> str | None:
    """The Debian mirror that apt uses for the suite, in the output of `apt-get indextargets`."""
    for line in index_targets.splitlines():
        uri, _, codename = line.rpartition(" ")
        if codename == SUITE:
            return uri
    return None


def _ensure_archive(system: RootFileSystem) -> Path:
    kept = cache.folder() / "rootfs" / f"{system.name}-{system.key}"
    archive = kept / "rootfs.tar"
    if archive.exists():
        return archive
    if not machine.is_root():
        raise ClusterToolError(
            f"no registry is in reach, so the {system.name} image has to be built with debootstrap, "
            "which only root can run: run this as root, or where Docker can pull images"
        )
    ensure_programs(["debootstrap"], purpose=f"building the {system.name} image")
    cache.require_free_space(4)
    with step(f"building a Debian {SUITE} for the {system.name} image"), cache.made_whole(kept) as folder:
        tree = folder / "tree"
        _debootstrap(system, tree)
        for unneeded in UNNEEDED_FOLDERS:
            shutil.rmtree(tree / unneeded)
            (tree / unneeded).mkdir()
        system.finish(tree)
        call(["tar", "--numeric-owner", "-C", tree, "-cf", folder / "rootfs.tar", "."], timeout_seconds=300)
        shutil.rmtree(tree)
    cache.drop_others(kept)
    return archive


def _debootstrap(system: RootFileSystem, tree: Path) -> None:
    program = machine.find_program("debootstrap")
    assert program is not None, "ensure_programs installs it"
    try:
        targets = call(["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"])
        mirror = mirror_of(targets)
    except ClusterToolError:
        mirror = None
    included = "--include=" + ",".join(system.packages)
    call_logged(
        [program, "--variant=minbase", included, SUITE, tree, *([mirror] if mirror else [])],
        log=cache.folder() / "logs" / f"debootstrap-{system.name}.log",
        timeout_seconds=DEBOOTSTRAP_SECONDS,
    )
