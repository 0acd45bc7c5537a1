"""Whom a change wakes up, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from statefulrollout.api import names
from statefulrollout.kube import sources
from statefulrollout.kube.client import Kube
from statefulrollout.kube.hints import PodHint, RolloutHint, pod_hint_of, rollout_hint_of, stateful_set_hint_of
from statefulrollout.kube.reflector import Key
from statefulrollout.kube.sources import Sources
from tests.unit.kube.fake_api import Json

KVSTORE = ("shop", "kvstore")


def rollout(name: str, target: str = "kvstore", generation: int = 1, leaving: bool = False) -> Json:
    deleted = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"namespace": "shop", "name": name, "uid": f"uid-{name}", "generation": generation, **deleted},
        "spec": {"targetRef": {"name": target}},
    }


def pod(condition: str = "True", reason: str = "", **metadata: object) -> Json:
    return {
        "metadata": {
            "uid": "1",
            "resourceVersion": "7",
            "ownerReferences": [{"name": "kvstore", "controller": True}],
            **metadata,
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": condition, "lastProbeTime": None}],
            "containerStatuses": [
                {"name": "app", "ready": False, "restartCount": 3, "state": {"waiting": {"reason": reason}}}
            ],
        },
    }


def named(name: str, version: str, owner: str = "kvstore") -> Json:
    owners = [{"name": owner, "controller": True}]
    return pod(namespace="shop", name=name, resourceVersion=version, ownerReferences=owners)


class Heard:
    """What was woken; and the way to feed a source without a server."""

    def __init__(self, kube: Kube):
        self.keys: list[Key] = []
        self.sources = Sources(kube, self.keys.append)

    def rollout(self, item: Json | None, name: str = "kvstore") -> list[Key]:
        self.keys.clear()
        self.sources.rollouts.keep(("shop", name), None if item is None else rollout_hint_of(item))
        return sorted(self.keys)

    def stateful_set(self, item: Json, name: str = "kvstore") -> list[Key]:
        self.keys.clear()
        self.sources.stateful_sets.keep(("shop", name), stateful_set_hint_of(item))
        return sorted(self.keys)

    def pod(self, item: Json | None, name: str = "kvstore-3") -> list[Key]:
        self.keys.clear()
        self.sources.pods.keep(("shop", name), None if item is None else pod_hint_of(item))
        return sorted(self.keys)


@pytest.fixture
async def heard(kube: Kube) -> Heard:
    return Heard(kube)


async def test_a_target_is_known_as_long_as_a_rollout_that_stays_names_it(heard: Heard) -> None:
    assert not heard.sources.is_targeted(*KVSTORE)
    assert heard.rollout(rollout("kvstore")) == [KVSTORE]
    assert heard.sources.is_targeted(*KVSTORE)
    assert not heard.sources.is_targeted("elsewhere", "kvstore")

    heard.rollout(rollout("second"), "second")
    assert heard.rollout(rollout("kvstore", leaving=True)) == [KVSTORE]
    assert heard.sources.is_targeted(*KVSTORE)
    assert heard.rollout(None, "second") == [KVSTORE]
    assert not heard.sources.is_targeted(*KVSTORE)
    assert heard.rollout(None) == [KVSTORE]


def stateful_set(ready: int) -> Json:
    status = {"observedGeneration": 1, "currentRevision": "a", "updateRevision": "a", "updatedReplicas": 2}
    return {
        "metadata": {"uid": "1", "generation": 1},
        "spec": {"replicas": 2},
        "status": {**status, "readyReplicas": ready},
    }


async def test_whoever_waits_for_a_rollout_hears_of_it_and_of_its_set(heard: Heard) -> None:
    dependent = rollout("web", "web")
    dependent["spec"]["dependsOn"] = [{"name": "kvstore"}]
    heard.rollout(dependent, "web")
    assert heard.rollout(rollout("kvstore")) == [KVSTORE, ("shop", "web")]
    assert heard.stateful_set(stateful_set(1)) == [KVSTORE, ("shop", "web")]
    assert heard.stateful_set(stateful_set(0)) == []
    assert heard.stateful_set(stateful_set(2)) == [KVSTORE, ("shop", "web")]
    assert heard.rollout(None) == [KVSTORE, ("shop", "web")]


async def test_a_rollout_that_changes_its_target_wakes_both(heard: Heard) -> None:
    heard.rollout(rollout("kvstore"))
    assert heard.rollout(rollout("kvstore", target="other", generation=2)) == [KVSTORE, ("shop", "other")]
    assert (heard.sources.is_targeted(*KVSTORE), heard.sources.is_targeted("shop", "other")) == (False, True)


async def test_a_rollouts_status_wakes_nobody(heard: Heard) -> None:
    heard.rollout(rollout("kvstore"))
    assert heard.rollout({**rollout("kvstore"), "status": {"phase": "Rolling"}}) == []


async def test_a_pod_wakes_its_stateful_set_when_something_counts(heard: Heard) -> None:
    assert heard.pod(pod()) == [KVSTORE]
    assert heard.pod(pod(resourceVersion="2", managedFields=[{}])) == []
    assert heard.pod(pod("False")) == [KVSTORE]
    asked = {names.EVICTION_ANNOTATION: "2026-01-01T00:00:00Z"}
    assert heard.pod(pod("False", annotations=asked)) == [KVSTORE]
    assert heard.pod(pod("False", reason="CrashLoopBackOff")) == [KVSTORE]
    assert heard.pod(pod("False", reason="CrashLoopBackOff", deletionTimestamp="2026-01-01T00:00:00Z")) == [KVSTORE]
    assert heard.pod(None) == [KVSTORE]
    assert heard.pod(pod(ownerReferences=[]), "stray") == []


def test_a_pod_that_has_just_been_created_can_be_projected() -> None:
    hint = pod_hint_of({"metadata": {"uid": "1", "resourceVersion": "7"}})
    assert hint == PodHint("", "7", "1", False, "", "", "", frozenset(), frozenset())


@pytest.mark.parametrize(("status", "heard"), [("True", 0), ("False", 1)])
def test_a_pod_that_starts_as_it_should_is_not_looked_at_for_every_step(status: str, heard: int) -> None:
    steps = [{"type": kind, "status": status} for kind in ("PodScheduled", "PodReadyToStartContainers", "Initialized")]
    hint = pod_hint_of({"metadata": {"uid": "1", "resourceVersion": "7"}, "status": {"conditions": steps}})
    assert len(hint.conditions) == heard * len(steps)


def test_the_versions_of_a_sets_pods_are_told_whether_or_not_somebody_was_woken_for_them(heard: Heard) -> None:
    def versions() -> dict[str, str]:
        return dict(heard.sources.of(*KVSTORE, keep=False).pods)

    assert versions() == {}
    heard.pod(pod(), "kvstore-0")
    heard.pod(pod(resourceVersion="8"), "kvstore-1")
    heard.pod(pod(ownerReferences=[]), "stray")
    assert versions() == {"kvstore-0": "7", "kvstore-1": "8"}
    assert heard.pod(pod(resourceVersion="9"), "kvstore-0") == []
    assert versions() == {"kvstore-0": "9", "kvstore-1": "8"}
    heard.pod(None, "kvstore-1")
    heard.pod(pod(resourceVersion="10", ownerReferences=[{"name": "other", "controller": True}]), "kvstore-0")
    assert versions() == {}
    assert heard.sources.of("shop", "other", keep=False).pods == {"kvstore-0": "10"}


def test_a_pod_that_was_written_has_that_version_unless_another_owns_it_by_then(heard: Heard) -> None:
    heard.pod(pod(), "kvstore-0")
    for version, owner in (("8", "kvstore"), ("9", "other")):
        heard.sources.take_in(named("kvstore-0", version, owner))
        assert heard.sources.of(*KVSTORE, keep=False).pods == {"kvstore-0": "8"}
    assert heard.pod(None, "kvstore-0") == [KVSTORE]


def test_pods_are_kept_whole_from_look_to_look_for_whoever_asked_for_that(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MOST_NEWS", 2)

    def show(name: str, version: str) -> None:
        heard.sources.pods.apply(None, {"type": "MODIFIED", "object": named(name, version)})

    def news(keep: bool) -> dict[str, str]:
        found = heard.sources.of(*KVSTORE, keep=keep).news
        return {name: raw["metadata"]["resourceVersion"] for name, raw in found.items()}

    show("kvstore-0", "7")
    assert news(keep=True) == {}
    show("kvstore-0", "9")
    show("kvstore-0", "8")
    show("kvstore-1", "10")
    show("kvstore-2", "11")
    show("kvstore-1", "12")
    assert news(keep=True) == {"kvstore-0": "9", "kvstore-1": "12"}
    assert news(keep=True) == {}
    show("kvstore-2", "13")
    heard.sources.take_in(named("kvstore-2", "14"))
    assert news(keep=False) == {"kvstore-2": "14"}
    show("kvstore-0", "15")
    assert news(keep=False) == {}


def test_a_set_is_told_as_it_was_shown_where_a_rollout_names_it_and_so_is_the_rollout(heard: Heard) -> None:
    def show(version: str) -> Json:
        raw = stateful_set(2)
        raw["metadata"] |= {"namespace": "shop", "name": "kvstore", "resourceVersion": version}
        heard.sources.stateful_sets.apply(None, {"type": "MODIFIED", "object": raw})
        return raw

    show("7")
    shown = rollout("kvstore")
    shown["metadata"] |= {"namespace": "shop", "name": "kvstore", "resourceVersion": "8"}
    heard.sources.rollouts.apply(None, {"type": "ADDED", "object": shown})
    of = heard.sources.of(*KVSTORE, keep=False)
    assert (of.rollouts, of.stateful_set) == ([shown], None)
    assert show("9") == heard.sources.of(*KVSTORE, keep=False).stateful_set
    gone = {**shown, "metadata": {**shown["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    heard.sources.rollouts.apply(None, {"type": "MODIFIED", "object": gone})
    assert heard.sources.of(*KVSTORE, keep=False).rollouts == []


def test_what_our_own_view_knows_already_wakes_nobody(heard: Heard) -> None:
    key, hint = ("shop", "kv"), rollout_hint_of(rollout("kv"))

    def hear_of(hint: RolloutHint, gone: bool = False) -> list[Key]:
        heard.keys.clear()
        heard.sources.hear_of(key, hint, gone)
        return heard.keys

    assert hear_of(hint) == [KVSTORE]
    heard.rollout(rollout("kv"), "kv")
    assert hear_of(hint) == []
    assert hear_of(replace(hint, generation=2)) == [KVSTORE]
    assert hear_of(hint, gone=True) == [KVSTORE]
