"""The base image for the project's own images: stock Python where it can be pulled, else one of Debian's.

The one that is built behaves like the stock one (`python`, `pip` on PATH) and trusts the machine's
certificate authorities, so that pip works inside `docker build` behind an intercepting proxy.
"""

import hashlib
import os
import shutil
from pathlib import Path

from e2e.cluster import engine, rootfs
from e2e.cluster.progress import say

STOCK_IMAGE = "python:3.12-slim"
PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv")
CA_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
# Where Debian, Fedora and Alpine keep the certificate authorities that a machine trusts.
HOST_CA_BUNDLES = (f"/{CA_BUNDLE}", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def ensure_base_image() -> str:
    """Return the name of an image, present in the engine or pullable, to build Python images on."""
    built = debian_python()
    if engine.image_id(STOCK_IMAGE) is not None:
        return STOCK_IMAGE
    if engine.image_id(built.image) is not None:
        return built.image
    reason = engine.why_unpullable(STOCK_IMAGE)
    if reason is None:
        return STOCK_IMAGE
    say(f"  {STOCK_IMAGE} cannot be pulled ({reason}): building a base image of Debian's Python")
    return rootfs.ensure_image(built)


def debian_python() -> rootfs.RootFileSystem:
    """A Debian with Python that trusts what this machine trusts."""
    bundle = host_ca_bundle()

    def finish(tree: Path) -> None:
        if bundle is not None:
            shutil.copyfile(bundle, tree / CA_BUNDLE)
        (tree / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        for marker in (tree / "usr/lib").glob("python3*/EXTERNALLY-MANAGED"):
            marker.unlink()

    return rootfs.RootFileSystem(
        name="python-base",
        packages=PACKAGES,
        finish=finish,
        finished_from=hashlib.sha256(bundle.read_bytes()).hexdigest() if bundle else "",
        env={"PATH": "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin", "PIP_CERT": f"/{CA_BUNDLE}"},
    )


def host_ca_bundle() -> Path | None:
    """The file of certificate authorities that programs on this machine trust."""
    for candidate in (os.environ.get("SSL_CERT_FILE"), *HOST_CA_BUNDLES):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    return None
