"""Pods that flap: what is written of them, how often, and that they are ready in the end."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from bench import flapping as flapping_module
from bench.flapping import Flapping, build_readiness
from e2e.harness.api import Api, ApiRefusedError
from e2e.harness.kubectl import Json

PODS = [f"hot-{number}" for number in range(6)]


@dataclass(frozen=True)
class Recorder(Api):
    """Takes every request, or refuses them all."""

    port: int = 0
    refuses: bool = False
    last: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def send(self, method: str, path: str, body: object = None, content_type: str | None = None) -> Json:
        if self.refuses:
            raise ApiRefusedError(method, path, 404, "no such pod")
        assert isinstance(body, dict)
        self.counts[path] += 1
        self.last[path] = body["status"]["conditions"][1]["status"]
        return {}


def test_every_pod_flaps_and_all_are_ready_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flapping_module, "CHANGES_PER_SECOND", 0.01)
    api = Recorder()
    with Flapping(api, "shop", PODS) as flapping:
        while len(api.last) < len(PODS):
            time.sleep(0.01)
    assert set(api.last) == {f"/api/v1/namespaces/shop/pods/{pod}/status" for pod in PODS}
    assert set(api.last.values()) == {"True"}
    assert set(api.counts.values()) == {2}
    assert flapping.flaps == len(PODS)


def test_a_request_that_fails_is_not_hidden() -> None:
    with pytest.raises(ApiRefusedError), Flapping(Recorder(refuses=True), "shop", PODS):
        pass


def test_a_pod_that_is_not_ready_is_so_because_of_its_containers() -> None:
    assert build_readiness(False, datetime(2030, 1, 1, tzinfo=UTC)) == {
        "status": {
            "conditions": [
                {"type": "ContainersReady", "status": "False", "lastTransitionTime": "2030-01-01T00:00:00Z"},
                {"type": "Ready", "status": "False", "lastTransitionTime": "2030-01-01T00:00:00Z"},
            ]
        }
    }
