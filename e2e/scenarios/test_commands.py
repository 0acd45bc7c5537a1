"""Hooks that are commands in the container: they do what requests do, and what goes wrong is said."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.harness.executioner import Executioner
from e2e.harness.kubectl import Json
from e2e.harness.shop import NAME
from e2e.scenarios.conftest import OpenShop


def command(*words: str, **call: Any) -> Json:
    """A call that runs the store's own command line, or another program."""
    return {"http": None, "exec": {"container": NAME, "command": list(words)}, **call}


def ctl(method: str, path: str, **call: Any) -> Json:
    return command("python", "-m", "e2e.kvstore.ctl", method, path, **call)


BY_COMMAND: Json = {
    "drain": {
        "apply": ctl("POST", "/drain"),
        "done": {"call": ctl("GET", "/drain"), "expect": "exitCode == 0 && json.connections == 0"},
        "undo": ctl("DELETE", "/drain"),
    },
    "membership": {"apply": ctl("POST", "/members", target="AnyPeer")},
    "migrate": {"apply": ctl("POST", "/migrate")},
    "restore": {"apply": ctl("POST", "/restore")},
    "checks": [{"name": "drainable", "call": ctl("GET", "/drain", target="Peers"), "expect": "exitCode == 0"}],
}


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_a_rollout_by_commands_alone_loses_nothing(open_shop: OpenShop, policy: str) -> None:
    shop = open_shop(policy=policy, rollout=BY_COMMAND)
    shop.change_template()
    shop.await_complete()
    assert shop.was_said("`python -m e2e.kvstore.ctl GET /drain` in container kvstore of kvstore-2 exited with 0")
    shop.assert_nobody_noticed()


def test_a_container_that_is_killed_after_its_drain_is_drained_again_by_command(
    open_shop: OpenShop, executioner: Executioner
) -> None:
    shop = open_shop(rollout={**BY_COMMAND, "membership": {"apply": ctl("POST", "/members", target="AnyPeer")}})
    shop.set_faults({"members": {"mode": "accept-202", "seconds": 15}})
    shop.change_template()
    shop.await_stage(2, "Migrating")
    shop.kill_container(2, executioner)
    shop.await_stage(2, "Draining")
    shop.await_complete()
    shop.clients.finish()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["no-such-program"],
            ("`no-such-program` in container kvstore of kvstore-2 exited with 127", "correct command"),
        ),
        (["python", "-c", "raise SystemExit(127)"], ("exited with 127", "cannot be run")),
    ],
    ids=["a program that is not there", "a program that says so itself"],
)
def test_a_command_that_cannot_be_run_stops_the_rollout_and_its_correction_lets_it_go_on(
    open_shop: OpenShop, words: list[str], said: tuple[str, ...]
) -> None:
    shop = open_shop(rollout={"drain": {"apply": command(*words)}})
    shop.change_template()
    shop.await_stalled("kvstore-2", *said)
    shop.patch_rollout({"drain": {"apply": {"exec": ctl("POST", "/drain")["exec"]}}})
    shop.await_complete()
    shop.assert_nobody_noticed()


def test_a_command_that_hangs_is_named_and_waited_for(open_shop: OpenShop) -> None:
    hanging = command("python", "-c", "import time; time.sleep(600)", timeoutSeconds=1)
    shop = open_shop(rollout={"drain": {"apply": hanging, "deadlineSeconds": 6}})
    shop.change_template()
    shop.await_stalled("kvstore-2", "drain", "timed out after 1 s")
    shop.patch_rollout({"drain": {"apply": {"exec": ctl("POST", "/drain")["exec"], "timeoutSeconds": 5}}})
    shop.await_complete()
    shop.assert_nobody_noticed()
