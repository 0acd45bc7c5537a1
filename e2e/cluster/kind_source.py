"""Reads out of kind's own source what a node image must agree with it on.

kind carries the files of its base image and the manifest of its storage class in its Go module.
They are read there, at the pinned version, so that the project keeps no copy of either.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

EXECUTABLE_FOLDERS = ("usr/local/bin", "kind/bin")
BASE_FILES = "images/base/files"
STORAGE_SOURCE = "pkg/build/nodeimage/const_storage.go"
CONTAINERD_CONFIG = "/etc/containerd/config.toml"


@dataclass(frozen=True)
class StorageClass:
    """kind's default storage class: the names of its two images, and the manifest that uses them."""

    provisioner_image: str
    helper_image: str
    manifest: str


def base_files(kind_module: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """The executables and the text files of kind's base image, by absolute path on a node."""
    programs: dict[str, Path] = {}
    texts: dict[str, str] = {}
    base = kind_module / BASE_FILES
    for file in sorted(path for path in base.rglob("*") if path.is_file()):
        relative = file.relative_to(base)
        if relative.parent.as_posix() in EXECUTABLE_FOLDERS:
            programs[f"/{relative}"] = file
        elif relative.parts[0] != "LICENSES":
            texts[f"/{relative}"] = file.read_text()
    texts[CONTAINERD_CONFIG] = with_restricted_oom_score(texts[CONTAINERD_CONFIG])
    return programs, texts


def with_restricted_oom_score(config: str) -> str:
    """containerd's configuration for machines without CAP_SYS_RESOURCE, which lowering a score needs."""
    return _replaced_once(config, "restrict_oom_score_adj = false", "restrict_oom_score_adj = true")


def sandbox_image_of(config: str) -> str:
    """The name of the image that keeps a pod's namespaces, in containerd's configuration."""
    return _found(r'^\s*sandbox(?:_image)? = "([^"]+)"', config, CONTAINERD_CONFIG)


def storage_class_of(source: str) -> StorageClass:
    """The storage class in the text of kind's Go source."""
    constants = {
        name: _found(rf'^const {name} = "([^"]+)"', source, STORAGE_SOURCE)
        for name in ("storageProvisionerImage", "storageHelperImage")
    }
    body = _found(r"^const defaultStorageManifest = `(.*)`", source, STORAGE_SOURCE)
    return StorageClass(
        provisioner_image=constants["storageProvisionerImage"],
        helper_image=constants["storageHelperImage"],
        manifest=_concatenated(body, constants),
    )


def _concatenated(body: str, constants: Mapping[str, str]) -> str:
    return re.sub(r"`\s*\+\s*(\w+)\s*\+\s*`", lambda found: constants[found[1]], body)


def _found(pattern: str, text: str, where: str) -> str:
    found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"{where} of this version of kind has nothing like {pattern}")
    return found[1]


def _replaced_once(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"{CONTAINERD_CONFIG} of this version of kind does not have {old!r} once")
    return text.replace(old, new)
