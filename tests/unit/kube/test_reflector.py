from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from statefulrollout.kube import paths, reflector
from statefulrollout.kube.client import Kube
from statefulrollout.kube.reflector import Key, Reflector, Scope
from tests.unit.kube.fake_api import FakeApi, Json, answer, hang, list_of, refuse, reset, stream
from tests.unit.kube.waiting import until

PODS = paths.pods()


class View:
    """A reflector of pods that keeps each pod's phase, and what it reported."""

    def __init__(self, kube: Kube, **options: Any):
        self.changes: list[tuple[str, str | None, str | None]] = []
        self._news = asyncio.Event()
        self.reflector: Reflector[str] = Reflector(
            kube, paths.pods, project=lambda pod: str(pod["phase"]), on_change=self._changed, **options
        )

    def _changed(self, key: Key, old: str | None, new: str | None) -> None:
        self.changes.append((key[1], old, new))
        self._news.set()

    async def until(self, *changes: tuple[str, str | None, str | None]) -> None:
        """Wait until exactly these changes have been reported."""
        async with asyncio.timeout(5):
            while self.changes != list(changes):
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def running(view: View) -> AsyncIterator[None]:
    task = asyncio.create_task(view.reflector.run())
    yield
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflector, "_SHORT_SECONDS", 0.1)


def pod(name: str, phase: str = "Running", version: int = 0) -> Json:
    return {"metadata": {"namespace": "shop", "name": name, "resourceVersion": str(version)}, "phase": phase}


def stored(api: FakeApi, *pods: Json) -> None:
    for one in pods:
        api.put(paths.pods("shop", one["metadata"]["name"]), one)


def watched_from(api: FakeApi) -> list[str]:
    return [one.query["resourceVersion"] for one in api.seen("WATCH", PODS)]


async def test_a_list_and_what_follows_are_projected(api: FakeApi, kube: Kube) -> None:
    stored(api, pod("a"), pod("b"))
    api.script(
        "WATCH",
        PODS,
        stream(
            {"type": "ADDED", "object": pod("c", "Pending", 201)},
            {"type": "MODIFIED", "object": pod("c", "Running", 202)},
            {"type": "MODIFIED", "object": pod("c", "Running", 203)},
            {"type": "DELETED", "object": pod("a", "Running", 204)},
            then=hang,
        ),
    )
    view = View(kube, scope=Scope("fenced=true"))
    async with running(view):
        await view.until(
            ("a", None, "Running"),
            ("b", None, "Running"),
            ("c", None, "Pending"),
            ("c", "Pending", "Running"),
            ("a", "Running", None),
        )
    assert view.reflector.store == {("shop", "b"): "Running", ("shop", "c"): "Running"}
    assert {one.query["labelSelector"] for one in api.requests} == {"fenced=true"}


async def test_it_is_synced_once_the_last_page_is_read(api: FakeApi, kube: Kube) -> None:
    view = View(kube)
    pages = iter([list_of([pod("a")], 7, **{"continue": "x"}), list_of([pod("b")], 7)])
    synced: list[bool] = []

    def page() -> Any:
        synced.append(view.reflector.synced.is_set())
        return next(pages)

    api.script("GET", PODS, answer(page), answer(page))
    async with running(view):
        await view.reflector.synced.wait()
        await until(lambda: watched_from(api) == ["7"])
    assert synced == [False, False]
    assert len(view.reflector.store) == 2


