"""The node image is built from pinned modules, kind's own files and images under the names kubeadm uses."""

import hashlib
import json
import re
import tarfile
from pathlib import Path

import pytest

from e2e.cluster import components, golang, image_archive, kind_source

STORAGE = """
const storageProvisionerImage = "example/provisioner:v1"
const storageHelperImage = "example/helper:v2"

// image we need to preload
var defaultStorageImages = []string{storageProvisionerImage, storageHelperImage}

const defaultStorageManifest = `
image: ` + storageProvisionerImage + `
helper: "` + storageHelperImage + `"
`
"""


@pytest.mark.parametrize("module", [components.KIND, components.kubernetes(), components.containerd()])
def test_every_program_from_elsewhere_is_a_tool_that_go_mod_pins(module: golang.GoModule) -> None:
    go_mod = (module.source / "go.mod").read_text()
    tools = set(re.findall(r"^(?:tool )?\t?([^\s()]+/[^\s()]+)$", go_mod.replace("tool ", "\t"), re.MULTILINE))
    assert {package for package in module.programs.values() if not package.startswith("./")} == tools


def test_the_version_comes_from_go_mod() -> None:
    go_mod = "module x\n\nrequire a.example/b v1.2.3\n\nrequire (\n\tc.example/d v0.4.0 // indirect\n)\n"
    assert golang.version_in(go_mod, "a.example/b") == "v1.2.3"
    assert golang.version_in(go_mod, "c.example/d") == "v0.4.0"
    with pytest.raises(ValueError, match=r"does not require c\.example"):
        golang.version_in(go_mod, "c.example")


def test_kubernetes_is_linked_with_its_version() -> None:
    version = components.kubernetes_version()
    minor = version.split(".")[1]
    flags = components.kubernetes().link_flags
    assert f"-X k8s.io/component-base/version.gitVersion={version}" in flags
    assert f"-X k8s.io/component-base/version.gitMinor={minor}" in flags


@pytest.mark.parametrize(
    ("output", "transient"),
    [
        ("reading go.mod: 503 Service Unavailable", True),
        ("dial tcp: i/o timeout", True),
        ("read: connection reset by peer", True),
        ("missing go.sum entry for module providing package x", False),
        ("reading go.mod: 404 Not Found", False),
    ],
)
def test_only_a_download_that_may_work_later_is_tried_again(output: str, transient: bool) -> None:
    assert golang.is_transient(output) is transient


def test_the_storage_class_is_read_from_the_source_of_kind() -> None:
    storage = kind_source.storage_class_of(STORAGE)
    assert storage.provisioner_image == "example/provisioner:v1"
    assert storage.helper_image == "example/helper:v2"
    assert storage.manifest == '\nimage: example/provisioner:v1\nhelper: "example/helper:v2"\n'


def test_a_kind_that_looks_different_is_refused() -> None:
    with pytest.raises(ValueError, match="storageProvisionerImage"):
        kind_source.storage_class_of("package nodeimage")
    with pytest.raises(ValueError, match="restrict_oom_score_adj"):
        kind_source.with_restricted_oom_score("version = 2")


@pytest.mark.parametrize("config", ['[x]\n  sandbox_image = "pause:3"\n', '[x]\n  sandbox = "pause:3"\n'])
def test_the_sandbox_image_is_found_in_either_spelling(config: str) -> None:
    assert kind_source.sandbox_image_of(config) == "pause:3"


def test_an_archive_holds_each_layer_once_under_its_digest(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"program")
    base = image_archive.write_tar(tmp_path / "base.tar", {}, {"/etc/motd": "hello"})
    layer = image_archive.write_tar(tmp_path / "layer.tar", {"/pause": program})
    images = [
        image_archive.Image(names=("a:1", "a:2"), layers=(base, layer), entrypoint=("/pause",)),
        image_archive.Image(names=("b:1",), layers=(base,)),
    ]
    with tarfile.open(image_archive.write_archive(tmp_path / "all.tar", images)) as archive:
        names = archive.getnames()
        content = {name: _read(archive, name) for name in names}
    manifest = json.loads(content["manifest.json"])
    config = json.loads(content[manifest[0]["Config"]])
    assert len(names) == len(set(names)) == 5
    assert [entry["RepoTags"] for entry in manifest] == [["a:1", "a:2"], ["b:1"]]
    assert manifest[1]["Layers"] == manifest[0]["Layers"][:1]
    assert config["config"]["Entrypoint"] == ["/pause"]
    digests = [f"sha256:{hashlib.sha256(content[name]).hexdigest()}" for name in manifest[0]["Layers"]]
    assert config["rootfs"]["diff_ids"] == digests


def test_programs_are_executable_and_texts_are_not(tmp_path: Path) -> None:
    program = tmp_path / "kubelet"
    program.touch(mode=0o600)
    tar = image_archive.write_tar(tmp_path / "node.tar", {"/usr/bin/kubelet": program}, {"/kind/version": "v1"})
    with tarfile.open(tar) as opened:
        modes = {entry.name: entry.mode for entry in opened}
    assert modes == {"usr/bin/kubelet": 0o755, "kind/version": 0o644}


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream is not None
    return stream.read()
