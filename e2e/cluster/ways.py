"""Decides which image the nodes run: the stock one where it can be had, else one built from source.

Both give the same cluster to those who use it. Decides from what the engine has and what a registry
answers within seconds; pulling and building is for others.
"""

from collections.abc import Callable
from dataclasses import dataclass

# The image that kind v0.33.0 was released with for the Kubernetes minor that is built from source.
STOCK_NODE_IMAGE = "kindest/node:v1.35.8@sha256:07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0"


@dataclass(frozen=True)
class Way:
    """Where the node image comes from, and the reason, for the person who runs this."""

    stock: bool
    reason: str


def pick_way(*, stock_is_here: bool, built_is_here: bool, why_unpullable: Callable[[], str | None]) -> Way:
    """Prefer an image that the engine has; ask a registry (`why_unpullable`) only where it has none."""
    if stock_is_here:
        return Way(stock=True, reason="the stock node image is here")
    if built_is_here:
        return Way(stock=False, reason="a node image built from source is here")
    why = why_unpullable()
    if why is None:
        return Way(stock=True, reason="the stock node image can be pulled")
    return Way(stock=False, reason=f"the stock node image cannot be pulled ({why}), so one is built from source")
