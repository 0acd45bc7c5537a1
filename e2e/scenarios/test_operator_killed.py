"""The operator is killed with SIGKILL in each stage of a pod's life; the next one finds everything in the cluster."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from e2e.harness.executioner import Executioner
from e2e.harness.installation import Installation
from e2e.harness.kubectl import Json
from e2e.scenarios.conftest import OpenShop

pytestmark = pytest.mark.operator_down

MIGRATE: Json = {"apply": {"http": {"port": "admin", "path": "/migrate"}}}
RESTORE: Json = {"apply": {"http": {"port": "admin", "path": "/restore"}}}
SLOW: Json = {"mode": "accept-202", "seconds": 6}


@dataclass(frozen=True)
class Moment:
    """A stage, and what makes it last long enough to be killed in."""

    stage: str
    order: Json = field(default_factory=dict)
    faults: Json = field(default_factory=dict)
    template: dict[str, str] = field(default_factory=dict)


MOMENTS = [
    Moment("Isolating", {"rollout": {"drain": {"propagationSeconds": 5}}}),
    Moment("Draining", faults={"drain": SLOW}),
    Moment("Migrating", {"rollout": {"migrate": MIGRATE}}, faults={"migrate": SLOW}),
    Moment("Released", {"stop_seconds": 5}),
    Moment("Starting", template={"READY_DELAY": "6"}),
    Moment("Restoring", {"rollout": {"restore": RESTORE}}, template={"FAULTS": json.dumps({"restore": SLOW})}),
    Moment("Soaking", {"rollout": {"strategy": {"soakSeconds": 6}}}),
]


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.stage)
def test_an_operator_killed_in_any_stage_of_a_pod_loses_nothing(
    open_shop: OpenShop, installation: Installation, executioner: Executioner, moment: Moment
) -> None:
    installation.renew()
    order: dict[str, Any] = moment.order
    shop = open_shop(replicas=2, **order)
    if moment.faults:
        shop.set_faults(moment.faults, 1)
    new = shop.change_template(VERSION="2", **moment.template)
    shop.await_stage(1, moment.stage)
    installation.kill(executioner)
    assert shop.stages()["kvstore-1"] == moment.stage, "the kill came too late to show anything"
    shop.await_complete()
    assert shop.revisions() == [new] * 2
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
