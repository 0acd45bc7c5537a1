"""Everything that happened to one namespace, recorded while it happens: one watch for each kind, one order.

The API server numbers all writes in one sequence (`resourceVersion`), so changes of pods, of the StatefulSet, of the
StatefulRollout and of its ledger can be put in the order in which they were made, not in which they were heard of.
Waiting is waiting for the next change: nothing is polled.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, TypeVar

from e2e.harness.api import Api, ApiRefusedError, Stream
from e2e.harness.kubectl import Json
from statefulrollout.api import names

PODS, STATEFUL_SETS, EVENTS = "pods", "statefulsets", "events"
ROLLOUTS, LEDGERS = names.PLURAL, names.LEDGER_PLURAL
PATHS = {
    PODS: "/api/v1/namespaces/{}/pods",
    STATEFUL_SETS: "/apis/apps/v1/namespaces/{}/statefulsets",
    EVENTS: "/api/v1/namespaces/{}/events",
    ROLLOUTS: f"/apis/{names.API_VERSION}/namespaces/{{}}/{names.PLURAL}",
    LEDGERS: f"/apis/{names.API_VERSION}/namespaces/{{}}/{names.LEDGER_PLURAL}",
}

OUTAGE_SECONDS = 180.0
"""How long the API server may be away."""
LOOK_SECONDS = 0.5
LONG_LOOK_SECONDS = 0.01
"""CPU time: a look at what was recorded that takes more is a burden to the cluster, which is on the same machine."""

Found = TypeVar("Found")


class NotSeenError(AssertionError):
    """What was awaited did not come; the message has what was seen instead."""


@dataclass(frozen=True)
class Change:
    """One version of one object; `at` is when it was heard of, in seconds since the epoch."""

    at: float
    type: str
    plural: str
    item: Json

    @property
    def name(self) -> str:
        return str(self.item["metadata"]["name"])

    @property
    def gone(self) -> bool:
        return self.type == "DELETED"

    @property
    def version(self) -> int:
        """The place in the order of all writes."""
        return int(self.item["metadata"]["resourceVersion"])


@dataclass
class Journal:
    """A context manager: records for as long as it is open."""

    api: Api
    namespace: str
    changes: list[Change] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Between which versions changes may have passed unseen: the API server had forgotten what we had heard last."""
    trouble: str = ""
    _current: dict[tuple[str, str], Json] = field(default_factory=dict)
    _news: threading.Condition = field(default_factory=threading.Condition)
    _streams: dict[str, Stream] = field(default_factory=dict)
    _threads: list[threading.Thread] = field(default_factory=list)
    _closing: bool = False

    def __enter__(self) -> Self:
        for plural in PATHS:
            thread = threading.Thread(target=self._follow, args=(plural, self._catch_up(plural)))
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._closing = True
            for stream in self._streams.values():
                stream.close()
            self._news.notify_all()
        for thread in self._threads:
            thread.join()

    def find(self, plural: str, name: str) -> Json | None:
        """The object as it was last seen, None where there is none."""
        return self._current.get((plural, name))

    def items(self, plural: str) -> list[Json]:
        """All objects of a kind as they were last seen, by name."""
        with self._news:
            return [item for (kind, _), item in sorted(self._current.items()) if kind == plural]

    def history(self) -> list[Change]:
        """Every change in the order in which the writes were made."""
        with self._news:
            return sorted(self.changes, key=lambda change: change.version)

    def wait(self, what: str, probe: Callable[[], Found | None], seconds: float, describe: Callable[[], str]) -> Found:
        """Return what `probe` returns as soon as it is true, looking whenever something changed.

        Looking at thousands of objects takes long: one that did is not repeated before ten times as long has passed.

        Raises NotSeenError after so many seconds, saying what was awaited and what was last seen.
        """
        give_up_at = time.monotonic() + seconds
        with self._news:
            while True:
                began = time.thread_time()
                if found := probe():
                    return found
                took = time.thread_time() - began
                left = give_up_at - time.monotonic()
                if left <= 0 or self.trouble:
                    why = self.trouble or f"not within {seconds:.0f} s"
                    raise NotSeenError(f"awaited: {what}; {why}. Last seen:\n{describe()}")
                if took > LONG_LOOK_SECONDS:
                    self._news.wait_for(lambda: self.trouble, min(left, 10 * took))
                else:
                    self._news.wait(left)

    def stays(self, what: str, holds: Callable[[], object], seconds: float, describe: Callable[[], str]) -> None:
        """Look whenever something changes, for so many seconds, whether something goes on to hold.

        Raises NotSeenError at the first change at which it does not.
        """
        end = time.monotonic() + seconds
        with self._news:
            while True:
                if not holds():
                    raise NotSeenError(f"this should have stayed so: {what}. Last seen:\n{describe()}")
                if (left := end - time.monotonic()) <= 0:
                    return
                self._news.wait(left)

    def _follow(self, plural: str, version: str) -> None:
        """Record what happens from this version on, over breaks of the stream and of the API server itself."""
        while (stream := self._open(plural, version)) is not None:
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                event = json.loads(line)
                if event["type"] == "ERROR":
                    version = ""
                    break
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._note(plural, event["type"], event["object"])
            stream.close()

    def _open(self, plural: str, version: str) -> Stream | None:
        """Begin to watch; without a version, after looking at what there is. None once nobody listens any more."""
        path, give_up_at = PATHS[plural].format(self.namespace), time.monotonic() + OUTAGE_SECONDS
        while not self._closing:
            try:
                version = version or self._catch_up(plural)
                query = f"?watch=1&allowWatchBookmarks=1&resourceVersion={version}"
                stream = self.api.open_stream(path + query)
            except (ApiRefusedError, OSError, http.client.HTTPException) as error:
                if isinstance(error, ApiRefusedError) and error.status == 410:
                    version = ""
                elif time.monotonic() > give_up_at:
                    self._fail(f"{plural} cannot be watched: {error}")
                    return None
                time.sleep(LOOK_SECONDS)
                continue
            with self._news:
                self._streams[plural] = stream
                if self._closing:
                    stream.close()
            return stream
        return None

    def _catch_up(self, plural: str) -> str:
        """Look at what there is; record what has changed unseen, and return the version to watch from."""
        listed = self.api.get(PATHS[plural].format(self.namespace))
        heard = [change.version for change in self.changes if change.plural == plural]
        if heard:
            self.gaps.append((max(heard), int(listed["metadata"]["resourceVersion"])))
        found = {item["metadata"]["name"]: item for item in listed["items"]}
        with self._news:
            known = {name: item for (kind, name), item in self._current.items() if kind == plural}
        for name, item in known.items():
            if found.get(name, {}).get("metadata", {}).get("uid") != item["metadata"]["uid"]:
                self._note(plural, "DELETED", item)
        for name, item in found.items():
            if name not in known or known[name]["metadata"]["uid"] != item["metadata"]["uid"]:
                self._note(plural, "ADDED", item)
            elif known[name]["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self._note(plural, "MODIFIED", item)
        return str(listed["metadata"]["resourceVersion"])

    def _note(self, plural: str, kind: str, item: Json) -> None:
        change = Change(time.time(), kind, plural, item)
        with self._news:
            self.changes.append(change)
            key = (plural, change.name)
            if not change.gone:
                self._current[key] = item
            elif key in self._current and self._current[key]["metadata"]["uid"] == item["metadata"]["uid"]:
                del self._current[key]
            self._news.notify_all()

    def _fail(self, trouble: str) -> None:
        with self._news:
            self.trouble = trouble
            self._news.notify_all()
