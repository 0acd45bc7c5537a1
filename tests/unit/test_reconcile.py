"""One pass: who governs, what is done before what is asked, when status is written, and when to look again."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from statefulrollout.api import names
from statefulrollout.core.asks import Answer, Ask, Report
from statefulrollout.core.fence import STRATEGIES
from statefulrollout.core.floor import ALL
from statefulrollout.core.snapshot import FenceKind
from statefulrollout.errors import NotLeader
from statefulrollout.hooks.runner import Key
from statefulrollout.kube import paths
from statefulrollout.kube.known import Heard
from statefulrollout.reconcile import AGAIN, LATER, Reconciler
from tests.builders import DRAIN, NOW, a_report
from tests.unit.kube.recorder import (
    VERSION,
    Json,
    RecordedEvents,
    RecordedKube,
    a_raw_pod,
    a_raw_rollout,
    a_raw_set,
    raw_floor,
)

KEY = ("shop", "db")
ROLLOUTS = paths.statefulrollouts("shop")
STATUS = f"{ROLLOUTS}/db/status"
SET = paths.statefulsets("shop", "db")
POD = paths.pods("shop", "db-0")
LEDGERS = paths.statefulrolloutledgers("shop")
HOLD = dict(STRATEGIES[FenceKind.HOLD])


class RecordedHooks:
    """Remembers what was to be asked; `answers` are given to whatever has been asked."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.answer = answer
        self.may_exec = False

    def sync(self, key: Key, asks: Sequence[Ask]) -> None:
        assert key == KEY
        self.asked.append(tuple(ask.id for ask in asks))

    def reports(self, key: Key) -> Mapping[str, Report]:
        assert key == KEY
        if self.answer is None or not self.asked:
            return {}
        return {ask_id: a_report(self.answer) for ask_id in self.asked[-1]}


class Bench:
    """A reconciler among recording fakes."""

    def __init__(self, *objects: tuple[str, Json]) -> None:
        self.kube = RecordedKube({path: copy.deepcopy(item) for path, item in (*objects, *FLOOR)})
        self.hooks = RecordedHooks()
        self.events = RecordedEvents()
        self.leading = True
        self.now = NOW
        self.heard = ""
        self.taken_in: list[Json] = []
        self.namespaces: list[str] = []
        self.reconciler = Reconciler(self.kube, self.hooks, self.events, self._check, self, lambda: self.now)

    def _check(self) -> None:
        if not self.leading:
            raise NotLeader

    def of(self, namespace: str, stateful_set: str, keep: bool) -> Heard:
        assert (namespace, stateful_set) == KEY
        return Heard(version=self.heard)

    def take_in(self, pod: Json) -> None:
        self.taken_in.append(pod)

    async def run(self) -> float | None:
        self.kube.calls.clear()
        return await self.reconciler.reconcile(KEY)

    @property
    def written(self) -> list[tuple[str, str]]:
        return [(call.method, call.path) for call in self.kube.writes]

    def status_sent(self, path: str = STATUS) -> Json:
        (call,) = (call for call in self.kube.writes if call.path == path)
        status: Json = call.body["status"]
        return status


def a_ledger_of(**spec: Any) -> tuple[str, Json]:
    taken = {
        "rolloutUid": "uid-rollout-db",
        "statefulSetUid": "uid-db",
        "deletionPolicy": "Freeze",
        "originalStrategy": {"type": "RollingUpdate"},
    }
    return f"{LEDGERS}/db", {
        "metadata": {"name": "db", "namespace": "shop", "uid": "uid-ledger", "resourceVersion": "41"},
        "spec": {**taken, **spec},
    }


ROLLOUT = (f"{ROLLOUTS}/db", a_raw_rollout())
AT_REST = (SET, {**a_raw_set(replicas=1, updateStrategy=HOLD), "status": {
    "observedGeneration": 7, "currentRevision": "db-v1", "updateRevision": "db-v1",
}})  # fmt: skip
HEALTHY = (POD, a_raw_pod("db-0"))
FLOOR = [(f"{paths.poddisruptionbudgets('shop')}/{raw['metadata']['name']}", raw) for raw in raw_floor(ALL)]


def at_rest(*more: tuple[str, Json]) -> Bench:
    return Bench(ROLLOUT, AT_REST, HEALTHY, a_ledger_of(), *more)


async def test_at_rest_only_the_status_is_written_and_nothing_is_scheduled() -> None:
    bench = at_rest()
    assert await bench.run() is None
    assert bench.written == [("PATCH", STATUS)]
    assert bench.status_sent()["phase"] == "Healthy"
    assert bench.hooks.asked == [()]


async def test_a_status_that_says_so_already_is_not_written() -> None:
    bench = at_rest()
    await bench.run()
    said = {key: value for key, value in bench.status_sent().items() if value is not None}
    bench.kube.objects[ROLLOUT[0]]["status"] = said
    bench.now += 600
    assert await bench.run() is None
    assert bench.written == []


