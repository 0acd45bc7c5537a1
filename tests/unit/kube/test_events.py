from __future__ import annotations

import asyncio
import re

import pytest

from statefulrollout.kube import paths
from statefulrollout.kube.client import Kube
from statefulrollout.kube.events import (
    BURST,
    LONGEST_QUEUE,
    NOTE_LIMIT,
    REFILL_SECONDS,
    REPEAT_SECONDS,
    SERIES_SECONDS,
    Events,
)
from tests.unit.kube.fake_api import FakeApi, Json, refuse, reset
from tests.unit.kube.waiting import until

ROLLOUT = {
    "apiVersion": "statefulrollout.dev/v1alpha1",
    "kind": "StatefulRollout",
    "namespace": "shop",
    "name": "kvstore",
    "uid": "11-22",
}
EVENTS = paths.events("shop")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.5

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def events(kube: Kube, clock: Clock) -> Events:
    return Events(kube, "operator-7f9c", clock)


async def say(events: Events, note: str = "kvstore-3 is drained") -> None:
    events.record(ROLLOUT, type="Normal", reason="PodDrained", action="Drain", note=note)
    await events.flush()


def stored(api: FakeApi) -> list[Json]:
    return [one for path, one in api.objects.items() if path.startswith(EVENTS)]


async def test_an_event_has_what_the_api_demands(api: FakeApi, events: Events) -> None:
    await say(events)
    (event,) = stored(api)
    assert re.fullmatch(r"kvstore\.[0-9a-f]{16}", event["metadata"]["name"])
    assert event["eventTime"] == "2027-01-15T08:00:00.500000Z"
    assert event["regarding"] == ROLLOUT
    assert (event["reportingController"], event["reportingInstance"]) == (
        "statefulrollout.dev/operator",
        "operator-7f9c",
    )
    assert (event["type"], event["reason"], event["action"]) == ("Normal", "PodDrained", "Drain")
    assert event["note"] == "kvstore-3 is drained"


async def test_a_repetition_is_counted_in_the_same_event(api: FakeApi, events: Events, clock: Clock) -> None:
    for _ in range(3):
        await say(events)
    assert len(api.requests) == 1
    clock.now += REPEAT_SECONDS
    await say(events)
    (event,) = stored(api)
    assert event["series"] == {"count": 4, "lastObservedTime": "2027-01-15T08:00:30.500000Z"}


async def test_another_word_or_a_later_time_is_another_event(api: FakeApi, events: Events, clock: Clock) -> None:
    await say(events)
    await say(events, "kvstore-2 is drained")
    clock.now += SERIES_SECONDS
    await say(events)
    assert len(stored(api)) == 3


async def test_one_object_cannot_flood_the_cluster(api: FakeApi, events: Events, clock: Clock) -> None:
    for number in range(BURST + 20):
        await say(events, f"word {number}")
    assert len(stored(api)) == BURST
    clock.now += REFILL_SECONDS
    await say(events, "one more")
    await say(events, "one too many")
    assert len(stored(api)) == BURST + 1


@pytest.mark.parametrize("fault", [reset, refuse(403, "Forbidden"), refuse(404, "NotFound")])
async def test_what_cannot_be_written_is_dropped(api: FakeApi, events: Events, fault: object) -> None:
    api.script("POST", EVENTS, fault)  # type: ignore[arg-type]
    await say(events)
    await say(events, "the next one is written")
    assert len(stored(api)) == 1


async def test_nobody_waits_for_an_event_and_what_is_recorded_is_written_beside(api: FakeApi, events: Events) -> None:
    events.record(ROLLOUT, type="Normal", reason="PodDrained", action="Drain", note="kvstore-3 is drained")
    assert stored(api) == []
    writing = asyncio.create_task(events.run())
    await until(lambda: bool(stored(api)))
    writing.cancel()


async def test_what_nobody_takes_away_is_not_piled_up_for_ever(api: FakeApi, events: Events) -> None:
    for number in range(LONGEST_QUEUE + 5):
        one = {**ROLLOUT, "uid": str(number)}
        events.record(one, type="Normal", reason="PodDrained", action="Drain", note="kvstore-3 is drained")
    await events.flush()
    assert len(stored(api)) == LONGEST_QUEUE


async def test_an_event_that_ran_out_is_written_anew(api: FakeApi, events: Events, clock: Clock) -> None:
    await say(events)
    api.objects.clear()
    clock.now += REPEAT_SECONDS
    await say(events)
    await say(events)
    assert len(stored(api)) == 1
    assert "series" not in stored(api)[0]


async def test_a_long_note_is_cut_between_characters(api: FakeApi, events: Events) -> None:
    await say(events, "é" * NOTE_LIMIT)
    await say(events, "x" + "é" * NOTE_LIMIT)
    assert [len(event["note"].encode()) for event in stored(api)] == [NOTE_LIMIT, NOTE_LIMIT - 1]


async def test_many_words_of_one_moment_are_not_looked_through_with_every_one(events: Events, clock: Clock) -> None:
    kept: list[object] = []
    for number in range(8000):
        events.record({**ROLLOUT, "uid": str(number)}, type="Normal", reason="R", action="A", note="n")
        if not kept or kept[-1] is not events._series:
            kept.append(events._series)
    assert len(kept) <= 5
    assert len(events._series) == 8000
    clock.now += SERIES_SECONDS
    for number in range(8000):
        events.record({**ROLLOUT, "uid": f"later-{number}"}, type="Normal", reason="R", action="A", note="n")
    assert len(events._series) == 8000
