"""Which cluster is there, how a new one is made, and what has to be put on its nodes."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.cluster import cache, cli, images, kind_cluster, lifecycle, pod_network, tools, ways
from e2e.cluster.errors import ClusterToolError
from e2e.cluster.kind_cluster import State

IMAGE_ID = "sha256:1111"
ON_NODE = """REF TYPE DIGEST SIZE PLATFORMS LABELS
registry.example/library/app:1   application/x sha256:aaaa 8.6 MiB linux/amd64 -
registry.example/library/myapp:2 application/x sha256:bbbb 8.6 MiB linux/amd64 -
sha256:1111                      application/x sha256:aaaa 8.6 MiB linux/amd64 -
"""


@pytest.mark.parametrize(
    ("listed", "state"),
    [
        ([], State.ABSENT),
        (["c-control-plane running"], State.PARTIAL),
        (["c-control-plane running", "c-worker created", "c-worker2 running"], State.PARTIAL),
        (["c-control-plane running", "c-worker exited", "c-worker2 running"], State.STOPPED),
        (["c-control-plane running", "c-worker running", "c-worker2 running"], State.RUNNING),
    ],
)
def test_the_state_of_a_cluster_is_that_of_its_nodes(listed: list[str], state: State) -> None:
    assert kind_cluster.state_of(listed) is state


def test_only_our_own_image_goes_without_the_network_add_on_of_kind() -> None:
    own = kind_cluster.build_config(own_image=True)
    stock = kind_cluster.build_config(own_image=False)
    assert own["networking"] == {"disableDefaultCNI": True, "podSubnet": "10.244.0.0/16"}
    assert stock["networking"] == {"disableDefaultCNI": False, "podSubnet": "10.244.0.0/16"}
    assert own["nodes"] == [{"role": "control-plane"}, {"role": "worker"}, {"role": "worker"}]


def test_feature_gates_are_those_of_kubernetes_unless_named() -> None:
    assert kind_cluster.build_config(own_image=True)["featureGates"] == {}
    named = kind_cluster.build_config(own_image=True, feature_gates=["MaxUnavailableStatefulSet"])
    assert named["featureGates"] == {"MaxUnavailableStatefulSet": True}
    chosen = cli.build_parser().parse_args(["up", "--feature-gate", "A", "--feature-gate", "B"])
    assert chosen.feature_gate == ["A", "B"]


def test_a_cluster_that_was_made_without_a_gate_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    monkeypatch.setattr(kind_cluster.KindCluster, "state", lambda _: State.RUNNING)
    made = kind_cluster.build_config(own_image=True, feature_gates=["A"])
    (tmp_path / "c-kind.json").write_text(json.dumps(made))
    assert kind_cluster.KindCluster("c", ("A",)).missing_gates() == []
    with pytest.raises(ClusterToolError, match="cluster c was made without B: `down` comes first"):
        lifecycle.ensure_cluster(kind_cluster.KindCluster("c", ("A", "B")))


def test_a_gate_cannot_be_switched_on_in_a_cluster_of_somebody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    with pytest.raises(ClusterToolError, match="--feature-gate is for a cluster that is made here"):
        cli.up(argparse.Namespace(kubeconfig=tmp_path / "config", feature_gate=["A"], name="c"))


def test_a_node_is_told_its_own_range_first_and_never_a_route_to_itself() -> None:
    ranges = {"c-worker2": "10.244.2.0/24", "c-worker": "10.244.1.0/24", "c-control-plane": "10.244.0.0/24"}
    assert pod_network.build_node_routes("c-worker", ranges) == (
        "10.244.0.0/16 10.244.1.0/24\nc-control-plane 10.244.0.0/24\nc-worker2 10.244.2.0/24\n"
    )


def test_a_node_without_a_range_is_waited_for() -> None:
    assigned = {"metadata": {"name": "a"}, "spec": {"podCIDR": "10.244.0.0/24"}}
    waiting = {"metadata": {"name": "b"}, "spec": {}}
    assert pod_network.ranges_of({"items": [assigned, waiting]}) == {"a": "10.244.0.0/24"}


@pytest.mark.parametrize(
    ("name", "image_id", "held"),
    [
        ("app:1", IMAGE_ID, True),
        ("library/app:1", IMAGE_ID, True),
        ("app:1", "sha256:2222", False),  # built anew since it was loaded
        ("app", IMAGE_ID, False),
        ("myapp:2", IMAGE_ID, False),
        ("app:2", IMAGE_ID, False),
    ],
)
def test_an_image_is_on_a_node_if_the_name_leads_to_the_same_content(name: str, image_id: str, held: bool) -> None:
    assert images.is_held(name, image_id, images.digests_of(ON_NODE)) is held


def unreachable() -> str | None:
    return "no such host"


def offered() -> str | None:
    return None


def never_asked() -> str | None:
    raise AssertionError("an image is here: no registry need be asked")


@pytest.mark.parametrize(
    ("stock_is_here", "built_is_here", "why_unpullable", "stock"),
    [
        (True, True, never_asked, True),
        (False, True, never_asked, False),
        (False, False, offered, True),
        (False, False, unreachable, False),
    ],
)
def test_the_way_to_a_node_image(
    stock_is_here: bool, built_is_here: bool, why_unpullable: Callable[[], str | None], stock: bool
) -> None:
    way = ways.pick_way(stock_is_here=stock_is_here, built_is_here=built_is_here, why_unpullable=why_unpullable)
    assert way.stock is stock


def test_the_reason_for_building_from_source_is_the_answer_of_the_registry() -> None:
    way = ways.pick_way(stock_is_here=False, built_is_here=False, why_unpullable=unreachable)
    assert "no such host" in way.reason


def test_versions_are_compared_as_numbers() -> None:
    assert tools.version_of("kind v0.33.0 go1.26.6 linux/amd64") == (0, 33)
    assert tools.version_of("v1.9.0") < tools.version_of("v1.34.2")


def test_an_existing_cluster_is_used_only_when_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/production")
    monkeypatch.delenv(cli.KUBECONFIG_VARIABLE, raising=False)
    assert parsed("up").kubeconfig is None
    assert parsed("--kubeconfig", "/mine", "up").kubeconfig == Path("/mine")
    monkeypatch.setenv(cli.KUBECONFIG_VARIABLE, "/named")
    assert parsed("up").kubeconfig == Path("/named")


def parsed(*arguments: str) -> argparse.Namespace:
    return cli.build_parser().parse_args(arguments)
