"""Draining a real pod on loopback: nothing in flight fails, and every client goes elsewhere."""

from __future__ import annotations

import asyncio
import time

from e2e.kvstore.draining import IDLE_LOOKS, LOOK_SECONDS
from e2e.load.connections import Pool
from tests.unit.kvstore.pods import Pods
from tests.unit.kvstore.test_fencing import GatedPeers


async def one_pod(pods: Pods) -> Pool:
    await pods.start(0)
    await pods.declare(0, pods.document(1, joining=[0]))
    return Pool(pods.ip(0), pods.client_port, spread=1)


async def test_a_request_in_flight_is_finished_before_the_drain_is_done(pods: Pods) -> None:
    gated = GatedPeers(pods.admin_port)
    await pods.start(0)
    await pods.start(1, connect=lambda port: gated)
    await pods.declare(0, pods.document(1, joining=[0], leaving=[1]))
    gated.held_answers = {"write"}
    pool = Pool(pods.ip(1), pods.client_port)
    writing = asyncio.create_task(pool.ask("PUT", "/keys/k", {"X-Version": "1"}, b"v"))
    await gated.arrived.wait()

    assert await pods.admin(1, "POST", "/drain") == (202, {"progress": 1, "inFlight": 1, "connections": 1})
    assert await pods.admin(1, "GET", "/drain") == (200, {"progress": 1, "inFlight": 1, "connections": 1})
    gated.opened.set()
    answer = await writing
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await pods.admin(1, "POST", "/drain") == (200, {"progress": 0, "inFlight": 0, "connections": 0})


async def test_a_busy_connection_ends_with_its_next_answer(pods: Pods) -> None:
    pool = await one_pod(pods)
    kept = await pool.ask("PUT", "/keys/k", {"X-Version": "1"}, b"v")
    assert "connection" not in kept.headers
    gone = asyncio.create_task(pods.admin(0, "POST", "/drain"))
    await asyncio.wait([gone], timeout=0.2)
    last = await pool.ask("GET", "/keys/k")
    assert (last.status, last.body, last.headers["connection"]) == (200, b"v", "close")
    assert (await gone)[0] == 200


async def test_an_idle_connection_is_closed_and_its_client_hears_of_it(pods: Pods) -> None:
    pool = await one_pod(pods)
    await pool.ask("GET", "/keys/k")
    while (await pods.admin(0, "POST", "/drain"))[0] == 202:
        pass
    await pods.admin(0, "DELETE", "/drain")
    assert (await pool.ask("GET", "/keys/k")).status == 404
    pool.close()


async def test_a_pod_that_was_starved_answers_what_came_meanwhile(pods: Pods) -> None:
    pool = await one_pod(pods)
    await pool.ask("GET", "/keys/k")
    await pods.admin(0, "POST", "/drain")
    asking = asyncio.create_task(pool.ask("PUT", "/keys/k", {"X-Version": "1"}, b"v"))
    await asyncio.sleep(0)
    time.sleep(IDLE_LOOKS * LOOK_SECONDS)  # noqa: ASYNC251 - nobody in this process gets on
    assert (await asking).status == 200


async def test_undo_keeps_connections_open_again(pods: Pods) -> None:
    pool = await one_pod(pods)
    assert (await pods.admin(0, "POST", "/drain"))[0] == 200
    assert (await pods.admin(0, "DELETE", "/drain"))[0] == 200
    assert "connection" not in (await pool.ask("GET", "/keys/k")).headers
    assert (await pods.admin(0, "GET", "/drain"))[1]["connections"] == 1
    pool.close()


async def test_who_comes_while_draining_is_served_and_parted_with(pods: Pods) -> None:
    pool = await one_pod(pods)
    assert (await pods.admin(0, "POST", "/drain"))[0] == 200
    answer = await pool.ask("PUT", "/keys/k", {"X-Version": "1"}, b"v")
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert (await pods.admin(0, "POST", "/drain"))[0] == 200
