"""The command line of the cluster tool: what may be asked for, and which module answers.

Answers that scripts read (a path, an image name) go to standard output, all else to standard error.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from e2e.cluster import cache, engine, existing_cluster, images, lifecycle, python_base, tools
from e2e.cluster.errors import ClusterToolError
from e2e.cluster.kind_cluster import KindCluster, State
from e2e.cluster.progress import say

KUBECONFIG_VARIABLE = "STATEFULROLLOUT_E2E_KUBECONFIG"
DEFAULT_NAME = "statefulrollout"


def main(arguments: Sequence[str]) -> int:
    """Run one command; return the status for the shell: 0, or 1 after an explained failure."""
    chosen = build_parser().parse_args(arguments)
    answer: Callable[[argparse.Namespace], None] = chosen.answer
    try:
        answer(chosen)
    except ClusterToolError as failure:
        say(f"error: {failure}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; run the same command again to go on")
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m e2e.cluster",
        description="A Kubernetes cluster for the end-to-end suite, the demo and the benchmarks: one control-plane "
        "node and two workers in kind, from the stock node image or, where no registry is in reach, from one "
        "built from source (about ten minutes, once).",
        epilog=f"To use a cluster of your own instead, name its kubeconfig with --kubeconfig or the environment "
        f"variable {KUBECONFIG_VARIABLE}. Nothing is created then, and nothing deleted. KUBECONFIG alone is "
        "not enough: tests roll, kill and delete pods, so the choice must be explicit.",
    )
    parser.add_argument("--name", default=DEFAULT_NAME, help="name of the kind cluster (default: %(default)s)")
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        default=os.environ.get(KUBECONFIG_VARIABLE) or None,
        metavar="FILE",
        help="use the cluster of this kubeconfig and create nothing",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("up", help="make the cluster, or make sure that it is there")
    command.add_argument(
        "--feature-gate",
        action="append",
        default=[],
        metavar="NAME",
        help="switch on a feature gate of Kubernetes in a cluster that is made; one made without it is refused",
    )
    command.set_defaults(answer=up)

    command = commands.add_parser("load", help="put images of the local Docker engine on all nodes")
    command.add_argument("images", nargs="+", metavar="IMAGE")
    command.add_argument(
        "--already-there", action="store_true", help="on a cluster of your own: it can pull these images itself"
    )
    command.set_defaults(answer=load)

    command = commands.add_parser("kubeconfig", help="write the cluster's kubeconfig and print its path")
    command.set_defaults(answer=print_kubeconfig)

    command = commands.add_parser("path", help="print the folder with the kind and kubectl to use")
    command.set_defaults(answer=print_path)

    command = commands.add_parser("base-image", help="print the name of an image to build Python images on")
    command.set_defaults(answer=print_base_image)

    command = commands.add_parser("power-off", help="cut the power of a node, as a test of what it takes with it")
    command.add_argument("node", metavar="NODE")
    command.set_defaults(answer=power_off)

    command = commands.add_parser("power-on", help="start a node again, and wait until it is Ready")
    command.add_argument("node", metavar="NODE")
    command.set_defaults(answer=power_on)

    command = commands.add_parser("down", help="delete the cluster that `up` made")
    command.add_argument("--all", action="store_true", help="also stop a Docker engine that `up` started")
    command.set_defaults(answer=down)
    return parser


def up(chosen: argparse.Namespace) -> None:
    """Make sure that the cluster is there, complete and answering."""
    with cache.locked():
        if chosen.kubeconfig:
            if chosen.feature_gate:
                raise ClusterToolError("--feature-gate is for a cluster that is made here, not for one that is named")
            existing_cluster.require_usable(chosen.kubeconfig)
            return
        engine.ensure_engine()
        cluster = KindCluster(chosen.name, tuple(chosen.feature_gate))
        lifecycle.ensure_cluster(cluster)
    say(f"cluster {cluster.name} is up. To work with it:")
    say(f"  export KUBECONFIG={cluster.kubeconfig} PATH={tools.folder()}:$PATH")


def load(chosen: argparse.Namespace) -> None:
    """Put images on the nodes."""
    if chosen.kubeconfig:
        existing_cluster.require_images(chosen.images, already_there=chosen.already_there)
        return
    with cache.locked():
        images.load(_running(chosen.name), chosen.images)


def print_kubeconfig(chosen: argparse.Namespace) -> None:
    """Print the path of a kubeconfig for the cluster."""
    if chosen.kubeconfig:
        print(chosen.kubeconfig.resolve())
        return
    cluster = _running(chosen.name)
    cluster.write_kubeconfig()
    print(cluster.kubeconfig)


def print_path(chosen: argparse.Namespace) -> None:
    """Print the folder of the client programs, with kubectl in it."""
    with cache.locked():
        tools.ensure_kubectl()
        if not chosen.kubeconfig:
            tools.ensure_kind()
    print(tools.folder())


def power_off(chosen: argparse.Namespace) -> None:
    """Cut the power of a node."""
    _made_here(chosen).power_off(chosen.node)


def power_on(chosen: argparse.Namespace) -> None:
    """Start a node again."""
    _made_here(chosen).power_on(chosen.node)


def print_base_image(_: argparse.Namespace) -> None:
    """Print the name of the base image for Dockerfiles."""
    with cache.locked():
        engine.ensure_engine()
        print(python_base.ensure_base_image())


def down(chosen: argparse.Namespace) -> None:
    """Delete the cluster that `up` made, and on request stop the engine that it started."""
    if chosen.kubeconfig:
        say(f"the cluster of {chosen.kubeconfig} was not made by this tool and is left alone")
        return
    with cache.locked():
        if not engine.answers():
            say("no Docker engine answers: there is no cluster running")
            return
        cluster = KindCluster(chosen.name)
        if cluster.state() is not State.ABSENT:
            cluster.delete()
        if chosen.all and not engine.stop_own_engine():
            say("the Docker engine was not started by this tool and is left alone")


def _made_here(chosen: argparse.Namespace) -> KindCluster:
    if chosen.kubeconfig:
        raise ClusterToolError(
            f"the cluster of {chosen.kubeconfig} was not made by this tool: its nodes are left alone"
        )
    return KindCluster(chosen.name)


def _running(name: str) -> KindCluster:
    cluster = KindCluster(name)
    if not engine.answers() or cluster.state() is not State.RUNNING:
        raise ClusterToolError(f"cluster {name} is not running: `python -m e2e.cluster --name {name} up` makes it")
    return cluster
