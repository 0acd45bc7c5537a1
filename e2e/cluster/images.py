"""Puts images of the local engine on the nodes of a kind cluster.

An image that every node has already, under that name and with that content, is left alone.
"""

from collections.abc import Sequence

from e2e.cluster import cache, engine, tools
from e2e.cluster.commands import call_logged
from e2e.cluster.errors import ClusterToolError
from e2e.cluster.kind_cluster import KindCluster
from e2e.cluster.progress import say, step

LOAD_SECONDS = 600.0


def load(cluster: KindCluster, names: Sequence[str]) -> None:
    """Load the named images on all nodes of `cluster`.

    Raises ClusterToolError for an image that the engine does not have.
    """
    wanted: dict[str, str] = {}
    for name in names:
        found = engine.image_id(name)
        if found is None:
            raise ClusterToolError(f"the Docker engine has no image {name}: build or pull it first")
        wanted[name] = found
    held = [_held_on(node) for node in cluster.nodes()]
    missing = [name for name, image_id in wanted.items() if not all(is_held(name, image_id, on) for on in held)]
    for name in sorted(set(wanted) - set(missing)):
        say(f"  {name} is on all nodes")
    if missing:
        with step(f"loading {', '.join(missing)}"):
            call_logged(
                [tools.ensure_kind(), "load", "docker-image", "--name", cluster.name, *missing],
                log=cache.folder() / "logs" / f"kind-load-{cluster.name}.log",
                timeout_seconds=LOAD_SECONDS,
            )


def digests_of(listing: str) -> dict[str, str]:
    """The digest of each reference in the output of `ctr images list`."""
    rows = (line.split() for line in listing.splitlines()[1:])
    return {row[0]: next(word for word in row[1:] if word.startswith("sha256:")) for row in rows if row}


def is_held(name: str, image_id: str, on_node: dict[str, str]) -> bool:
    """Whether a node has this content under this name.

    containerd spells the name out (a registry and a folder in front), and keeps beside it a second
    reference that is the image ID of Docker: both must lead to the same digest.
    """
    tagged = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
    digests = {digest for reference, digest in on_node.items() if f"/{reference}".endswith(f"/{tagged}")}
    return digests == {on_node.get(image_id)}


def _held_on(node: str) -> dict[str, str]:
    return digests_of(engine.docker("exec", node, "ctr", "--namespace=k8s.io", "images", "list"))
