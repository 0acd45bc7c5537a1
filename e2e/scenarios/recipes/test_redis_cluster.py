"""Redis Cluster: primaries hand over before they leave."""

from __future__ import annotations

import pytest

from e2e.recipes.page import read_page
from e2e.recipes.trial import Recipe
from e2e.scenarios.recipes.conftest import OpenTrial

RECIPE = Recipe(read_page("redis-cluster"), {"redis:7.4": "recipe-redis:dev"}, client="redis_cluster")


def test_a_redis_cluster_loses_nothing(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE)
    trial.roll_out()
    trial.assert_nobody_noticed()


@pytest.mark.comparison
def test_a_redis_cluster_without(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE, rolled=False)
    trial.roll_out()
    assert trial.finish()["requests"]
