"""The same scripts on the real cluster and in the simulation: what became of every object must be the same.

So what the simulation shows is true of Kubernetes. Where the two differ, the simulation is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from e2e.harness.journal import PODS, STATEFUL_SETS, Change
from e2e.harness.kubectl import Json
from e2e.harness.shop import Shop, pod_name
from e2e.scenarios.conftest import OpenShop
from tests.simulation.scripts import SCRIPTS, Script, Version, perform, transcript_of
from tests.simulation.world.loop import simulate


@dataclass(frozen=True)
class Performer:
    """Does on the cluster what a script says."""

    shop: Shop

    def roll_out(self) -> None:
        self.shop.change_template()

    def scale(self, replicas: int) -> None:
        self.shop.scale(replicas)

    def pause(self, paused: bool) -> None:
        self.shop.pause(paused=paused)

    def delete_pod(self, ordinal: int) -> None:
        self.shop.delete_pod(ordinal)

    def until_pods(self, count: int) -> None:
        shop = self.shop
        shop.wait(f"{count} pods", lambda: len(shop.pods) == count and all(pod.ready for pod in shop.pods))

    def until_shut(self, ordinal: int) -> None:
        self.shop.wait(f"{pod_name(ordinal)} to leave", lambda: (pod := self.shop.pod(ordinal)) and pod.leaves_for)

    def until_updated(self, ordinal: int) -> None:
        shop = self.shop
        shop.wait(
            f"{pod_name(ordinal)} to be updated",
            lambda: (pod := shop.pod(ordinal)) and pod.ready and pod.revision == shop.wanted,
        )

    def until_complete(self) -> None:
        self.shop.await_complete()


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_simulation_does_as_the_cluster_does(open_shop: OpenShop, name: str) -> None:
    script = SCRIPTS[name]
    shop = open_shop(
        policy="OrderedReady" if script.ordered else "Parallel",
        replicas=script.replicas,
        rolled=script.rolled,
        rollout=script.spec,
        load=False,
    )
    if strategy := script.strategy:
        shop.patch_stateful_set({"updateStrategy": {"rollingUpdate": None, **strategy}})
        shop.wait("the strategy", lambda: strategy.items() <= shop.stateful_set["spec"]["updateStrategy"].items())
        shop.await_complete()
    assert play(shop, script) == simulate(perform(script))


def play(shop: Shop, script: Script) -> dict[str, list[str]]:
    """Play a script on the cluster."""
    performer = Performer(shop)
    before = shop.journal.history()
    for verb, *arguments in script.steps:
        getattr(performer, str(verb))(*arguments)
    return transcript_of(versions_of(before, shop.journal.history()[len(before) :]))


def versions_of(before: list[Change], changes: list[Change]) -> Iterator[Version]:
    """The changes of pods and of the StatefulSet, each beside the object as it was before it."""
    seen: dict[tuple[str, Any], Json] = {}
    for change in before:
        seen[change.plural, change.item["metadata"]["uid"]] = change.item
    for change in changes:
        key = (change.plural, change.item["metadata"]["uid"])
        if change.plural in (PODS, STATEFUL_SETS):
            after = None if change.gone else change.item
            yield Version(change.plural, change.name, seen.get(key), after)
        seen[key] = change.item