@pytest.mark.parametrize(
    "gone",
    [stream({"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}), refuse(410, "Expired")],
    ids=["event", "status"],
)
async def test_a_forgotten_version_leads_to_a_new_list_with_its_deletions(api: FakeApi, kube: Kube, gone: Any) -> None:
    stored(api, pod("a"), pod("b"))

    async def meanwhile(request: Any) -> Any:
        api.remove(paths.pods("shop", "a"))
        stored(api, pod("b", "Failed"))
        return await gone(request)

    api.script("WATCH", PODS, meanwhile)
    view = View(kube)
    async with running(view):
        await view.until(
            ("a", None, "Running"), ("b", None, "Running"), ("b", "Running", "Failed"), ("a", "Running", None)
        )
        await until(lambda: len(watched_from(api)) == 2)
    assert watched_from(api)[1] == str(api.version)


async def test_some_namespaces_are_looked_at_each_by_itself(api: FakeApi, kube: Kube) -> None:
    shop, web = paths.pods("shop"), paths.pods("web")
    here: Json = {"metadata": {"namespace": "web", "name": "w", "resourceVersion": "50"}, "phase": "Running"}
    api.script("GET", shop, answer(lambda: list_of([pod("a")], 60)), answer(lambda: list_of([], 90)))
    api.script("GET", web, answer(lambda: list_of([here], 70)))
    api.script(
        "WATCH", shop, stream({"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}), stream(then=hang)
    )
    api.script("WATCH", web, stream(then=hang))
    view = View(kube, scope=Scope(namespaces=["shop", "web"]))
    async with running(view):
        await view.reflector.synced.wait()
        assert view.reflector.store.keys() == {("shop", "a"), ("web", "w")}
        await until(lambda: len(api.seen("WATCH", shop)) == 2)
    assert view.reflector.store.keys() == {("web", "w")}
    assert view.reflector.heard == "90"
    assert not api.seen("GET", PODS)


async def test_a_list_that_expires_between_pages_starts_over(api: FakeApi, kube: Kube) -> None:
    stored(api, pod("a"))
    api.script("GET", PODS, answer(lambda: list_of([], 7, **{"continue": "x"})), refuse(410, "Expired"))
    view = View(kube)
    async with running(view):
        await view.until(("a", None, "Running"))
    assert len(api.seen("GET", PODS)) == 3


@pytest.mark.parametrize("then", [None, reset], ids=["end", "reset"])
async def test_a_stream_that_ends_is_resumed_where_it_was(api: FakeApi, kube: Kube, then: Any) -> None:
    api.script(
        "WATCH",
        PODS,
        stream(
            {"type": "ADDED", "object": pod("a", version=201)},
            {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "250"}}},
            then=then,
        ),
        stream({"type": "DELETED", "object": pod("a", version=260)}, then=hang),
    )
    view = View(kube)
    async with running(view):
        await view.until(("a", None, "Running"), ("a", "Running", None))
    assert watched_from(api) == ["100", "250"]
    assert view.reflector.heard == "260"
    assert len(api.seen("GET", PODS)) == 1


async def test_a_stream_that_falls_silent_is_resumed(api: FakeApi, kube: Kube) -> None:
    view = View(kube, stall_seconds=0.15)
    async with running(view):
        await until(lambda: len(watched_from(api)) == 3)
    assert set(watched_from(api)) == {"100"}
    assert len(api.seen("GET", PODS)) == 1


async def test_errors_are_asked_about_more_and_more_seldom(api: FakeApi, kube: Kube) -> None:
    api.script("WATCH", PODS, *[refuse(500, "InternalError")] * 50)
    view = View(kube)
    async with running(view):
        await until(lambda: len(watched_from(api)) >= 2)
        await asyncio.sleep(1)
    # Pauses of 0.05, 0.1, 0.2, 0.4 and 0.8 s at least: no more than five requests fit in before the last of them.
    assert 2 <= len(watched_from(api)) <= 6
    assert len(api.seen("GET", PODS)) == 1


async def test_a_server_that_closes_every_stream_is_not_asked_in_a_tight_loop(api: FakeApi, kube: Kube) -> None:
    api.script("WATCH", PODS, *[stream()] * 1000)
    view = View(kube)
    async with running(view):
        await until(lambda: len(watched_from(api)) >= 2)
        await asyncio.sleep(0.5)
    # The pause is 0.05 s at least.
    assert 2 <= len(watched_from(api)) <= 13


async def test_what_did_not_change_is_not_reported_again(api: FakeApi, kube: Kube) -> None:
    stored(api, pod("a"))
    api.script("WATCH", PODS, refuse(410, "Expired"))
    view = View(kube)
    async with running(view):
        await until(lambda: len(watched_from(api)) == 2)
    assert view.changes == [("a", None, "Running")]


async def test_what_was_just_written_is_no_news_when_a_watch_shows_it(api: FakeApi, kube: Kube) -> None:
    stored(api, pod("a"))
    written = asyncio.Event()
    shown = stream(
        {"type": "MODIFIED", "object": pod("a", "Written", 301)},
        {"type": "MODIFIED", "object": pod("a", "Changed", 302)},
        then=hang,
    )

    async def once_written(request: Any) -> Any:
        await written.wait()
        return await shown(request)

    api.script("WATCH", PODS, once_written)
    view = View(kube)
    async with running(view):
        await view.until(("a", None, "Running"))
        view.reflector.take_in(pod("a", "Written", 301))
        assert view.reflector.store == {("shop", "a"): "Written"}
        written.set()
        await view.until(("a", None, "Running"), ("a", "Written", "Changed"))


async def test_what_was_written_is_not_taken_in_where_newer_or_nothing_is_known(api: FakeApi, kube: Kube) -> None:
    stored(api, pod("a"))
    api.script("WATCH", PODS, stream({"type": "MODIFIED", "object": pod("a", "Newer", 302)}, then=hang))
    view = View(kube)
    async with running(view):
        await view.until(("a", None, "Running"), ("a", "Running", "Newer"))
        late: list[Json] = [pod("a", "Written", 301), pod("a", "Written", 302), pod("gone", "Written", 303)]
        for written in (*late, {"metadata": {}}):
            view.reflector.take_in(written)
    assert view.reflector.store == {("shop", "a"): "Newer"}
