"""Brings a kind cluster up from whatever state it is in: used as it is, started, or made anew.

What the states are and how to change them is in `kind_cluster`; here is only which change is due.
"""

from e2e.cluster import engine, node_image, ways
from e2e.cluster.errors import ClusterToolError
from e2e.cluster.kind_cluster import KindCluster, State
from e2e.cluster.progress import say, step

PULL_SECONDS = 1800.0


def ensure_cluster(cluster: KindCluster) -> None:
    """Return once `cluster` is complete and all its nodes are Ready.

    A cluster that was never completed, or that does not start again, is deleted and made anew. One
    whose nodes do not become Ready is not: it may hold what somebody is looking for.
    Raises ClusterToolError where it is there without a feature gate that was asked for.
    """
    state = cluster.state()
    if state is not State.ABSENT and (missing := cluster.missing_gates()):
        raise ClusterToolError(f"cluster {cluster.name} was made without {', '.join(missing)}: `down` comes first")
    if state is State.RUNNING and cluster.is_complete():
        cluster.wait_for_nodes()
        _mention_age(cluster)
        return
    if state is State.STOPPED:
        try:
            cluster.start()
        except ClusterToolError as failure:
            say(f"  {failure}")
        else:
            _mention_age(cluster)
            return
    if state is not State.ABSENT:
        say(f"  cluster {cluster.name} is incomplete or does not start again: it is made anew")
        cluster.delete()
    _create(cluster)


def _create(cluster: KindCluster) -> None:
    way = ways.pick_way(
        stock_is_here=engine.image_id(ways.STOCK_NODE_IMAGE) is not None,
        built_is_here=engine.image_id(node_image.image_name()) is not None,
        why_unpullable=lambda: engine.why_unpullable(ways.STOCK_NODE_IMAGE),
    )
    say(f"  {way.reason}")
    if way.stock:
        if engine.image_id(ways.STOCK_NODE_IMAGE) is None:
            with step("pulling the stock node image"):
                engine.docker("pull", "--quiet", ways.STOCK_NODE_IMAGE, timeout_seconds=PULL_SECONDS)
        cluster.create(ways.STOCK_NODE_IMAGE, own_image=False)
    else:
        cluster.create(node_image.ensure_node_image(), own_image=True)


def _mention_age(cluster: KindCluster) -> None:
    if cluster.image() not in (ways.STOCK_NODE_IMAGE, node_image.image_name()):
        say(f"  cluster {cluster.name} runs an older node image; `down` and `up` renew it")
