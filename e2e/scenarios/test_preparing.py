"""What comes before a rollout: steps of the whole set, and other rollouts."""

from __future__ import annotations

from e2e.harness.journal import PODS, ROLLOUTS
from e2e.harness.kubectl import Json
from e2e.harness.pods import Pod
from e2e.harness.shop import IMAGE, Shop
from e2e.kvstore.manifests import Kvstore, build_headless_service, build_statefulset
from e2e.scenarios.conftest import OpenShop
from statefulrollout.api import names

NEIGHBOUR = "etcd"


def switch(value: str) -> Json:
    """Tell every pod what the balancer shall be."""
    http = {"port": "admin", "path": "/told/balancer", "method": "PUT", "body": f'{{"value": "{value}"}}'}
    return {"http": http, "target": "Peers"}


BALANCER: Json = {"name": "balancer", "apply": switch("off"), "undo": switch("on")}


def test_a_rollout_begins_once_it_is_prepared_and_is_followed_by_the_undo(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"beforeRollout": [BALANCER]})
    shop.change_template()
    shop.await_stage(2, "Isolating", "Draining", "Migrating", "Released", "Starting")
    assert shop.told("balancer", 0) == "off"
    shop.await_complete()
    assert [shop.told("balancer", ordinal) for ordinal in range(3)] == ["on"] * 3
    assert shop.was_said("balancer: PUT /told/balancer on port admin of kvstore-")
    shop.assert_nobody_noticed()


def test_what_cannot_be_prepared_holds_every_pod_and_is_taken_back_with_the_rollout(open_shop: OpenShop) -> None:
    broken: Json = {"name": "snapshot", "apply": {"http": {"port": "admin", "path": "/snapshot"}, "target": "AnyPeer"}}
    shop = open_shop(rollout={"beforeRollout": [BALANCER, broken]})
    shop.change_template()
    shop.await_stalled("beforeRollout: snapshot is misconfigured", "404")
    assert not shop.departures()
    shop.delete_rollout()
    shop.wait("the balancer to be on again", lambda: shop.told("balancer", 0) == "on")
    shop.assert_no_key_is_lost()


def test_whoever_depends_on_another_goes_after_it(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"dependsOn": [{"name": NEIGHBOUR}]})
    shop.change_template()
    shop.wait("the reason to be said", lambda: "there is no StatefulRollout etcd: create it" in shop.message)
    _apply_neighbour(shop, "1")
    shop.await_complete()
    _apply_neighbour(shop, "2")
    shop.wait("the neighbour to move", lambda: any(pod.leaves_for for pod in _neighbours(shop)))
    shop.change_template()
    shop.wait("the reason to be said", lambda: "dependencies_are_complete: etcd: revision etcd-" in shop.message)
    shop.await_complete()
    neighbours = [change for change in shop.history_of(PODS) if change.name.startswith(NEIGHBOUR)]
    last_ready = max(change.at for change in neighbours if _is_coming_up(change.item))
    assert min(at for at, _ in shop.departures()[-3:]) > last_ready
    shop.assert_nobody_noticed()


def test_a_circle_is_refused_until_it_is_broken(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"dependsOn": [{"name": NEIGHBOUR}]})
    _apply_neighbour(shop, "1", dependsOn=[{"name": "kvstore"}])
    shop.await_stalled("spec.dependsOn: kvstore waits for etcd waits for kvstore: remove one of these dependencies")
    _apply_neighbour(shop, "1")
    shop.await_complete()
    shop.assert_nobody_noticed()


def test_of_a_group_one_at_a_time_has_pods_in_motion(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"group": "shop"})
    _apply_neighbour(shop, "1", group="shop")
    shop.wait("the neighbour to serve", lambda: len(_neighbours(shop)) == 2 and all(p.ready for p in _neighbours(shop)))
    _apply_neighbour(shop, "2", group="shop")
    shop.wait("a pod of the neighbour to leave", lambda: any(pod.leaves_for for pod in _neighbours(shop)))
    shop.change_template()
    shop.wait("the reason to be said", lambda: "group_has_no_other_motion: etcd-" in shop.message)
    shop.await_complete()
    shop.wait("the neighbour to be new", lambda: _versions(shop) == {"2"} and all(p.ready for p in _neighbours(shop)))
    assert not _in_motion_together(shop)
    shop.assert_nobody_noticed()


def _in_motion_together(shop: Shop) -> list[str]:
    """Moments at which both sets had a pod out of service for a new revision."""
    leaving: dict[str, str] = {}
    found: list[str] = []
    for change in shop.history_of(PODS):
        pod = Pod(change.item)
        leaving.pop(pod.name, None)
        if pod.leaves_for and not change.gone:
            leaving[pod.name] = pod.leaves_for
        if len({name.split("-")[0] for name in leaving}) > 1:
            found.append(f"{change.at}: {sorted(leaving)}")
    return found


def _versions(shop: Shop) -> set[str]:
    """The versions of the neighbour's pods."""
    env = (each for pod in _neighbours(shop) for each in pod.raw["spec"]["containers"][0]["env"])
    return {each["value"] for each in env if each["name"] == "VERSION"}


def _apply_neighbour(shop: Shop, version: str, **spec: object) -> None:
    """A smaller set of the same kind, with a StatefulRollout of its own and without hooks."""
    store = Kvstore(NEIGHBOUR, shop.namespace, IMAGE, replicas=2, membership="static", env={"VERSION": version},
                    pod_management_policy="Parallel", grace_seconds=1)  # fmt: skip
    rollout = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": NEIGHBOUR, "namespace": shop.namespace},
        "spec": {"targetRef": {"name": NEIGHBOUR}, "strategy": {"soakSeconds": 1}, **spec},
    }
    service = build_headless_service(NEIGHBOUR, shop.namespace)
    shop.kubectl.apply(rollout, service, build_statefulset(store))
    shop.wait("the neighbour to be seen", lambda: shop.journal.find(ROLLOUTS, NEIGHBOUR))


def _neighbours(shop: Shop) -> list[Pod]:
    return [Pod(item) for item in shop.journal.items(PODS) if item["metadata"]["name"].startswith(NEIGHBOUR)]


def _is_coming_up(item: Json) -> bool:
    """Whether the pod is of the neighbour's second version, and not ready yet."""
    env = item["spec"]["containers"][0]["env"]
    return {"name": "VERSION", "value": "2"} in env and not Pod(item).ready
