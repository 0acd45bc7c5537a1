"""What nobody planned: pods that are deleted and containers that die, in the midst of a rollout or at rest."""

from __future__ import annotations

import json
import re

import yaml

from e2e.harness.executioner import Executioner
from e2e.harness.installation import ROOT
from e2e.harness.journal import STATEFUL_SETS
from e2e.scenarios.conftest import OpenShop
from statefulrollout.api import names

PAGE = ROOT / "docs" / "hooks.md"


def test_a_pod_that_dies_while_the_rollout_is_paused_comes_back_at_the_accepted_revision(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"paused": True}, load=False)
    old = shop.accepted
    new = shop.change_template()
    shop.wait("the fence Hold to be reported", lambda: shop.rollout["status"].get("wantedRevision") == new
              and shop.rollout["status"].get("fence") == "Hold")  # fmt: skip
    deleted = shop.pod(1)
    assert deleted is not None
    assert shop.delete_pod(1).revision == old
    shop.await_replaced(deleted)
    shop.pause(paused=False)
    shop.await_complete()


def test_a_pod_that_dies_while_pods_move_comes_back_at_the_wanted_revision(open_shop: OpenShop) -> None:
    shop = open_shop(load=False)
    shop.set_faults({"drain": {"mode": "accept-202"}}, 2)
    new = shop.change_template()
    shop.await_stage(2, "Draining")
    deleted = shop.pod(0)
    assert deleted is not None
    assert shop.delete_pod(0).revision == new
    shop.await_replaced(deleted)
    shop.set_faults({}, 2)
    shop.await_complete()


def test_a_pod_that_dies_while_the_revision_is_accepted_comes_back_at_the_wanted_revision(open_shop: OpenShop) -> None:
    shop = open_shop(load=False)
    new = shop.change_template()
    shop.wait("the fence Accept", lambda: shop.stateful_set["spec"]["updateStrategy"].get("rollingUpdate", {})
              .get("partition") == 0)  # fmt: skip
    assert shop.delete_pod(1).revision == new
    shop.await_complete()
    accepted = {change.item["status"]["currentRevision"] for change in shop.history_of(STATEFUL_SETS)[-5:]}
    assert accepted == {new}


def test_the_drain_of_a_container_that_was_killed_does_not_count_any_more(
    open_shop: OpenShop, executioner: Executioner
) -> None:
    slow_drain = {"drain": {"mode": "accept-202", "seconds": 3}}
    migrate = {"apply": {"http": {"port": "admin", "path": "/migrate"}}}
    shop = open_shop(env={"FAULTS": json.dumps(slow_drain)}, rollout={"migrate": migrate})
    shop.set_faults({**slow_drain, "migrate": {"mode": "accept-202"}}, 2)
    shop.change_template(FAULTS=None)
    shop.await_stage(2, "Migrating")
    # From here on it holds no key that anybody would miss.
    shop.wait("the membership without it to be done", lambda: shop.members_are_done(without=2))
    drained = shop.kill_container(2, executioner)
    assert drained.is_true(names.DRAINED)
    shop.await_stage(2, "Draining")
    again = shop.pod(2)
    assert again is not None
    assert again.uid == drained.uid
    shop.await_complete()
    shop.assert_nobody_noticed()


def test_a_pod_that_waits_until_its_keys_are_gone_may_be_deleted_outright(open_shop: OpenShop) -> None:
    """With the `preStop` that the page on hooks shows."""
    shop = open_shop(replicas=2)
    example = re.search(r"```yaml\n(spec:\n  terminationGracePeriodSeconds.*?)```", PAGE.read_text(), re.DOTALL)
    assert example is not None, f"{PAGE.name} shows no preStop"
    shop.change_containers(**yaml.safe_load(example[1])["spec"])
    shop.await_complete()
    deleted = shop.pod(1)
    assert deleted is not None
    shop.delete_pod(1)
    shop.await_replaced(deleted)
    shop.await_complete()
    print("\n", shop.assert_nobody_noticed())
