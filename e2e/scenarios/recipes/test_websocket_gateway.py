"""A websocket gateway: its clients reconnect one by one, and their sessions move with them."""

from __future__ import annotations

import pytest

from e2e.recipes.page import read_page
from e2e.recipes.trial import Recipe
from e2e.scenarios.recipes.conftest import OpenTrial

RECIPE = Recipe(
    read_page("websocket-gateway"), {"gateway:1.0": "recipe-python-systems:dev"}, client="websocket_gateway"
)


def test_a_websocket_gateway_loses_nothing(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE)
    trial.roll_out()
    trial.assert_nobody_noticed()


@pytest.mark.comparison
def test_a_websocket_gateway_without(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE, rolled=False)
    trial.roll_out()
    assert trial.finish()["requests"]
