"""Pods that are updated in place: the same pods with new containers, and nobody notices."""

from __future__ import annotations

import statistics
import time

import pytest

from e2e.harness.invariants import is_observed
from e2e.harness.journal import PODS
from e2e.harness.kubectl import Json
from e2e.harness.shop import IMAGE, NAME, Shop
from e2e.kvstore.manifests import build_container_security
from e2e.scenarios.conftest import OpenShop

IN_PLACE: Json = {"soakSeconds": 1, "podUpdate": "InPlaceIfPossible"}
OTHER_IMAGE = "library/kvstore:dev"
"""The same image by a longer name: another template, and nothing to pull."""
NOWHERE = "kvstore:nowhere"
PREPARATION: Json = {
    "name": "prepare",
    "image": IMAGE,
    "command": ["python", "-c", "import time; time.sleep(4)"],
    "securityContext": build_container_security(),
}
"""It runs when a pod is made, and not again when a container is replaced."""


def use_image(shop: Shop, image: str, **container: object) -> None:
    shop.change_containers([{"name": NAME, "image": image, **container}])


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_another_image_restarts_the_containers_and_keeps_the_pods(open_shop: OpenShop, policy: str) -> None:
    shop = open_shop(policy=policy, rollout={"strategy": IN_PLACE})
    before = {pod.uid: pod.containers[NAME] for pod in shop.pods}
    use_image(shop, OTHER_IMAGE)
    shop.await_complete()
    after = {pod.uid: pod.containers[NAME] for pod in shop.pods}
    assert after.keys() == before.keys()
    assert not {*after.values()} & {*before.values()}
    assert shop.was_said("in place (kvstore: library/kvstore:dev)")
    shop.assert_nobody_noticed()


def test_a_place_is_vacant_for_less_time_than_when_its_pod_is_re_created(open_shop: OpenShop) -> None:
    """By what comes before the containers: a pod that needs none of it is made anew about as fast."""
    shop, vacant = open_shop(rollout={"strategy": IN_PLACE}), dict[str, float]()
    shop.change_containers([{"name": NAME}], initContainers=[PREPARATION])
    shop.await_complete()
    for image, update in ((OTHER_IMAGE, "InPlaceIfPossible"), (IMAGE, "Recreate")):
        shop.patch_rollout({"strategy": {"podUpdate": update}})
        shop.wait("the StatefulRollout to be seen", lambda: is_observed(shop.rollout))
        began = time.time()
        use_image(shop, image)
        shop.await_complete()
        vacant[update] = statistics.median(shop.absences(began))
    print(f"seconds out of service, the drain included: {vacant}")
    assert vacant["InPlaceIfPossible"] < vacant["Recreate"]
    shop.assert_nobody_noticed()


def test_an_image_that_cannot_be_had_goes_back_by_itself(open_shop: OpenShop) -> None:
    strategy = {**IN_PLACE, "progressDeadlineSeconds": 20, "onFailure": "Rollback"}
    shop = open_shop(rollout={"strategy": strategy})
    use_image(shop, NOWHERE)
    shop.await_stalled("at revision", "again", "kvstore-2")
    shop.wait("every pod to serve again", lambda: len(shop.pods) == 3 and all(pod.ready for pod in shop.pods))
    use_image(shop, OTHER_IMAGE)
    shop.await_complete()
    shop.assert_nobody_noticed()


def test_more_than_an_image_is_re_created_and_says_why(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"strategy": IN_PLACE})
    before = {pod.uid for pod in shop.pods}
    use_image(shop, OTHER_IMAGE, env=[{"name": "VERSION", "value": "2"}])
    shop.await_complete()
    assert not before & {pod.uid for pod in shop.pods}
    assert shop.was_said("(not in place: spec.containers[kvstore].env differs)")
    shop.assert_nobody_noticed()


def test_giving_the_revision_up_goes_back_in_place(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"strategy": IN_PLACE})
    before = {pod.uid for pod in shop.pods}
    shop.set_faults({"drain": {"mode": "accept-202", "seconds": 60}}, 0)
    use_image(shop, OTHER_IMAGE)
    shop.await_stage(0, "Draining")
    shop.patch_rollout({"abort": {"revision": shop.wanted}})
    shop.wait("all to be back", lambda: shop.rollout["status"]["phase"] == "RolledBack")
    assert {pod.uid for pod in shop.pods} == before
    assert {item["spec"]["containers"][0]["image"] for item in shop.journal.items(PODS) if _is_stores(item)} == {IMAGE}
    shop.assert_nobody_noticed()


def _is_stores(item: Json) -> bool:
    return bool(item["metadata"]["name"].startswith(f"{NAME}-"))
