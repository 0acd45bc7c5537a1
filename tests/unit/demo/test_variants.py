"""What the two sides are made of, and when the update of each is complete."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.demo.variants import build_variants, is_rolled_out, is_stalled, is_updated
from e2e.kvstore.manifests import build_statefulset
from statefulrollout.api.v1alpha1 import Spec


def statefulset(**status: Any) -> dict[str, Any]:
    complete = {
        "observedGeneration": 2,
        "currentRevision": "b",
        "updateRevision": "b",
        "updatedReplicas": 5,
        "readyReplicas": 5,
    }
    return {"spec": {"replicas": 5}, "status": {**complete, **status}}


def rollout(ready: str = "True", stalled: str = "False", generation: int = 1, **status: Any) -> dict[str, Any]:
    conditions = [
        {"type": "Ready", "status": ready, "observedGeneration": generation},
        {"type": "Stalled", "status": stalled, "observedGeneration": generation},
    ]
    complete = {"wantedRevision": "b", "acceptedRevision": "b", "conditions": conditions}
    return {"metadata": {"generation": 1}, "status": {**complete, **status}}


def test_a_statefulset_is_updated_when_all_pods_are_new_and_ready() -> None:
    assert is_updated(statefulset(), 2)


@pytest.mark.parametrize(
    "status",
    [{"observedGeneration": 1}, {"currentRevision": "a"}, {"updatedReplicas": 4}, {"readyReplicas": 4}],
    ids=str,
)
def test_it_is_not_before(status: dict[str, Any]) -> None:
    assert not is_updated(statefulset(**status), 2)


def test_a_rollout_is_complete_when_it_says_so_of_this_revision() -> None:
    assert is_rolled_out(rollout(), "b")


@pytest.mark.parametrize(
    "unfinished",
    [
        rollout(ready="False"),
        rollout(generation=0),
        rollout(wantedRevision="a"),
        rollout(acceptedRevision="a"),
        {"metadata": {"generation": 1}},
    ],
    ids=str,
)
def test_it_is_not_complete_before(unfinished: dict[str, Any]) -> None:
    assert not is_rolled_out(unfinished, "b")


def test_a_rollout_is_stalled_only_at_the_revision_in_question() -> None:
    assert is_stalled(rollout(stalled="True"), "b")
    assert not is_stalled(rollout(stalled="True"), "c")
    assert not is_stalled(rollout(), "b")


def test_the_two_sides_differ_in_nothing_but_how_members_are_known_and_who_rolls() -> None:
    plain, ours = build_variants("kvstore:dev")

    def template(variant: Any) -> dict[str, Any]:
        container = build_statefulset(variant.store)["spec"]["template"]["spec"]["containers"][0]
        return {**container, "env": [each for each in container["env"] if each["name"] in {"POD_NAME", "VERSION"}]}

    assert template(plain) == template(ours)
    assert (plain.rollout, plain.namespace != ours.namespace) == (None, True)


def test_the_rollout_is_one_that_the_operator_accepts() -> None:
    *_, ours = build_variants("kvstore:dev")
    assert ours.rollout is not None
    spec = Spec.model_validate(ours.rollout["spec"])
    assert spec.drain is not None
    assert (spec.strategy.soak_seconds, spec.drain.propagation_seconds) == (3, 2)
