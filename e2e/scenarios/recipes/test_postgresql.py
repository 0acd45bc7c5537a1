"""PostgreSQL with Patroni: writers and readers notice nothing but a pause when the primary is handed over."""

from __future__ import annotations

import pytest

from e2e.harness.journal import PODS
from e2e.recipes.page import read_page
from e2e.recipes.trial import Recipe, Trial
from e2e.scenarios.recipes.conftest import OpenTrial

LOGIN = "port=5432 dbname=app user=app password=change-me-as-well connect_timeout=2"
RECIPE = Recipe(
    page=read_page("postgresql"),
    images={"patroni:4.1-pg15": "recipe-postgresql:dev"},
    client="postgresql",
    arguments=(
        *("--primary", f"host=postgresql target_session_attrs=read-write {LOGIN}"),
        *("--replicas", f"host=postgresql-replicas {LOGIN}"),
    ),
)


def test_a_rollout_of_postgresql_loses_nothing(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE)
    trial.roll_out()
    trial.assert_nobody_noticed()


def test_the_primary_moves_once_in_each_rollout_wherever_it_is(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE)
    trial.roll_out(times=2)
    assert len(primaries_of(trial)) == 3, f"primary after primary: {primaries_of(trial)}"
    trial.assert_nobody_noticed()


@pytest.mark.comparison
def test_a_rollout_of_postgresql_by_kubernetes_alone(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE, rolled=False)
    trial.roll_out(times=2)
    assert trial.finish()["requests"]


def primaries_of(trial: Trial) -> list[str]:
    """The names of the pods that became the primary, one after the other, by the label that Patroni sets."""
    roles: dict[str, str | None] = {}
    found = []
    for change in trial.journal.history():
        if change.plural != PODS:
            continue
        metadata = change.item["metadata"]
        role = metadata.get("labels", {}).get("role")
        if role == "primary" != roles.get(metadata["uid"]):
            found.append(change.name)
        roles[metadata["uid"]] = role
    return found
