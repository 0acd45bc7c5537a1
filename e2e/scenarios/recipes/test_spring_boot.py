"""A Spring Boot service that holds sessions in memory, and clients that find it by a registry."""

from __future__ import annotations

import re

import pytest

from e2e.recipes.page import read_page
from e2e.recipes.trial import Recipe, Trial
from e2e.scenarios.recipes.conftest import OpenTrial

IMAGE = "recipe-spring-boot:dev"
RECIPE = Recipe(
    page=read_page("spring-boot"),
    images={"shop/carts:1.0": IMAGE, "shop/eureka:1.0": IMAGE},
    client="spring_boot",
    arguments=("http://eureka:8761/eureka", "CARTS"),
)


def test_a_spring_boot_service_with_sessions_in_memory_loses_nothing(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE)
    trial.roll_out()
    trial.assert_nobody_noticed()


def test_a_pod_that_is_to_stay_after_all_is_registered_again(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE)
    before = {pod.uid for pod in trial.pods}
    trial.kubectl.run("rollout", "restart", "statefulset", trial.name, "-n", trial.namespace)
    trial.wait("carts-2 to be settling", lambda: "settling" in trial.rollout.get("status", {}).get("message", ""))
    assert registered_as(trial, "carts-2") == "OUT_OF_SERVICE"
    trial.kubectl.run("rollout", "undo", "statefulset", trial.name, "-n", trial.namespace)
    trial.wait("carts-2 to serve again", lambda: trial.is_complete() and before == {pod.uid for pod in trial.pods})
    assert registered_as(trial, "carts-2") == "UP"
    trial.assert_nobody_noticed()


@pytest.mark.comparison
def test_what_clients_of_a_spring_boot_service_notice_without_it(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE, rolled=False)
    trial.roll_out()
    assert trial.finish()["requests"]


def registered_as(trial: Trial, instance: str) -> str:
    """The status of an instance as Eureka has it, without the caches of its list."""
    path = f"/api/v1/namespaces/{trial.namespace}/services/eureka:8761/proxy/eureka/apps/CARTS/{instance}"
    found = re.search(r"\bstatus\W+(\w+)", trial.kubectl.run("get", "--raw", path))
    assert found, f"Eureka does not know {instance}"
    return found[1]
