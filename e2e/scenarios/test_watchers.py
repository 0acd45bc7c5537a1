"""The watchers themselves: each is shown a breach and must see it, and a good rollout in which it must see none.

Scenarios prove nothing if those who watch them are blind. Needs no cluster.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field

import pytest

from e2e.harness.invariants import broken_invariants
from e2e.harness.journal import LEDGERS, PODS, ROLLOUTS, STATEFUL_SETS, Change
from e2e.harness.kubectl import Json
from statefulrollout.api import names
from statefulrollout.core.fence import UNREACHABLE

NAME = "kvstore"
HOLD: Json = {"type": "RollingUpdate", "rollingUpdate": {"partition": UNREACHABLE}}
FORWARD: Json = {"type": "OnDelete"}
LEFT: Json = {names.SERVING: False, names.DRAINED: True, names.MIGRATED: True, names.RELEASED: True, "Ready": False}


@dataclass
class Tale:
    """What happened, second by second; each call is one write."""

    changes: list[Change] = field(default_factory=list)
    now: float = 1000.0

    def write(self, plural: str, item: Json, kind: str = "MODIFIED") -> None:
        self.now += 1
        item = copy.deepcopy(item)
        item["metadata"]["resourceVersion"] = str(len(self.changes) + 1)
        self.changes.append(Change(self.now, kind, plural, item))

    def pod(self, ordinal: int, revision: str = "old", kind: str = "MODIFIED", **facts: object) -> None:
        conditions = {names.SERVING: True, "Ready": True, **facts.pop("conditions", {})}  # type: ignore[dict-item]
        uid, image = facts.pop("uid", f"{ordinal}-{revision}"), facts.pop("image", "kvstore:1")
        annotation = json.dumps({"wanted": "", "containers": {"kvstore": f"id-{uid}"}, **facts})
        labels = {names.REVISION_LABEL: revision, names.FENCED_LABEL: "true"}
        metadata = {"name": f"kvstore-{ordinal}", "uid": uid, "labels": labels,
                    "annotations": {names.FACTS_ANNOTATION: annotation}}  # fmt: skip
        statuses = [{"name": NAME, "containerID": f"id-{uid}", "restartCount": 0, "state": {"running": {}}}]
        listed = [{"type": each, "status": str(holds)} for each, holds in conditions.items()]
        spec = {"readinessGates": [{"conditionType": names.SERVING}], "containers": [{"name": NAME, "image": image}]}
        status = {"phase": "Running", "conditions": listed, "containerStatuses": statuses}
        self.write(PODS, {"metadata": metadata, "spec": spec, "status": status}, kind)

    def stateful_set(self, strategy: Json, current: str = "old", update: str = "new") -> None:
        status = {"currentRevision": current, "updateRevision": update, "observedGeneration": 1}
        spec = {"replicas": 3, "updateStrategy": strategy}
        self.write(STATEFUL_SETS, {"metadata": {"name": "kvstore", "generation": 1}, "spec": spec, "status": status})

    def rollout(self, *, paused: bool = False, true: tuple[str, ...] = ()) -> None:
        conditions = [{"type": kind, "status": str(kind in true), "observedGeneration": 1} for kind in names.CONDITIONS]
        spec = {"paused": paused, "strategy": {"maxUnavailable": 1, "soakSeconds": 5},
                "membership": {"onTimeout": "Pause"}}  # fmt: skip
        status = {"observedGeneration": 1, "conditions": conditions}
        self.write(ROLLOUTS, {"metadata": {"name": "kvstore", "generation": 1}, "spec": spec, "status": status})

    def ledger(self, generation: int, *uids: str, done: bool = True) -> None:
        declaration = {"generation": generation, "done": done, "members": [{"uid": uid} for uid in uids]}
        self.write(LEDGERS, {"metadata": {"name": "kvstore"}, "spec": {"declaration": declaration, "openHooks": []}})


@pytest.fixture
def tale() -> Tale:
    """A rollout that has just begun: three pods serve, kvstore-2 was taken out of service."""
    tale = Tale()
    tale.rollout()
    for ordinal in range(3):
        tale.pod(ordinal, kind="ADDED")
    tale.stateful_set(FORWARD)
    tale.pod(2, wanted="new", conditions={names.SERVING: False, "Ready": False})
    return tale


def test_they_see_nothing_in_a_pod_that_is_replaced_as_it_should_be(tale: Tale) -> None:
    tale.ledger(1, "0-old", "1-old")
    tale.pod(2, wanted="new", conditions=LEFT)
    tale.pod(2, wanted="new", conditions=LEFT, kind="DELETED")
    tale.pod(2, "new", kind="ADDED", conditions={names.SERVING: False, "Ready": False})
    tale.pod(2, "new")
    assert broken_invariants(tale.changes, ()) == []


def test_they_see_a_second_pod_taken_out_of_service_beyond_the_budget(tale: Tale) -> None:
    tale.pod(1, wanted="new", conditions={names.SERVING: False, "Ready": False})
    assert _broken(tale) == ["I1Budget"]


@pytest.mark.parametrize("done", [True, False])
def test_they_see_a_release_before_the_members_have_settled_without_the_pod(tale: Tale, done: bool) -> None:
    tale.ledger(1, "0-old", "1-old", *(["2-old"] if done else []), done=done)
    tale.pod(2, wanted="new", conditions=LEFT)
    assert _broken(tale) == ["I2Drained"]


def test_they_judge_nothing_where_something_may_have_passed_unseen(tale: Tale) -> None:
    tale.ledger(1, "0-old", "1-old", done=False)
    tale.pod(2, wanted="new", conditions=LEFT)
    release = tale.changes[-1].version
    assert broken_invariants(tale.changes, (), [(release - 1, release)]) == []
    assert broken_invariants(tale.changes, (), [(release, release + 5), (1, release - 1)]) != []


def test_they_see_a_release_that_was_true_for_another_container(tale: Tale) -> None:
    tale.ledger(1, "0-old", "1-old")
    tale.pod(2, wanted="new", conditions=LEFT, containers={"kvstore": "id-before-it-restarted"})
    assert _broken(tale) == ["I2Drained"]


def test_they_see_a_pod_restarted_in_place_while_it_serves_or_is_still_a_member(tale: Tale) -> None:
    tale.ledger(1, "0-old", "1-old", "2-old")
    tale.pod(2, "new", uid="2-old", image="kvstore:2", conditions={names.SERVING: False, "Ready": False})
    assert _broken(tale) == ["I2Drained"]
    tale.pod(0, "new", uid="0-old", image="kvstore:2")
    assert _broken(tale).count("I2Drained") == 2


def test_they_see_nothing_in_a_pod_that_is_updated_in_place_as_it_should_be(tale: Tale) -> None:
    tale.ledger(1, "0-old", "1-old")
    tale.pod(2, "new", uid="2-old", image="kvstore:2", conditions={names.SERVING: False, "Ready": False})
    tale.pod(2, "new", uid="2-old", image="kvstore:2")
    assert broken_invariants(tale.changes, ()) == []


def test_they_see_a_release_without_a_drain(tale: Tale) -> None:
    tale.ledger(1, "0-old", "1-old")
    tale.pod(2, wanted="new", conditions={**LEFT, names.DRAINED: False})
    assert _broken(tale) == ["I2Drained"]


def test_they_see_a_pod_deleted_that_nobody_released_unless_the_user_did_it(tale: Tale) -> None:
    tale.pod(0, kind="DELETED")
    assert _broken(tale) == ["I2Drained"]
    assert broken_invariants(tale.changes, {"0-old"}) == []


def test_they_see_a_pod_leave_while_paused(tale: Tale) -> None:
    tale.pod(2)
    tale.rollout(paused=True)
    tale.pod(1, wanted="new", conditions={names.SERVING: False, "Ready": False})
    assert _broken(tale) == ["I4Paused"]


@pytest.mark.parametrize(("strategy", "revision"), [(HOLD, "new"), (FORWARD, "old")])
def test_they_see_a_pod_come_back_at_the_wrong_revision(tale: Tale, strategy: Json, revision: str) -> None:
    tale.pod(2, kind="DELETED", wanted="new", conditions=LEFT)
    tale.stateful_set(strategy)
    tale.pod(2, revision, kind="ADDED", uid="another")
    assert "I5Revision" in _broken(tale)


@pytest.mark.parametrize("second", [(1, "0-old"), (2, "0-old")], ids=["goes back", "changes its members"])
def test_they_see_a_generation_that_does_not_grow(tale: Tale, second: tuple[int, str]) -> None:
    tale.ledger(2, "0-old", "1-old")
    tale.ledger(*second)
    assert _broken(tale) == ["I9Generations"]


def test_they_see_a_status_that_contradicts_itself(tale: Tale) -> None:
    tale.rollout(true=(names.RECONCILING, names.STALLED))
    assert _broken(tale) == ["I10Status"]


def test_they_see_a_revision_accepted_before_its_last_pod_has_soaked(tale: Tale) -> None:
    tale.pod(2)
    tale.now += 60
    tale.pod(0, conditions={"Ready": False})
    tale.pod(0)
    tale.stateful_set(FORWARD, current="new")
    assert _broken(tale) == ["I13Soaked"]


def test_they_see_a_declaration_at_the_end_that_is_not_the_pods_that_exist(tale: Tale) -> None:
    tale.pod(2)
    tale.ledger(1, "0-old", "1-old")
    tale.rollout(true=(names.READY,))
    (problem,) = broken_invariants(tale.changes, ())
    assert "at the end" in problem


def _broken(tale: Tale) -> list[str]:
    return [breach.partition(" ")[0] for breach in broken_invariants(tale.changes, ())]