async def test_after_acting_it_looks_again_before_it_speaks() -> None:
    bench = Bench(ROLLOUT, AT_REST, HEALTHY)
    assert await bench.run() == AGAIN
    assert bench.written == [("POST", LEDGERS)]
    assert bench.hooks.asked == [()]


LEAVING_POD = a_raw_pod(
    "db-0",
    metadata={
        "annotations": {
            names.FACTS_ANNOTATION: '{"containers":{"store":"containerd://1"},"stuck":false,"wanted":"db-v2"}'
        }
    },
    status={"conditions": [{"type": names.SERVING, "status": "False", "lastTransitionTime": "2027-01-15T07:59:00Z"}]},
)


def draining() -> Bench:
    """A pod that is isolated and to be drained."""
    rollout = a_raw_rollout(drain={**DRAIN, "propagationSeconds": 0})
    return Bench((ROLLOUT[0], rollout), (SET, a_raw_set(replicas=1)), (POD, LEAVING_POD), a_ledger_of())


async def test_the_application_is_asked_once_the_ledger_remembers() -> None:
    bench = draining()
    assert await bench.run() == AGAIN
    assert bench.written == [("PUT", f"{LEDGERS}/db")]
    ((asked,),) = bench.hooks.asked
    (entry,) = bench.kube.writes[0].body["spec"]["openHooks"]
    assert entry["id"] == asked


async def test_the_application_is_not_asked_where_the_ledger_was_not_written() -> None:
    bench = draining()
    bench.kube.refuse("PUT", f"{LEDGERS}/db", 409)
    assert await bench.run() == AGAIN
    assert bench.hooks.asked == []
    assert bench.events.words == []


async def test_after_its_own_writes_pods_are_not_older_than_those_and_after_a_conflict_as_they_are_now() -> None:
    shut = a_raw_pod("db-0", status={"conditions": [{"type": "ContainersReady", "status": "True"}]})
    bench = Bench(ROLLOUT, AT_REST, (POD, shut), a_ledger_of())

    async def since() -> str | None:
        await bench.run()
        (listing,) = (call for call in bench.kube.calls if call.path == paths.pods("shop"))
        return listing.params.get("resourceVersion")

    assert await since() is None
    (wrote,) = (number for number, call in enumerate(bench.kube.calls, 1) if call.method == "PATCH")
    assert await since() == f"{VERSION + wrote}"
    bench.heard = f"{VERSION + 99}"
    assert await since() == bench.heard
    bench.kube.refuse("PATCH", f"{POD}/status", 409)
    assert await since() == bench.heard
    assert await since() is None


async def test_it_looks_again_when_the_deadline_of_the_hook_is_over() -> None:
    bench = draining()
    await bench.run()
    bench.kube.objects[f"{LEDGERS}/db"]["spec"] = bench.kube.writes[0].body["spec"]
    bench.now += 100
    assert await bench.run() == 200
    assert bench.written == [("PATCH", STATUS)]
    assert "db-0 is Draining and waits for drain" in bench.status_sent()["message"]


async def test_an_answer_moves_the_pod_on() -> None:
    bench = draining()
    await bench.run()
    bench.kube.objects[f"{LEDGERS}/db"]["spec"] = bench.kube.writes[0].body["spec"]
    bench.hooks.answer = Answer.DONE
    assert await bench.run() == LATER
    assert bench.written == [
        ("PATCH", paths.pods("shop", "db-0", "status")),
        ("DELETE", paths.pods("shop", "db-0")),
    ]
    assert [word.reason for word in bench.events.words if word.on == "Pod/db-0"] == ["PodReleased", "PodRemoved"]


async def test_who_does_not_lead_writes_nothing() -> None:
    for bench in (at_rest(), draining()):
        bench.leading = False
        with pytest.raises(NotLeader):
            await bench.run()
        assert bench.written == []


async def test_a_younger_rollout_of_the_same_set_is_refused_by_name() -> None:
    younger = a_raw_rollout("another", "2027-01-15T07:00:00Z")
    bench = at_rest((f"{ROLLOUTS}/another", younger))
    assert await bench.run() is None
    refused = bench.status_sent(f"{ROLLOUTS}/another/status")
    assert refused["phase"] == "Failed"
    assert "StatefulRollout db is older and rolls this StatefulSet already" in refused["message"]
    assert bench.status_sent()["phase"] == "Healthy"


UNREADABLE = (ROLLOUT[0], a_raw_rollout(fromTheFuture=1))


async def test_a_spec_that_cannot_be_read_is_refused_and_gates_are_opened() -> None:
    shut = a_raw_pod("db-0", status={"conditions": [{"type": "ContainersReady", "status": "True"}]})
    bench = Bench(UNREADABLE, AT_REST, (POD, shut), a_ledger_of())
    assert await bench.run() is None
    assert bench.written == [("PATCH", STATUS), ("PATCH", f"{POD}/status")]
    assert bench.status_sent()["message"].startswith("spec.fromTheFuture: ")
    (condition,) = bench.kube.writes[1].body["status"]["conditions"]
    assert (condition["type"], condition["status"]) == (names.SERVING, "True")


