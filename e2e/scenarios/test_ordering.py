"""Pods go in the order that the user wants: zone by zone, and the leader last wherever it is by then."""

from __future__ import annotations

import itertools

from e2e.harness.shop import Shop, pod_name
from e2e.scenarios.conftest import OpenShop

ZONE = "e2e.statefulrollout.dev/zone"
LEADER_LAST = {"by": "Role", "role": {"label": "role", "last": ["leader"]}}


def test_a_zone_is_done_before_the_next_begins(open_shop: OpenShop) -> None:
    order = {"by": "Zone", "topologyKey": ZONE}
    shop = open_shop(replicas=4, rollout={"strategy": {"soakSeconds": 1, "maxUnavailable": 2, "order": order}})
    nodes = sorted({pod.node for pod in shop.pods})
    for number, node in enumerate(nodes):
        shop.kubectl.run("label", "node", node, f"{ZONE}=zone-{number}", "--overwrite")
    zones = {pod.ordinal: nodes.index(pod.node) for pod in shop.pods}
    shop.change_template()
    shop.await_complete()
    visited = [zone for zone, _ in itertools.groupby(zones[ordinal] for _, ordinal in shop.departures())]
    assert visited == sorted(set(zones.values()))
    shop.assert_nobody_noticed()


def test_the_leader_goes_last_wherever_it_is_by_then(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"strategy": {"soakSeconds": 1, "order": LEADER_LAST}})
    _lead(shop, 2)
    shop.set_faults({"drain": {"mode": "accept-202", "seconds": 5}}, 1)
    shop.change_template()
    shop.await_stage(1, "Draining")
    _lead(shop, 0)
    shop.await_complete()
    assert [ordinal for _, ordinal in shop.departures()] == [1, 2, 0]
    shop.assert_nobody_noticed()


def _lead(shop: Shop, leader: int) -> None:
    """What the agent of a replicated database does: it labels the pods by their roles."""
    for pod in shop.pods:
        role = "leader" if pod.name == pod_name(leader) else "follower"
        shop.kubectl.run("label", "pod", pod.name, "-n", shop.namespace, f"role={role}", "--overwrite")
