"""What kopf hears and asks for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from statefulrollout.api import names
from statefulrollout.handlers import hear_rollouts
from statefulrollout.kube import paths
from statefulrollout.kube.client import Kube
from statefulrollout.kube.reflector import Key
from statefulrollout.kube.sources import Sources
from tests.unit.kube.fake_api import FakeApi, Json
from tests.unit.kube.waiting import until

ROLLOUTS = paths.statefulrollouts()


def rollout(name: str, target: str, namespace: str = "shop") -> Json:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"namespace": namespace, "name": name, "uid": f"uid-{name}", "generation": 1},
        "spec": {"targetRef": {"name": target}},
    }


async def test_kopf_wakes_and_writes_nothing(
    api: FakeApi, kube: Kube, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    for number in range(3):
        item = rollout(f"kv-{number}", f"kv-{number}")
        api.put(paths.statefulrollouts("shop", f"kv-{number}"), item)
    woken: list[Key] = []
    kopf = asyncio.create_task(hear_rollouts(Sources(kube, woken.append)))
    await until(lambda: len(woken) == 3, seconds=20)
    await until(lambda: api.seen("WATCH", ROLLOUTS) != [], seconds=20)
    kopf.cancel()
    await asyncio.gather(kopf, return_exceptions=True)
    assert sorted(woken) == [("shop", f"kv-{number}") for number in range(3)]
    assert {one.verb for one in api.requests} == {"GET", "WATCH"}
    # Nothing but the one resource: no namespaces, no definitions.
    assert {one.path for one in api.requests} <= {"/api", "/api/v1", "/apis", f"/apis/{names.API_VERSION}", ROLLOUTS}


async def test_in_some_namespaces_kopf_looks_at_nothing_else(
    api: FakeApi, kube: Kube, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    for place in ("shop", "web", "other"):
        api.put(paths.statefulrollouts(place, "kv"), rollout("kv", "kvstore", place))
    woken: list[Key] = []
    kopf = asyncio.create_task(hear_rollouts(Sources(kube, woken.append, ["shop", "web"])))
    await until(lambda: len(woken) == 2, seconds=20)
    kopf.cancel()
    await asyncio.gather(kopf, return_exceptions=True)
    assert sorted(woken) == [("shop", "kvstore"), ("web", "kvstore")]
    assert not api.seen("GET", ROLLOUTS)
