"""The operator is killed with SIGKILL in each stage of a pod's life; the next one finds everything in the cluster."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from e2e.harness.executioner import Executioner
from e2e.harness.installation import Installation
from e2e.harness.kubectl import Json
from e2e.scenarios.conftest import OpenShop

pytestmark = pytest.mark.operator_down

MIGRATE: Json = {"apply": {"http": {"port": "admin", "path": "/migrate"}}}
RESTORE: Json = {"apply": {"http": {"port": "admin", "path": "/restore"}}}
ENDLESS: Json = {"mode": "accept-202"}
HOLD_SECONDS = 20
"""Long enough for every shop of a group to be at its moment at the same time."""


@dataclass(frozen=True)
class Moment:
    """A stage, and what makes it last long enough to be killed in; what is endless is mended after the kill."""

    stage: str
    order: Json = field(default_factory=dict)
    faults: Json = field(default_factory=dict)
    template: dict[str, str] = field(default_factory=dict)


LEAVING = [
    Moment("Isolating", {"rollout": {"drain": {"propagationSeconds": HOLD_SECONDS}}}),
    Moment("Draining", faults={"drain": ENDLESS}),
    Moment("Migrating", {"rollout": {"migrate": MIGRATE}}, faults={"migrate": ENDLESS}),
    Moment("Released", {"stop_seconds": HOLD_SECONDS}),
]
COMING = [
    Moment("Starting", template={"READY_DELAY": str(HOLD_SECONDS)}),
    Moment(
        "Restoring",
        {"rollout": {"restore": RESTORE}},
        template={"FAULTS": json.dumps({"restore": {**ENDLESS, "seconds": HOLD_SECONDS}})},
    ),
    Moment("Soaking", {"rollout": {"strategy": {"soakSeconds": HOLD_SECONDS}}}),
]


@pytest.mark.parametrize("moments", [LEAVING, COMING], ids=["leaving", "coming"])
def test_an_operator_killed_in_any_stage_of_a_pod_loses_nothing(
    open_shop: OpenShop, installation: Installation, executioner: Executioner, moments: list[Moment]
) -> None:
    installation.renew()
    with ThreadPoolExecutor() as threads:
        shops = list(threads.map(lambda moment: open_shop(replicas=2, **moment.order), moments))
    revisions = []
    for shop, moment in zip(shops, moments, strict=True):
        if moment.faults:
            shop.set_faults(moment.faults, 1)
        revisions.append(shop.change_template(VERSION="2", **moment.template))
    for shop, moment in zip(shops, moments, strict=True):
        shop.await_stage(1, moment.stage)
    installation.kill(executioner)
    stages = [shop.stages()["kvstore-1"] for shop in shops]
    assert stages == [moment.stage for moment in moments], "the kill came too late to show anything"
    for shop, moment in zip(shops, moments, strict=True):
        if moment.faults:
            shop.set_faults({}, 1)
    for shop, revision in zip(shops, revisions, strict=True):
        shop.await_complete()
        assert shop.revisions() == [revision] * 2
        shop.assert_nobody_noticed()


def test_an_operator_killed_while_it_accepts_a_revision_accepts_it_once(
    open_shop: OpenShop, installation: Installation, executioner: Executioner
) -> None:
    installation.renew()
    shop = open_shop(replicas=2)
    new = shop.change_template()
    shop.wait("the fence Accept", lambda: shop.stateful_set["spec"]["updateStrategy"].get("rollingUpdate", {})
              .get("partition") == 0)  # fmt: skip
    installation.kill(executioner)
    shop.await_complete()
    assert shop.accepted == new
    shop.wait("the fence Hold", lambda: shop.rollout["status"]["fence"] == "Hold")
    shop.assert_nobody_noticed()
