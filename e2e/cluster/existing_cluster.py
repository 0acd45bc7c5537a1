"""A cluster that the user named: checked for what the suite needs, never created, loaded or deleted."""

import json
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster import tools
from e2e.cluster.commands import CommandError, call
from e2e.cluster.errors import ClusterToolError
from e2e.cluster.progress import say

# ValidatingAdmissionPolicy, which holds undrained pods back, is stable from here on.
OLDEST_SERVER = (1, 30)


def require_usable(kubeconfig: Path) -> None:
    """Raise ClusterToolError unless the cluster answers and is new enough."""
    if not kubeconfig.is_file():
        raise ClusterToolError(f"there is no kubeconfig {kubeconfig}")
    kubectl = tools.ensure_kubectl()
    try:
        answer = call([kubectl, "--kubeconfig", kubeconfig, "--request-timeout=10s", "get", "--raw", "/version"])
    except CommandError as failure:
        raise ClusterToolError(f"the cluster of {kubeconfig} does not answer:\n{failure}") from None
    server = json.loads(answer)["gitVersion"]
    if tools.version_of(server) < OLDEST_SERVER:
        needed = ".".join(map(str, OLDEST_SERVER))
        raise ClusterToolError(f"the cluster of {kubeconfig} runs Kubernetes {server}; {needed} or newer is needed")
    say(f"using the cluster of {kubeconfig} (Kubernetes {server}); nothing is created")


def require_images(images: Sequence[str], *, already_there: bool) -> None:
    """Raise ClusterToolError unless the user vouches that the cluster can pull `images` itself."""
    if already_there:
        return
    commands = "\n".join(f"    docker tag {name} REGISTRY/{name} && docker push REGISTRY/{name}" for name in images)
    raise ClusterToolError(
        "images cannot be loaded on a cluster that this tool did not make. Push them to a registry that it can "
        f"pull from, then run this again with the new names and --already-there:\n{commands}"
    )