async def test_an_unreadable_spec_of_a_set_that_is_not_there_is_refused_too() -> None:
    bench = Bench(UNREADABLE)
    assert await bench.run() is None
    assert bench.written == [("PATCH", STATUS)]


async def test_a_set_that_is_not_there_is_named() -> None:
    bench = Bench(ROLLOUT)
    assert await bench.run() is None
    assert "there is no StatefulSet db" in bench.status_sent()["message"]
    assert bench.hooks.asked == [()]


@pytest.mark.parametrize("answer", [404, 409])
async def test_a_status_that_somebody_else_wrote_meanwhile_is_looked_at_anew(answer: int) -> None:
    bench = at_rest()
    bench.kube.refuse("PATCH", STATUS, answer)
    assert await bench.run() == AGAIN


async def test_nobody_is_chosen_where_something_else_is_asked_for_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    rollout = a_raw_rollout(strategy={"allowFullOutage": True})
    bench = Bench((ROLLOUT[0], rollout), (SET, a_raw_set(replicas=1)), HEALTHY, a_ledger_of())
    list_all = bench.kube.list_all

    async def list_and_change(path: str, **params: Any) -> list[Json]:
        listed = await list_all(path, **params)
        if path == ROLLOUTS:
            metadata = {**rollout["metadata"], "generation": 4}
            bench.kube.objects[ROLLOUT[0]] = {**rollout, "metadata": metadata}
        return listed

    with monkeypatch.context() as patched:
        patched.setattr(bench.kube, "list_all", list_and_change)
        assert await bench.run() == AGAIN
    assert bench.written == []
    await bench.run()
    assert ("PATCH", f"{POD}/status") in bench.written


async def test_without_a_rollout_what_is_left_is_taken_away() -> None:
    bench = Bench((SET, a_raw_set(replicas=1)), HEALTHY, a_ledger_of())
    assert await bench.run() == AGAIN
    assert bench.written == [("PATCH", SET)]
    assert [(word.on, word.reason) for word in bench.events.words] == [("StatefulSet/db", "FenceLeftBehind")]
    bench.kube.objects[SET]["spec"]["updateStrategy"] = HOLD
    assert await bench.run() == AGAIN
    assert bench.written == [("PATCH", f"{POD}/status"), *(("DELETE", path) for path, _ in FLOOR)]
    for path, _ in FLOOR:
        del bench.kube.objects[path]
    assert await bench.run() == AGAIN
    assert bench.written[0] == ("PUT", f"{LEDGERS}/db")


async def test_a_set_that_bears_no_trace_of_us_is_left_alone() -> None:
    bare = a_raw_pod("db-0", metadata={"labels": {}, "annotations": {}}, spec={"readinessGates": []})
    bench = Bench((SET, a_raw_set(replicas=1)), (POD, bare))
    assert await bench.run() is None
    assert bench.written == []


async def test_a_set_that_is_gone_is_asked_nothing() -> None:
    bench = Bench()
    assert await bench.run() is None
    assert bench.written == []
    assert bench.hooks.asked == [()]


async def test_the_time_since_isolation_is_remembered_from_pass_to_pass() -> None:
    rollout = a_raw_rollout(drain={**DRAIN, "propagationSeconds": 5})
    bench = Bench((ROLLOUT[0], rollout), (SET, a_raw_set(replicas=1)), (POD, LEAVING_POD), a_ledger_of())
    assert await bench.run() == 5
    bench.now += 4
    assert await bench.run() == 1
    bench.now += 1
    assert await bench.run() == AGAIN


async def test_a_sweep_finds_whatever_bears_a_trace_of_us() -> None:
    elsewhere = a_raw_rollout("web")
    elsewhere["metadata"]["namespace"], elsewhere["spec"]["targetRef"]["name"] = "front", "web"
    orphan = a_raw_pod("x-0", metadata={"namespace": "deep", "ownerReferences": None})
    job = a_raw_pod("y-0", metadata={"ownerReferences": [{"kind": "Job", "name": "y", "uid": "y", "controller": True}]})
    bench = Bench(
        ROLLOUT,
        (paths.statefulrollouts("front", "web"), elsewhere),
        (f"{LEDGERS}/old", {"metadata": {"name": "old", "namespace": "shop"}}),
        HEALTHY,
        (paths.pods("deep", "x-0"), orphan),
        (paths.pods("shop", "y-0"), job),
    )
    assert await bench.reconciler.sweep() == [("front", "web"), ("shop", "db"), ("shop", "old")]
    (listing,) = (call for call in bench.kube.calls if call.path == paths.pods())
    assert listing.params["labelSelector"] == "statefulrollout.dev/fenced=true"
    bench.kube.calls.clear()
    bench.namespaces = ["shop"]
    assert await bench.reconciler.sweep() == [("shop", "db"), ("shop", "old")]
    assert all("/namespaces/shop/" in call.path for call in bench.kube.calls)
