"""Pods tell their roles and their load, and the rollout heeds them."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from pathlib import Path

from e2e.harness.api import ApiRefusedError
from e2e.harness.kubectl import Json
from e2e.harness.plot import Series, draw_steps
from e2e.harness.shop import Shop, pod_name
from e2e.scenarios.conftest import OpenShop


def told(what: str, **call: object) -> Json:
    """The question for what a pod was told."""
    return {"http": {"port": "admin", "path": f"/told/{what}", "method": "GET"}, **call}


LEADER_LAST: Json = {"by": "Role", "role": {"ask": {"call": told("role"), "value": "json.value"}, "last": ["leader"]}}


def test_the_leader_that_says_so_itself_goes_last_wherever_it_is_by_then(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"strategy": {"soakSeconds": 1, "order": LEADER_LAST}})
    _lead(shop, 2)
    shop.set_faults({"drain": {"mode": "accept-202", "seconds": 5}}, 1)
    shop.change_template()
    shop.await_stage(1, "Draining")
    _lead(shop, 0)
    shop.await_complete()
    assert [ordinal for _, ordinal in shop.departures()] == [1, 2, 0]
    shop.assert_nobody_noticed()


def test_nobody_goes_while_no_role_is_known(open_shop: OpenShop) -> None:
    shop = open_shop(rollout={"strategy": {"soakSeconds": 1, "order": LEADER_LAST}})
    shop.change_template()
    words = "earlier_roles_have_arrived: its role is not known: GET /told/role on port admin of kvstore-"
    shop.wait("the reason to be said", lambda: words in shop.message)
    _lead(shop, 0)
    shop.await_complete()
    shop.assert_nobody_noticed()


def test_as_many_go_as_the_rest_can_carry_and_more_when_there_is_less_to_do(open_shop: OpenShop) -> None:
    load = {"call": told("load"), "value": "json.value", "perPod": 100, "headroomPercent": 0}
    shop = open_shop(
        replicas=4,
        rollout={"strategy": {"soakSeconds": 1, "maxUnavailable": 2}, "capacity": {"load": load}},
    )
    shop.tell("load", 80)
    shop.set_faults({"drain": {"mode": "accept-202", "seconds": 60}})
    shop.change_template()
    words = "the load is 320, and 3 pods carry 300 with 0% headroom"
    shop.wait("the reason to be said", lambda: words in shop.message)
    assert not shop.departures()
    shop.tell("load", 75)
    shop.wait("one pod to leave", lambda: len(shop.departures()) == 1)
    shop.stays("one pod away", lambda: len(shop.departures()) == 1, 5)
    # Those that still serve say it; the one that drains carries nothing any more.
    shop.tell("load", 60)
    shop.wait("two pods to leave", lambda: len(shop.departures()) == 2)
    shop.set_faults({})
    shop.wait("the new pods to be there", lambda: shop.revisions().count(shop.wanted) == 2)
    shop.wait("all to be told", lambda: _tell_all(shop))
    shop.await_complete()
    shop.assert_nobody_noticed()


DRAWING = Path(__file__).resolve().parents[2] / "build" / "load-of-a-day.svg"
DAY_SECONDS = 100
NIGHT, NOON, PER_POD = 140, 560, 100
TICK_SECONDS = 0.3
FRESH_SECONDS = 4.0
"""How old the load may be by which a pod was chosen: as it was measured, and as the watcher heard of it."""


def test_the_pods_that_are_away_follow_a_day_of_load(open_shop: OpenShop) -> None:
    load = {"call": told("load", target="AnyPeer"), "value": "json.value", "perPod": PER_POD, "headroomPercent": 0}
    shop = open_shop(
        replicas=6, rollout={"strategy": {"soakSeconds": 1, "maxUnavailable": 3}, "capacity": {"load": load}}
    )
    shop.set_faults({"drain": {"mode": "accept-202", "seconds": 4}})
    began, told_loads = time.time(), list[tuple[float, float]]()
    while (passed := time.time() - began) < DAY_SECONDS:
        value = round(NIGHT + (NOON - NIGHT) * (1 - math.cos(2 * math.pi * passed / DAY_SECONDS)) / 2)
        _tell_those_that_serve(shop, value)
        told_loads.append((time.time(), value))
        if shop.is_complete():
            shop.change_template()
        time.sleep(TICK_SECONDS)
    _tell_those_that_serve(shop, NIGHT)
    shop.wait("the last rollout to end", lambda: _tell_those_that_serve(shop, NIGHT) and shop.is_complete())
    serving = [each for each in shop.serving_over_time() if each[0] >= began]
    for at, _ in shop.departures():
        lowest = min(value for told_at, value in told_loads if at - FRESH_SECONDS <= told_at <= at)
        remains = [count for since, count in serving if since <= at + 1][-1]
        assert remains * PER_POD >= lowest, f"{at - began:.0f} s: {remains} pods were left for {lowest}"
    assert min(count for _, count in serving) == 3, "at night three pods may be away at once"
    shop.assert_nobody_noticed()
    drawing = draw_steps(
        "Pods in service follow the load of a day, compressed",
        DAY_SECONDS,
        6,
        Series("pods that the load needs", "#c2410c", [(at - began, value / PER_POD) for at, value in told_loads]),
        Series("pods in service", "#1d4ed8", [(0.0, 6), *((at - began, count) for at, count in serving)]),
    )
    DRAWING.parent.mkdir(exist_ok=True)
    DRAWING.write_text(drawing)


def test_pods_leave_one_by_one_as_the_application_allows(open_shop: OpenShop) -> None:
    check = {"name": "spare", "at": ["BeforePod"], "call": told("free", target="AnyPeer"), "expect": "status == 200",
             "allow": "json.value"}  # fmt: skip
    shop = open_shop(rollout={"strategy": {"soakSeconds": 1, "maxUnavailable": 2}, "checks": [check]})
    _tell_who_is_free(shop, "kvstore-1")
    shop.change_template()
    shop.wait("the one to leave", lambda: [ordinal for _, ordinal in shop.departures()] == [1])
    # A pod that came back has forgotten what it was told.
    shop.wait("the reason to be said", lambda: _tell_who_is_free(shop, "kvstore-1")
              and "check spare allows kvstore-1" in shop.message)  # fmt: skip
    assert [ordinal for _, ordinal in shop.departures()] == [1]
    shop.wait("the rest to leave", lambda: _tell_who_is_free(shop, "kvstore-0", "kvstore-2") and shop.is_complete())
    shop.assert_nobody_noticed()


def _tell_who_is_free(shop: Shop, *names: str) -> bool:
    """Tell it to every pod that serves; always true."""
    for pod in shop.pods:
        if pod.ready:
            shop.tell("free", list(names), pod.ordinal)
    return True


def _tell_those_that_serve(shop: Shop, load: int) -> bool:
    """Tell the whole load to every pod that serves; always true."""
    for pod in shop.pods:
        if pod.ready:
            with suppress(ApiRefusedError):  # it may have gone meanwhile
                shop.tell("load", load, pod.ordinal)
    return True


def _lead(shop: Shop, leader: int) -> None:
    for pod in shop.pods:
        shop.tell("role", "leader" if pod.name == pod_name(leader) else "follower", pod.ordinal)


def _tell_all(shop: Shop) -> bool:
    """Whether every pod, the new ones too, could be told that there is little to do."""
    if not all(pod.ready for pod in shop.pods):
        return False
    shop.tell("load", 1)
    return True
