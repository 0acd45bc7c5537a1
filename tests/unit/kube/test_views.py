"""From raw objects to views: what Kubernetes sends, what it leaves out, and that nothing is guessed."""

from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.api import names
from statefulrollout.core.snapshot import ContainerView, Facts, PodCondition, Restart
from statefulrollout.kube import views
from tests.builders import NOW, a_pod
from tests.unit.kube.recorder import Json, a_raw_pod, a_raw_set


def test_times_are_seconds() -> None:
    assert views.seconds_of("2027-01-15T08:00:00Z") == NOW
    assert views.seconds_of("2027-01-15T08:00:00.250000Z") == NOW + 0.25
    assert views.seconds_of("2027-01-15T09:00:00+01:00") == NOW
    assert views.seconds_of("") is views.seconds_of(None) is None


def test_a_pod_is_read_as_it_is() -> None:
    pod = views.pod_of(a_raw_pod())
    assert (pod.name, pod.uid, pod.ordinal, pod.revision) == ("db-2", "uid-db-2", 2, "db-v1")
    assert (pod.ip, pod.node, pod.phase, pod.created) == ("10.0.0.3", "node-2", "Running", NOW - 3600)
    assert pod.ports == {"http": 8080, "admin": 8081}
    assert pod.fenced
    assert pod.gated
    assert pod.ready
    assert pod.containers_ready
    assert not pod.terminating
    assert pod.conditions[names.SERVING] == PodCondition(True, NOW - 1800, "PodServing")
    assert pod.facts == Facts("", {"store": "containerd://1"}, stuck=False)
    assert pod.containers == (
        ContainerView("store", "containerd://1", running=True, since=NOW - 1860, ready=True, restarts=2, exit_code=137),
    )


def test_what_is_missing_is_not_known() -> None:
    pod = views.pod_of({"metadata": {"name": "db-0", "uid": "u"}, "spec": {}})
    assert (pod.revision, pod.ip, pod.node, pod.phase, pod.created) == ("", "", "", "Pending", 0.0)
    assert pod.facts is None
    assert (dict(pod.conditions), dict(pod.ports), pod.containers) == ({}, {}, ())
    assert not any((pod.ready, pod.serving, pod.gated, pod.fenced, pod.terminating))


def test_null_lists_are_empty() -> None:
    raw = a_raw_pod(
        metadata={"labels": None, "annotations": None},
        spec={"readinessGates": None, "containers": [{"name": "store", "ports": None}]},
        status={"conditions": None, "containerStatuses": None},
    )
    pod = views.pod_of(raw)
    assert (pod.gated, pod.fenced, pod.ports, pod.containers, pod.facts) == (False, False, {}, (), None)


@pytest.mark.parametrize(("name", "ordinal"), [("db-0", 0), ("my-db-12", 12), ("db", -1), ("db-x", -1), ("db-", -1)])
def test_the_ordinal_is_the_end_of_the_name(name: str, ordinal: int) -> None:
    assert views.pod_of(a_raw_pod(name)).ordinal == ordinal


def test_a_pod_under_deletion_is_terminating_since_its_deadline_was_set() -> None:
    pod = views.pod_of(a_raw_pod(metadata={"deletionTimestamp": "2027-01-15T08:00:00Z"}))
    assert pod.deleting_since == NOW


@pytest.mark.parametrize("value", ["false", "", "True"])
def test_only_the_very_label_is_under_the_lid(value: str) -> None:
    assert not views.pod_of(a_raw_pod(metadata={"labels": {names.FENCED_LABEL: value}})).fenced


@pytest.mark.parametrize(
    ("view", "raw"),
    [
        (
            ContainerView("store", "", waiting_reason="ErrImagePull", waiting_message="no such tag"),
            {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such tag"}}, "containerID": ""},
        ),
        (
            ContainerView("store", "c://2", restarts=4, waiting_reason="CrashLoopBackOff", exit_code=3),
            {
                "containerID": "c://2",
                "restartCount": 4,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 3}},
            },
        ),
        (
            ContainerView("store", "c://2", exit_code=0),
            {"containerID": "c://2", "state": {"terminated": {"exitCode": 0}}},
        ),
        (ContainerView("store", running=True), {"state": {"running": {}}, "ready": False}),
        (
            ContainerView("store", running=True, since=NOW),
            {"state": {"running": {"startedAt": "2027-01-15T08:00:00Z"}}},
        ),
        (ContainerView("store"), {}),
    ],
)
def test_a_container_is_what_the_kubelet_last_said(view: ContainerView, raw: Json) -> None:
    pod = views.pod_of(a_raw_pod(status={"containerStatuses": [{"name": "store", **raw}]}))
    assert pod.containers == (view,)


