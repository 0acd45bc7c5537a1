"""Workers with long tasks: each finishes what it has begun, and one that stays after all goes on pulling."""

from __future__ import annotations

import time

import pytest

from e2e.harness.api import pod_path
from e2e.kvstore.manifests import build_container_security, build_pod_security
from e2e.recipes.page import Json, read_page
from e2e.recipes.trial import Recipe, Trial
from e2e.scenarios.recipes.conftest import OpenTrial

PAGE, IMAGE = read_page("long-running-worker"), "recipe-python-systems:dev"
ADMIN_PORT = 8081
BETWEEN_POLLS_SECONDS, LOOK_SECONDS = 5.0, 0.2
"""A worker has nothing in hand for a moment after each poll, and for a second where the queue did not answer."""


def build_queue() -> list[Json]:
    """The queue that the workers pull from, and its Service."""
    labels = {"app": "tasks"}
    container = {
        "name": "tasks",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": ["e2e.recipes.systems.task_queue"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"port": "http", "path": "/tasks"}, "periodSeconds": 1, "timeoutSeconds": 2},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": build_container_security(),
    }
    pod: Json = {"terminationGracePeriodSeconds": 2, "automountServiceAccountToken": False}
    pod |= {"securityContext": build_pod_security(), "enableServiceLinks": False, "containers": [container]}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "tasks"},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 8080, "targetPort": "http"}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "tasks"},
            "spec": {
                "serviceName": "tasks",
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]


RECIPE = Recipe(PAGE, {"worker:1.0": IMAGE, IMAGE: IMAGE}, client="long_running_worker", more=tuple(build_queue()))


def test_a_worker_that_stays_after_all_pulls_again(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE)
    before = {pod.name: pod.uid for pod in trial.pods}
    trial.kubectl.run("rollout", "restart", "statefulset", trial.name, "-n", trial.namespace)
    trial.wait("workers that drain", lambda: "Draining" in [pod["stage"] for pod in trial.rollout["status"]["pods"]])
    trial.kubectl.run("rollout", "undo", "statefulset", trial.name, "-n", trial.namespace)
    trial.await_complete()
    for name in before:
        status = status_of(trial, name)
        assert not status["draining"], f"{name} was not told that it stays: {status}"
        give_up_at = time.monotonic() + BETWEEN_POLLS_SECONDS
        while not (status["polls"] or status["tasks"]):
            assert time.monotonic() < give_up_at, f"{name} does not pull: {status}"
            time.sleep(LOOK_SECONDS)
            status = status_of(trial, name)
    assert {pod.name: pod.uid for pod in trial.pods} == before
    trial.assert_nobody_noticed()


def status_of(trial: Trial, pod: str) -> Json:
    """What a worker says of itself."""
    return trial.api.get(pod_path(trial.namespace, pod, ADMIN_PORT, "/status"))


def test_a_long_running_worker_loses_nothing(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE)
    trial.roll_out()
    trial.assert_nobody_noticed()


@pytest.mark.comparison
def test_a_long_running_worker_without(open_trial: OpenTrial) -> None:
    trial = open_trial(RECIPE, rolled=False)
    trial.roll_out()
    assert trial.finish()["requests"]
