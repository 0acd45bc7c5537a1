"""Wrong resources against a real API server: refused with the field and the remedy, and nothing is touched."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator

import pytest

from e2e.harness.api import Api
from e2e.harness.installation import Installation
from e2e.harness.journal import PODS, STATEFUL_SETS, Journal
from e2e.harness.kubectl import Json, Kubectl
from e2e.harness.namespaces import Namespaces
from e2e.harness.shop import NAME, Order, Shop, build_objects
from e2e.scenarios.conftest import OpenShop
from statefulrollout.api import names
from tests.unit.api.bad_spec import GOOD, HEADLESS_NOWHERE, OWNED, BadSpec, merged
from tests.unit.api.bad_specs import REFUSED_BY_OPERATOR, REFUSED_BY_SCHEMA

# One shop for all of them: nothing is to happen to it.
pytestmark = pytest.mark.xdist_group("bad input")

REFUSED_SECONDS = 30
GOOD_ELSEWHERE = merged(GOOD, {"spec": {"targetRef": {"name": "elsewhere"}}})


@pytest.fixture(scope="module")
def untouched(kubectl: Kubectl, api: Api, installation: Installation, namespaces: Namespaces) -> Iterator[Shop]:
    """A store without a StatefulRollout, and what the list of wrong resources refers to."""
    del installation  # needed, and not asked
    namespace = namespaces.create("bad input")
    with Journal(api, namespace) as journal:
        shop = Shop(kubectl, api, journal, Order(replicas=1, load=False))
        kubectl.apply(*build_objects(namespace, shop.order), *_surroundings(shop))
        shop.wait("the store's pod to be ready", lambda: (pod := shop.pod(0)) and pod.ready)
        yield shop
    namespaces.delete(namespace)


@pytest.mark.parametrize("bad", REFUSED_BY_SCHEMA, ids=lambda bad: bad.id)
def test_the_api_server_refuses(untouched: Shop, bad: BadSpec) -> None:
    if bad.as_update:
        untouched.kubectl.run("create", "-n", untouched.namespace, "-f", "-", stdin=_document(GOOD_ELSEWHERE))
    answer = untouched.kubectl.try_run("apply", "-n", untouched.namespace, "-f", "-", stdin=_document(bad.manifest))
    if bad.as_update:
        untouched.kubectl.run("delete", "sro", NAME, "-n", untouched.namespace)
    assert answer.code != 0, answer.out
    assert bad.field in answer.err
    for word in bad.words:
        assert word in answer.err


@pytest.mark.parametrize("bad", REFUSED_BY_OPERATOR, ids=lambda bad: bad.id)
def test_the_operator_refuses_and_touches_nothing(untouched: Shop, bad: BadSpec) -> None:
    shop, before = untouched, _writers_of(untouched)
    shop.kubectl.run("apply", "-n", shop.namespace, "-f", "-", stdin=_document(bad.manifest))
    try:
        stalled = shop.await_stalled(bad.field, *bad.words, seconds=REFUSED_SECONDS)
        assert stalled["reason"] == "InvalidSpec"
        assert shop.condition(names.READY)["status"] == "False"
        assert _writers_of(shop) == before
    finally:
        shop.delete_rollout()
        shop.wait("the wrong resource to be gone", lambda: not shop.rollout)


def test_a_second_rollout_of_one_stateful_set_is_refused_and_the_first_goes_on(open_shop: OpenShop) -> None:
    shop = open_shop()
    second = {**copy.deepcopy(shop.rollout), "metadata": {"name": "second", "namespace": shop.namespace}}
    shop.kubectl.run("create", "-f", "-", stdin=_document({name: second[name] for name in second if name != "status"}))

    def refusal() -> Json | None:
        item = shop.journal.find(names.PLURAL, "second") or {}
        conditions = item.get("status", {}).get("conditions", ())
        return next((each for each in conditions if each["type"] == names.STALLED and each["status"] == "True"), None)

    stalled = shop.wait("the second to be refused", refusal, REFUSED_SECONDS)
    assert stalled["reason"] == "InvalidSpec"
    assert "spec.targetRef.name" in stalled["message"]
    assert NAME in stalled["message"]
    shop.change_template()
    shop.await_complete()
    shop.assert_nobody_noticed()


def _surroundings(shop: Shop) -> list[Json]:
    """A Service that selects nothing, and a StatefulSet that another controller owns."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner", "namespace": shop.namespace}}
    shop.kubectl.apply(config)
    uid = shop.api.get(f"/api/v1/namespaces/{shop.namespace}/configmaps/owner")["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "controller": True}
    (stateful_set,) = [item for item in build_objects(shop.namespace, shop.order) if item["kind"] == "StatefulSet"]
    owned = {**stateful_set, "metadata": {"name": OWNED, "namespace": shop.namespace, "ownerReferences": [owner]}}
    owned["spec"] = {**owned["spec"], "replicas": 0}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": HEADLESS_NOWHERE, "namespace": shop.namespace},
        "spec": {"clusterIP": "None", "ports": [{"name": "admin", "port": 8081}]},
    }
    return [owned, service]


def _writers_of(shop: Shop) -> dict[str, set[str]]:
    """Who wrote to what is not to be touched; `kubelet` and the StatefulSet controller go on as ever."""
    items = [*shop.journal.items(PODS), *shop.journal.items(STATEFUL_SETS)]
    return {
        item["metadata"]["uid"]: {entry["manager"] for entry in item["metadata"]["managedFields"]} for item in items
    }


def _document(manifest: Json) -> str:
    return json.dumps(manifest)
