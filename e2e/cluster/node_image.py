"""Builds the image of a kind node from source, where the stock one cannot be pulled.

A Debian with systemd, our builds of Kubernetes and containerd, kind's own files, and in containerd's
store every image that a cluster starts: nothing is ever pulled. What goes into it is decided in
`components` and `kind_source`; this module puts it together.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster import cache, components, engine, golang, kind_source, rootfs
from e2e.cluster.commands import call, call_bytes, call_logged
from e2e.cluster.errors import ClusterToolError
from e2e.cluster.image_archive import Image, write_archive, write_tar
from e2e.cluster.kind_source import StorageClass
from e2e.cluster.progress import step

IMAGE_NAME = "localhost/statefulrollout/node"
DEBIAN = rootfs.RootFileSystem(
    name="node-rootfs",
    packages=(
        *("bash", "ca-certificates", "conntrack", "curl", "e2fsprogs", "ethtool", "iproute2", "iptables", "jq"),
        *("kmod", "libseccomp2", "mount", "nftables", "pigz", "procps", "runc", "systemd", "systemd-sysv"),
        "util-linux",
    ),
    finish=lambda tree: None,
)
SCRIPTS = golang.SOURCES / "image"
# The code that decides what is in the image: a change of it makes another image.
RECIPE = ("components.py", "image_archive.py", "kind_source.py", "node_image.py")
COMMIT_SECONDS = 300.0


def image_name() -> str:
    """The name of the node image; its tag is a hash of all that it is built from."""
    recipe = [(Path(__file__).parent / name).read_text() for name in RECIPE]
    key = cache.key_of(golang.SOURCES, DEBIAN.key, *recipe)
    return f"{IMAGE_NAME}:{components.kubernetes_version()}-{key}"


def ensure_node_image() -> str:
    """Return the name of the node image, built if the engine lacks it.

    About ten minutes on two cores the first time, half a minute from what the cache keeps.
    """
    name = image_name()
    if engine.image_id(name) is not None:
        return name
    cache.require_free_space(12)
    # First what only some machines can do: nobody should compile for minutes to learn of it.
    debian = rootfs.ensure_image(DEBIAN)
    kubernetes = golang.ensure_programs(components.kubernetes())
    containerd = golang.ensure_programs(components.containerd())
    kind_module = golang.module_folder(components.KIND, components.KIND_MODULE)
    storage = kind_source.storage_class_of((kind_module / kind_source.STORAGE_SOURCE).read_text())
    with tempfile.TemporaryDirectory(dir=cache.folder()) as folder, _build_container(debian) as container:
        scratch = Path(folder)
        with step("assembling the node image: programs"):
            tree = _write_node_tree(scratch / "node.tar", kubernetes, containerd, kind_module, storage)
            _extract(container, tree)
            _run_script(container, "prepare.sh")
        with step("assembling the node image: container images"):
            tools = scratch / "tools.tar"
            _run_script(container, "programs.sh", output=tools)
            archive = _write_images(scratch, kubernetes, kind_module, storage, tools)
            _run_script(container, "import.sh", stdin=archive)
        with step("assembling the node image: saving it"):
            changes = ('ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]', "CMD []", "ENV container=docker")
            options = [word for change in changes for word in ("--change", change)]
            engine.docker("commit", *options, container, name, timeout_seconds=COMMIT_SECONDS)
    engine.drop_other_tags(name)
    return name


@contextmanager
def _build_container(image: str) -> Iterator[str]:
    """A privileged container to install into, gone when the block ends."""
    # The image keeps the signal: it is the one at which systemd shuts down.
    options = ["--detach", "--privileged", "--stop-signal", "SIGRTMIN+3", "--entrypoint", "sleep"]
    container = engine.docker("run", *options, image, "infinity")
    try:
        yield container
    finally:
        engine.docker("rm", "--force", "--volumes", container)


def _extract(container: str, tree: Path) -> None:
    with tree.open("rb") as stdin:
        log = cache.folder() / "logs" / "node-image-copy.log"
        call_logged(["docker", "cp", "-", f"{container}:/"], log=log, timeout_seconds=300, stdin=stdin)


def _run_script(container: str, script: str, *, stdin: Path | None = None, output: Path | None = None) -> None:
    """Run a script of `node/image` in the container; what it prints becomes the file `output`, or a log."""
    text = (SCRIPTS / script).read_text()
    command = ["docker", "exec", "--interactive", container, "sh", "-c", text]
    if output is not None:
        output.write_bytes(call_bytes(command))
        return
    log = cache.folder() / "logs" / f"node-image-{script}.log"
    if stdin is None:
        call_logged(command, log=log, timeout_seconds=300)
        return
    with stdin.open("rb") as content:
        call_logged(command, log=log, timeout_seconds=600, stdin=content)


def _write_node_tree(
    destination: Path, kubernetes: Path, containerd: Path, kind_module: Path, storage: StorageClass
) -> Path:
    programs, texts = kind_source.base_files(kind_module)
    programs |= {f"/usr/bin/{name}": kubernetes / name for name in components.NODE_PROGRAMS}
    programs |= {f"/usr/local/bin/{name}": containerd / name for name in components.RUNTIME_PROGRAMS}
    programs |= {f"/opt/cni/bin/{name}": containerd / name for name in components.CNI_PLUGINS}
    programs["/kind/bin/pod-network.sh"] = SCRIPTS / "pod-network.sh"
    texts["/etc/systemd/system/pod-network.service"] = (SCRIPTS / "pod-network.service").read_text()
    texts["/kind/version"] = components.kubernetes_version()
    texts["/kind/manifests/default-storage.yaml"] = storage.manifest
    return write_tar(destination, programs, texts)


def _write_images(scratch: Path, kubernetes: Path, kind_module: Path, storage: StorageClass, tools: Path) -> Path:
    """Write the archive of every image that kubeadm, kind and containerd ask for by name."""
    version = components.kubernetes_version()
    listed = call([kubernetes / "kubeadm", "config", "images", "list", "--kubernetes-version", version])
    names = {name.rpartition("/")[2].partition(":")[0]: name for name in listed.split()}
    _, texts = kind_source.base_files(kind_module)
    sandbox = kind_source.sandbox_image_of(texts[kind_source.CONTAINERD_CONFIG])

    def image(program: str, *image_names: str, base: tuple[Path, ...] = (), entrypoint: bool = False) -> Image:
        path = f"/usr/local/bin/{program}"
        layer = write_tar(scratch / f"{program}.tar", {path: kubernetes / program})
        return Image(names=image_names, layers=(*base, layer), entrypoint=(path,) if entrypoint else ())

    images = [
        image("kube-apiserver", names.pop("kube-apiserver")),
        image("kube-controller-manager", names.pop("kube-controller-manager")),
        image("kube-scheduler", names.pop("kube-scheduler")),
        image("kube-proxy", names.pop("kube-proxy"), base=(tools,)),
        image("etcd", names.pop("etcd")),
        image("coredns", names.pop("coredns"), entrypoint=True),
        image("pause", *sorted({names.pop("pause"), sandbox}), entrypoint=True),
        image("local-path-provisioner", storage.provisioner_image),
        Image(names=(storage.helper_image,), layers=(tools,)),
    ]
    if names:
        raise ClusterToolError(f"kubeadm asks for images that are not built here: {', '.join(names.values())}")
    return write_archive(scratch / "images.tar", images)
