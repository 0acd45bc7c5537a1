"""The version rule, and the volume that keeps to it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from e2e.kvstore.journal import Journal
from e2e.kvstore.placement import SHARDS, Peer, shard_owners
from e2e.kvstore.store import Entry, Store
from tests.unit.kvstore.pods import Pods

KEYS = st.sampled_from(["a", "b", "c"])
ENTRIES = st.builds(Entry, st.integers(0, 3), st.sampled_from(["x", "y"]))
BATCHES = st.lists(st.dictionaries(KEYS, ENTRIES, max_size=3), max_size=6)


def contents(store: Store) -> dict[str, Entry]:
    return store.entries_in(range(SHARDS))


@given(BATCHES, st.data())
def test_transfers_in_any_order_and_number_end_alike(batches: list[dict[str, Entry]], data: st.DataObject) -> None:
    once, again = Store(), Store()
    repeated = data.draw(st.lists(st.sampled_from(batches))) if batches else []
    for batch in batches:
        once.merge(batch)
    shuffled = data.draw(st.permutations(batches + repeated))
    for batch in shuffled:
        again.merge(batch)
    assert contents(once) == contents(again)


@given(BATCHES)
def test_a_key_keeps_the_highest_version_ever_seen(batches: list[dict[str, Entry]]) -> None:
    store = Store()
    highest: dict[str, int] = {}
    for batch in batches:
        store.merge(batch)
        for key, entry in batch.items():
            highest[key] = max(entry.version, highest.get(key, 0))
    assert {key: entry.version for key, entry in contents(store).items()} == highest


@given(ENTRIES, ENTRIES)
def test_handing_over_forgets_nothing_newer(held: Entry, handed_over: Entry) -> None:
    store = Store()
    store.merge({"a": held})
    store.forget({"a": handed_over})
    assert store.find("a") == (held if held > handed_over else None)


def test_only_the_shards_of_the_one_who_leaves_change_owner() -> None:
    peers = [Peer(f"kv-{n}", "") for n in range(5)]
    before, after = shard_owners(peers), shard_owners(peers[:4])
    assert all(now == was for was, now in zip(before, after, strict=True) if was != peers[4])
    shares = [before.count(peer) / SHARDS for peer in peers]
    assert min(shares) > 0.15
    assert max(shares) < 0.25


async def test_a_restarted_pod_finds_on_its_volume_what_it_held_and_not_what_it_gave_away(tmp_path: Path) -> None:
    store = Store()
    journal = Journal.replayed(tmp_path, store)
    await asyncio.gather(*(journal.append({f"k{n}": Entry(1, "v")}) for n in range(50)))
    await journal.append({"k0": Entry(2, "w"), "given": Entry(1, "v")})
    await journal.append_gone({"given": Entry(1, "v")})
    journal.close()
    with (tmp_path / "keys.log").open("ab") as log:
        log.write(b'{"put": {"torn": [1,')
    replayed = Store()
    Journal.replayed(tmp_path, replayed).close()
    assert replayed.find("k0") == Entry(2, "w")
    assert replayed.find("given") is None
    assert len(replayed) == 50


async def test_keys_on_a_volume_come_back_with_their_pod(pods: Pods, tmp_path: Path) -> None:
    (member,) = await pods.start(0, data_dir=tmp_path)
    await pods.declare(0, pods.document(1, joining=[0]))
    await member.write(1, {"k": Entry(3, "v")})
    assert (await pods.admin(0, "POST", "/members", pods.document(2, leaving=[0])))[0] == 200
    await pods.kill(0)
    (restarted,) = await pods.start(0, data_dir=tmp_path)
    assert restarted.store.find("k") == Entry(3, "v")
