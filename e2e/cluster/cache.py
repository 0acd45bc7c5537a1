"""Where costly results are kept between runs, and under which key.

One folder per user. What is built appears in it by rename, so a name that exists is complete;
the key of a result is a hash of everything it is built from, so a stale one is never used.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster.errors import ClusterToolError
from e2e.cluster.progress import say, wait_until

KEY_LENGTH = 12
LOCK_WAIT_SECONDS = 2700.0


def folder() -> Path:
    """The cache folder of this user, made if it is not there."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = base / "statefulrollout"
    path.mkdir(parents=True, exist_ok=True)
    return path


def key_of(*parts: str | Path) -> str:
    """A short hash of texts, and of folders with every file in them (name and content)."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for file in sorted(path for path in part.rglob("*") if path.is_file()):
                digest.update(file.relative_to(part).as_posix().encode() + b"\0")
                digest.update(hashlib.sha256(file.read_bytes()).digest())
        else:
            digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:KEY_LENGTH]


@contextmanager
def made_whole(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` if the block succeeds and vanishes if it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def locked() -> Iterator[None]:
    """Let one run at a time change the engine, the cache and the clusters; others wait their turn.

    Programs that a run starts share its lock: what outlives a killed run (a build, a cluster being
    made) still excludes the next one. Raises ClusterToolError naming the holder after 45 minutes.
    """
    path = folder() / "lock"
    with path.open("a+") as handle:
        os.set_inheritable(handle.fileno(), True)

        def acquire() -> bool:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        def holder() -> str:
            return path.read_text().strip() or "a process that is just starting"

        if not acquire():
            say(f"  waiting for another run of this tool, or a program that it started ({holder()}) …")
            wait_until("the other run to end", acquire, deadline_seconds=LOCK_WAIT_SECONDS, explain=holder)
        handle.truncate(0)
        handle.write(f"process {os.getpid()}")
        handle.flush()
        yield


def drop_others(kept: Path) -> None:
    """Delete the older results of the same name (`NAME-KEY`) beside the one that is current."""
    name = kept.name.rpartition("-")[0]
    for older in kept.parent.glob(f"{name}-*"):
        if older != kept and len(older.name) == len(kept.name):
            if older.is_dir():
                shutil.rmtree(older)
            else:
                older.unlink()


def require_free_space(gibibytes: int) -> None:
    """Raise ClusterToolError when the disk under the cache has less room than a build needs."""
    free = shutil.disk_usage(folder()).free / 2**30
    if free < gibibytes:
        raise ClusterToolError(
            f"building the node image needs {gibibytes} GiB of disk, {folder()} has {free:.1f} GiB left: "
            "free some space, or set XDG_CACHE_HOME to a larger disk"
        )
