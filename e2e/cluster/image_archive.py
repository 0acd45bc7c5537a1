"""Writes container images as one archive in the format of `docker save`, without an engine.

The images of the control plane never appear in the engine of the person who runs this: they would
carry the names of somebody else's images. Files keep no owner, time or mode of the machine.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """An image: its names, the tar files of its layers, bottom first, and what it runs."""

    names: tuple[str, ...]
    layers: tuple[Path, ...]
    entrypoint: tuple[str, ...] = ()


def write_tar(destination: Path, programs: Mapping[str, Path], texts: Mapping[str, str] | None = None) -> Path:
    """Write a tar of executables and of text files, each by its absolute path in the image."""
    with tarfile.open(destination, "w") as tar:
        for target, source in programs.items():
            entry = _entry(target, source.stat().st_size, 0o755)
            with source.open("rb") as content:
                tar.addfile(entry, content)
        for target, text in (texts or {}).items():
            data = text.encode()
            tar.addfile(_entry(target, len(data), 0o644), io.BytesIO(data))
    return destination


def write_archive(destination: Path, images: Sequence[Image]) -> Path:
    """Write `images` as one archive that `ctr images import` and `docker load` take."""
    manifest: list[dict[str, object]] = []
    with tarfile.open(destination, "w") as tar:
        written: set[str] = set()
        for image in images:
            digests = [_digest_of(layer) for layer in image.layers]
            for digest, layer in zip(digests, image.layers, strict=True):
                if digest not in written:
                    written.add(digest)
                    with layer.open("rb") as content:
                        tar.addfile(_entry(f"{digest}.tar", layer.stat().st_size, 0o644), content)
            config = json.dumps(build_image_config(digests, image.entrypoint), sort_keys=True).encode()
            config_name = f"{hashlib.sha256(config).hexdigest()}.json"
            if config_name not in written:
                written.add(config_name)
                tar.addfile(_entry(config_name, len(config), 0o644), io.BytesIO(config))
            layers = [f"{digest}.tar" for digest in digests]
            manifest.append({"Config": config_name, "RepoTags": list(image.names), "Layers": layers})
        index = json.dumps(manifest).encode()
        tar.addfile(_entry("manifest.json", len(index), 0o644), io.BytesIO(index))
    return destination


def build_image_config(digests: Sequence[str], entrypoint: Sequence[str]) -> dict[str, object]:
    """The configuration of an image whose layers have these SHA-256 digests."""
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Env": [f"PATH={PATH}"], "Entrypoint": list(entrypoint) or None},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created_by": "python -m e2e.cluster"} for _ in digests],
    }


def _entry(target: str, size: int, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(target.lstrip("/"))
    entry.size = size
    entry.mode = mode
    return entry


def _digest_of(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