def test_a_pod_that_no_node_takes_says_why() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit"}
    assert views.pod_of(a_raw_pod(status={"conditions": [condition]})).unschedulable == "not scheduled: 0/3 nodes fit"


@pytest.mark.parametrize(
    "annotation",
    [
        None,
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"wanted":"v2"}',
        '{"wanted":"v2","containers":null,"stuck":false}',
        '{"wanted":"v2","containers":[],"stuck":false}',
    ],
)
def test_facts_that_cannot_be_read_are_none(annotation: str | None) -> None:
    assert views.facts_of(annotation) is None


@pytest.mark.parametrize(
    "facts",
    [
        Facts(),
        Facts("v2", {"store": "c://1", "log": ""}, stuck=True),
        Facts(restart=Restart({"store": "c://1"}, 1800000000.25)),
        Facts(containers={"store": "c://1"}, withdrawn="71"),
    ],
)
def test_facts_survive_being_written(facts: Facts) -> None:
    assert views.facts_of(views.annotation_of(facts)) == facts


def test_a_stateful_set_is_read_as_it_is() -> None:
    target = views.stateful_set_of(a_raw_set(ordinals={"start": 4}))
    assert (target.name, target.uid, target.replicas, list(target.ordinals)) == ("db", "uid-db", 3, [4, 5, 6])
    assert (target.current_revision, target.update_revision, target.observed) == ("db-v1", "db-v2", True)
    assert target.update_strategy == {"type": "OnDelete"}
    assert not target.ordered
    assert target.ports == {"admin": frozenset({"store"}), "metrics": frozenset({"log"})}
    assert target.numbered_ports == {8081: frozenset({"store"}), 9090: frozenset({"store", "log"})}
    assert (target.controller, target.strategy_writers) == ("", ())


def test_a_stateful_set_that_nobody_has_seen_yet_is_not_observed() -> None:
    raw = {key: value for key, value in a_raw_set().items() if key != "status"}
    target = views.stateful_set_of(raw)
    assert (target.current_revision, target.update_revision, target.observed) == ("", "", False)


def test_defaults_of_a_stateful_set_are_those_of_kubernetes() -> None:
    raw = {"metadata": {"name": "db", "uid": "u"}, "spec": {"selector": {}, "template": {"spec": {}}}}
    target = views.stateful_set_of(raw)
    assert (target.replicas, target.start_ordinal, target.ordered, target.update_strategy) == (1, 0, True, {})


def test_whoever_drives_the_set_is_named() -> None:
    raw = a_raw_set()
    owners = [{"kind": "Job", "name": "x"}, {"kind": "Etcd", "name": "shop", "controller": True}]
    raw["metadata"]["ownerReferences"] = owners
    assert views.stateful_set_of(raw).controller == "Etcd/shop"


def test_others_who_wrote_the_partition_are_named() -> None:
    partition: Json = {"f:spec": {"f:updateStrategy": {"f:rollingUpdate": {".": {}, "f:partition": {}}}}}
    raw = a_raw_set()
    raw["metadata"]["managedFields"] = [
        {"manager": "kubectl", "fieldsV1": partition},
        {"manager": "helm", "fieldsV1": partition},
        {"manager": "helm", "fieldsV1": partition, "operation": "Apply"},
        {"manager": names.FIELD_MANAGER, "fieldsV1": partition},
        {"manager": "argocd", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "kustomize", "fieldsV1": {"f:spec": {"f:updateStrategy": {"f:type": {}}}}},
        {"fieldsV1": partition},
        {"manager": "status"},
    ]
    assert views.stateful_set_of(raw).strategy_writers == ("helm", "kubectl", "unknown")


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ({}, ""),
        ({"matchLabels": {"app": "db", "tier": "1"}}, "app=db,tier=1"),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}, "app in (a,b)"),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}, "app notin (a)"),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, "app"),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist", "values": None}]}, "!app"),
        (
            {"matchLabels": {"app": "db"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]},
            "app=db,tier",
        ),
        ({"matchLabels": None, "matchExpressions": None}, ""),
    ],
)
def test_a_selector_is_written_as_a_parameter(selector: Json, words: str) -> None:
    assert views.selector_of(selector) == words


LABELS = {"app": "db", "tier": ""}


