"""nginx: every download ends, and clients are told to go before their connection is closed."""

from __future__ import annotations

import pytest

from e2e.harness.kubectl import list_of
from e2e.recipes.page import read_page
from e2e.recipes.trial import Recipe
from e2e.scenarios.recipes.conftest import OpenTrial

RECIPE = Recipe(read_page("nginx"), {"nginx:1.27": "recipe-nginx:dev"}, client="nginx")


def test_nginx_loses_nothing(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE)
    trial.roll_out()
    trial.assert_nobody_noticed()
    assert trial.figures["downloads"]
    assert trial.figures["told_to_close"]
    assert trial.figures["went_away"]


def test_nginx_that_ran_before_its_rollout_loses_nothing(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE, rolled=False)
    trial.kubectl.run("apply", "-n", trial.namespace, "-f", "-", stdin=list_of([RECIPE.page.rollout]))
    trial.rolled = True
    trial.wait("the StatefulRollout to be ready", trial.is_complete)
    assert trial.rollout["status"]["ungated"] == len(trial.pods)
    trial.roll_out()
    assert trial.rollout["status"].get("ungated", 0) == 0
    trial.assert_nobody_noticed()


@pytest.mark.comparison
def test_nginx_without(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE, rolled=False)
    trial.roll_out()
    assert trial.finish()["requests"]
