"""Following the cluster: the terminal's patience, watches that end, records fetched page by page, the exit status."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2e.demo.__main__ import report
from e2e.demo.loadpod import LoadPod
from e2e.demo.programs import Cluster, DemoError, call
from e2e.demo.terminal import Terminal
from e2e.demo.watching import Watched
from e2e.load.records import Record
from e2e.load.run import RECORDS_AT_ONCE
from tests.unit.demo.sides import GOOD, ours, plain

FAILED = Record(102.0, "client", "write", "key-7", "timeout", 5000.0)
CLUSTER = Cluster(Path("bin/kubectl"), Path("cluster.kubeconfig"), external=False)


@dataclass(frozen=True)
class RecordedCluster(Cluster):
    """Answers kubectl's requests from a list of records, and remembers them."""

    records: list[Record] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def run(self, *args: str, stdin: str = "") -> str:
        self.asked.append(args[2])
        if args[0] == "create":
            return json.dumps({"phase": self.phases.pop(0)})
        since = int(args[2].rpartition("=")[2])
        return "".join(json.dumps(record) + "\n" for record in self.records[since : since + RECORDS_AT_ONCE])


def recorded(**of: list[Record] | list[str]) -> RecordedCluster:
    return RecordedCluster(CLUSTER.kubectl, CLUSTER.kubeconfig, False, **of)  # type: ignore[arg-type]


async def test_what_lasts_is_reported_until_it_is_over() -> None:
    lines: list[str] = []
    over = asyncio.Event()

    async def look() -> str:
        if len(lines) == 3:
            over.set()
        return "half done"

    await Terminal(lines.append).during("working", over.wait(), deadline_seconds=60, look=look, tick_seconds=0.001)
    assert lines[0].endswith("s] working …")
    assert len(lines) >= 3
    assert all(line.endswith("s]   half done") for line in lines[1:])


async def test_what_never_ends_is_given_up_and_ended() -> None:
    work = asyncio.ensure_future(asyncio.Event().wait())
    with pytest.raises(DemoError, match="waited 0 s in vain for: working"):
        await Terminal(lambda _: None).during("working", work, deadline_seconds=0, tick_seconds=0.001)
    assert work.cancelled()


async def test_a_failure_while_waiting_is_passed_on() -> None:
    with pytest.raises(DemoError, match="status 3:\nno such thing"):
        await Terminal(lambda _: None).during(
            "working",
            call(sys.executable, "-c", "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"),
            deadline_seconds=60,
        )


async def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(DemoError, match="no-such-program is not installed"):
        await call("no-such-program")


async def test_a_watch_keeps_every_version_and_wakes_who_waits() -> None:
    lines, watched = asyncio.StreamReader(), Watched()
    following = asyncio.create_task(watched.follow(lines))
    waiting = asyncio.create_task(watched.until(lambda thing: thing["n"] == 2))
    for number in (1, 2):
        lines.feed_data(json.dumps({"type": "MODIFIED", "object": {"n": number}}).encode() + b"\n")
    assert await waiting == watched.versions[1][0]
    lines.feed_eof()
    await following
    assert [thing["n"] for _, thing in watched.versions] == [1, 2]


async def test_a_watch_that_ends_too_early_is_an_error() -> None:
    lines, watched = asyncio.StreamReader(), Watched()
    lines.feed_eof()
    await watched.follow(lines)
    with pytest.raises(DemoError, match="kubectl ended"):
        await watched.until(lambda _: True)


async def test_records_are_fetched_once_each() -> None:
    cluster = recorded(records=[*GOOD])
    load = LoadPod(cluster, "ns")
    await load.fetch_records()
    cluster.records.append(FAILED)
    await load.fetch_records()
    assert load.records == [*GOOD, FAILED]
    base = "/api/v1/namespaces/ns/pods/load:8090/proxy"
    assert cluster.asked == [f"{base}/records?since=0", f"{base}/records?since=20"]


async def test_a_full_page_of_records_is_not_the_last() -> None:
    cluster = recorded(records=[FAILED] * (RECORDS_AT_ONCE + 5))
    load = LoadPod(cluster, "ns")
    await load.fetch_records()
    assert len(load.records) == RECORDS_AT_ONCE + 5


async def test_finishing_is_asked_for_until_it_is_over() -> None:
    cluster = recorded(records=[FAILED], phases=["Sweeping", "Sweeping", "Finished"])
    load = LoadPod(cluster, "ns")
    assert (await load.finish())["phase"] == "Finished"
    assert (cluster.phases, load.records) == ([], [FAILED])


def test_the_demo_succeeds_whatever_befalls_the_plain_statefulset(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(CLUSTER, [plain([FAILED], keysLost=50), ours()], Path("index.html")) == 0
    told = capsys.readouterr().out
    assert "did not keep its promise" not in told
    assert all(command in told for command in ("get sro", "set env", "describe sro", "export KUBECONFIG="))


def test_the_demo_fails_when_the_rollout_broke_its_promise(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(CLUSTER, [plain(), ours([FAILED])], Path("index.html")) == 1
    assert "client's write of key-7: timeout" in capsys.readouterr().out