@pytest.mark.parametrize(
    ("selected", "selector"),
    [
        (False, None),
        (True, {}),
        (True, {"matchLabels": {"app": "db"}}),
        (False, {"matchLabels": {"app": "web"}}),
        (False, {"matchLabels": {"app": "db", "zone": "a"}}),
        (True, {"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "x"]}]}),
        (False, {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}),
        (False, {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}),
        (True, {"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}),
        (True, {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}),
        (False, {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}),
        (True, {"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}),
        (False, {"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}),
        (False, {"matchLabels": {"app": "db"}, "matchExpressions": [{"key": "zone", "operator": "Exists"}]}),
    ],
)
def test_a_selector_matches_as_kubernetes_does(selected: bool, selector: Json | None) -> None:
    assert views.selects(selector, LABELS) is selected


def test_a_budget_is_read_as_far_as_it_concerns_these_pods() -> None:
    raw: Json = {
        "metadata": {"name": "pdb", "generation": 2},
        "spec": {"selector": {"matchLabels": {"app": "db"}}},
        "status": {"disruptionsAllowed": 1, "observedGeneration": 2},
    }
    present = (a_pod("db-0"), a_pod("db-1").but(labels={"app": "web"}))
    budget = views.budget_of(raw, present)
    assert (budget.name, budget.disruptions_allowed, budget.observed) == ("pdb", 1, True)
    assert budget.pods == {"uid-db-0"}
    assert not views.budget_of({**raw, "status": {"disruptionsAllowed": 1, "observedGeneration": 1}}, present).observed


def test_a_budget_that_nobody_has_judged_yet_allows_nothing() -> None:
    budget = views.budget_of({"metadata": {"name": "pdb", "generation": 1}, "spec": {"selector": {}}}, ())
    assert (budget.disruptions_allowed, budget.observed, budget.pods) == (0, False, frozenset())


@pytest.mark.parametrize(
    ("address", "host"),
    [("10.9.9.9", "10.9.9.9"), ("None", "front.shop.svc"), ("", "front.shop.svc"), (None, "front.shop.svc")],
)
def test_a_service_is_reached_by_its_address_or_its_name(address: str | None, host: str) -> None:
    ports = [{"name": "admin", "port": 81}, {"port": 9090}]
    spec = {"clusterIP": address, "ports": ports, "selector": {"app": "db"}}
    service = views.service_of({"metadata": {"name": "front", "namespace": "shop"}, "spec": spec})
    assert (service.host, service.selects_pods) == (host, True)
    assert service.ports == {"admin": 81, "9090": 9090}


def test_the_name_of_a_headless_service_leads_to_the_pods_and_so_does_its_port() -> None:
    spec = {
        "clusterIP": "None",
        "ports": [{"name": "admin", "port": 80, "targetPort": 8081}],
        "selector": {"app": "db"},
    }
    service = views.service_of({"metadata": {"name": "front", "namespace": "shop"}, "spec": spec})
    assert service.ports == {"admin": 8081}


@pytest.mark.parametrize("selector", [None, {}])
def test_a_service_without_a_selector_may_lead_anywhere(selector: Json | None) -> None:
    raw = {"metadata": {"name": "front", "namespace": "shop"}, "spec": {"selector": selector}}
    assert not views.service_of(raw).selects_pods


def an_endpoint(uid: str = "uid-db-2", kind: str = "Pod", **conditions: Any) -> Json:
    return {"targetRef": {"kind": kind, "name": "db-2", "uid": uid}, "conditions": conditions}


@pytest.mark.parametrize(
    ("serving", "endpoint"),
    [
        (True, an_endpoint(ready=True, serving=True, terminating=False)),
        (True, an_endpoint(ready=False, serving=True, terminating=True)),
        (False, an_endpoint(ready=False, serving=False, terminating=False)),
        (True, an_endpoint(ready=True)),
        (True, an_endpoint(ready=True, serving=None)),
        (True, {**an_endpoint(), "conditions": None}),
        (False, an_endpoint(kind="Node", serving=True)),
        (False, {"addresses": ["10.0.0.3"], "conditions": {"serving": True}}),
    ],
)
def test_an_endpoint_serves_unless_it_says_that_it_does_not(serving: bool, endpoint: Json) -> None:
    assert bool(views.serving_endpoints_of([{"endpoints": [endpoint]}])) is serving


def test_an_address_that_is_published_although_not_ready_does_not_serve() -> None:
    published = an_endpoint(ready=True, serving=False, terminating=False)
    assert views.serving_endpoints_of([{"endpoints": [published]}]) == frozenset()


def test_one_slice_that_shows_a_pod_is_enough() -> None:
    slices: list[Json] = [
        {"endpoints": [an_endpoint(serving=False)]},
        {"endpoints": None},
        {},
        {"endpoints": [an_endpoint()]},
    ]
    assert views.serving_endpoints_of(slices) == {"uid-db-2"}
