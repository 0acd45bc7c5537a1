"""What the machine can and cannot do decides how the Docker engine is started."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster import commands, engine, machine, progress, rootfs, runc_held
from e2e.cluster.errors import ClusterToolError

EVERYTHING = "Name:\tsh\nCapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\n"
NO_SYS_RESOURCE = "Name:\tsh\nCapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\n"


@pytest.mark.parametrize(("status", "lacking"), [(EVERYTHING, False), (NO_SYS_RESOURCE, True)])
def test_the_bounding_set_tells_whether_privileged_containers_start(status: str, lacking: bool) -> None:
    assert machine.lacks_sys_resource(status) is lacking


def test_the_runtime_names_exactly_the_capabilities_of_the_kernel() -> None:
    missing = runc_held.held_of(machine.bounding_set_of(EVERYTHING)) - runc_held.held_of(
        machine.bounding_set_of(NO_SYS_RESOURCE)
    )
    assert missing == {"CAP_SYS_RESOURCE"}
    assert len(runc_held.CAPABILITIES) == 41


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["--root", "/run", "create", "--bundle", "/b", "id"], Path("/b/config.json")),
        (["run", "-b", "/b", "id"], Path("/b/config.json")),
        (["create", "--bundle=/b", "id"], Path("/b/config.json")),
        (["create", "id"], Path("config.json")),
        (["exec", "--process", "/p.json", "id"], Path("/p.json")),
        (["exec", "id", "ls"], None),
        (["state", "id"], None),
    ],
)
def test_the_runtime_finds_where_capabilities_are_asked_for(arguments: Sequence[str], file: Path | None) -> None:
    assert runc_held.request_file_of(arguments) == file


def test_the_runtime_takes_out_of_a_request_only_what_is_not_held() -> None:
    asked: dict[str, Any] = {"capabilities": {"bounding": ["CAP_CHOWN", "CAP_BPF"], "ambient": ["CAP_BPF"]}, "cwd": "/"}
    kept = {"capabilities": {"bounding": ["CAP_CHOWN"], "ambient": []}, "cwd": "/"}
    assert runc_held.without_others(asked, {"CAP_CHOWN"}) == kept
    assert runc_held.without_others({"process": asked, "root": {}}, {"CAP_CHOWN"}) == {"process": kept, "root": {}}


def test_the_engine_is_configured_only_where_the_machine_needs_it() -> None:
    assert engine.build_engine_config(cgroup_v2=True, runtime=None) == {}
    assert engine.build_engine_config(cgroup_v2=False, runtime=None) == {"default-cgroupns-mode": "private"}
    config = engine.build_engine_config(cgroup_v2=True, runtime=Path("/cache/runc-held"))
    assert config["runtimes"][config["default-runtime"]] == {"path": "/cache/runc-held"}
    json.dumps(config)


def test_the_mirror_is_the_one_that_apt_uses_for_the_suite() -> None:
    targets = "http://mirror/security/ bookworm-security\nhttp://mirror/debian/ bookworm\n"
    assert rootfs.mirror_of(targets) == "http://mirror/debian/"
    assert rootfs.mirror_of("http://mirror/ubuntu/ noble\n") is None


def test_a_failed_command_shows_the_end_of_its_log_and_where_all_of_it_is(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "build.log"
    with pytest.raises(commands.CommandError, match="no such module") as failure:
        commands.call_logged(["sh", "-c", "echo no such module >&2; exit 3"], log=log, timeout_seconds=10)
    assert str(log) in str(failure.value)
    assert "status 3" in str(failure.value)


def test_a_command_that_asks_for_input_gets_none() -> None:
    assert commands.call(["sh", "-c", "cat; echo over"]) == "over"


def test_a_wait_in_vain_says_what_was_awaited() -> None:
    with pytest.raises(ClusterToolError, match=r"the API server to answer:\nconnection refused"):
        progress.wait_until(
            "the API server to answer", lambda: False, deadline_seconds=0, explain=lambda: "connection refused"
        )
