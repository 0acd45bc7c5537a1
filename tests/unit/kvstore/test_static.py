"""The store without the operator: members that never change, and keys that a restart loses."""

from __future__ import annotations

import pytest

from e2e.kvstore.__main__ import settings_of
from e2e.kvstore.placement import Declaration, Peer
from e2e.load.connections import Pool
from tests.unit.kvstore.pods import Pods

ENV = {"POD_NAME": "kv-1", "MEMBERSHIP": "static", "SERVICE": "kv-headless", "REPLICAS": "3"}


async def test_a_restart_loses_the_keys_of_its_pod_and_says_so_honestly(pods: Pods) -> None:
    declaration = Declaration(1, tuple(Peer(f"kv-{n}", pods.ip(n)) for n in range(2)))
    members = await pods.start(0, 1, static_members=declaration, patience_seconds=0.3)
    key = next(f"k{n}" for n in range(100) if members[0].term.owner_of(f"k{n}") == declaration.owners[1])
    pool = Pool(pods.ip(0), pods.client_port)
    assert (await pool.ask("PUT", f"/keys/{key}", {"X-Version": "1"}, b"v")).status == 200
    assert (await pool.ask("GET", f"/keys/{key}")).body == b"v"
    await pods.kill(1)
    assert (await pool.ask("GET", f"/keys/{key}")).status == 503
    await pods.start(1, static_members=declaration)
    assert (await pool.ask("GET", f"/keys/{key}")).status == 404
    pool.close()
    status, answer = await pods.admin(0, "POST", "/members", pods.document(2, serving=[0, 1]))
    assert status == 404
    assert "MEMBERSHIP=static" in answer


def test_static_members_are_the_ordinals_behind_the_headless_service() -> None:
    members = settings_of(ENV).static_members
    assert members is not None
    assert [peer.ip for peer in members.owners] == ["kv-0.kv-headless", "kv-1.kv-headless", "kv-2.kv-headless"]


@pytest.mark.parametrize(
    ("change", "named"),
    [({"POD_NAME": ""}, "POD_NAME"), ({"MEMBERSHIP": "gossip"}, "MEMBERSHIP"), ({"REPLICAS": "all"}, "REPLICAS")],
)
def test_a_setting_that_cannot_be_read_is_named(change: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        settings_of({**ENV, **change})
