"""Requests to evict pods, one or hundreds at once, and what the API server says of the webhooks that judge them."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from e2e.harness.api import Api
from e2e.harness.kubectl import Kubectl
from e2e.load.records import percentile

EVICTIONS_WEBHOOK = "evictions.statefulrollout.dev"
PODS_WEBHOOK = "pods.statefulrollout.dev"
ANSWER_SECONDS = 30.0
DRY_RUN, FOR_GOOD = "?dryRun=All", ""


@dataclass(frozen=True)
class Answer:
    """What somebody who asked for an eviction was told; `at` is seconds since the epoch, `ms` milliseconds it took."""

    pod: str
    status: int
    message: str
    at: float
    ms: float

    @property
    def is_held(self) -> bool:
        """Whether the webhook judged it, and told whoever asked to ask again."""
        return self.status == 429 and f"{self.pod} is drained before it may be evicted" in self.message

    @property
    def passed(self) -> bool:
        """Whether the pod is evicted, or would be."""
        return self.status == 201


def evict(api: Api, namespace: str, pod: str) -> Answer:
    """Ask once for an eviction, and mean it."""
    (answer,) = asyncio.run(_ask_all(api, namespace, [pod], FOR_GOOD))
    return answer


def burst(api: Api, namespace: str, pods: Sequence[str], seconds: float) -> list[Answer]:
    """Ask within so many seconds for dry runs of all of these, a name as often as it is in the list.

    Nobody waits for an answer before he asks.
    """
    return asyncio.run(_ask_all(api, namespace, pods, DRY_RUN, seconds))


@contextmanager
def asking(api: Api, namespace: str, pod: str, at_once: int) -> Iterator[list[Answer]]:
    """Ask for a dry run again and again, so many askers at once, for as long as the context lasts."""
    answers: list[Answer] = []
    over = threading.Event()

    async def ask_on(session: aiohttp.ClientSession) -> None:
        while not over.is_set():
            answers.append(await _ask(session, namespace, pod, DRY_RUN))

    async def ask_all() -> None:
        async with _session(api) as session:
            await asyncio.gather(*(ask_on(session) for _ in range(at_once)))

    thread = threading.Thread(target=lambda: asyncio.run(ask_all()))
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()


def latencies_of(answers: Sequence[Answer]) -> str:
    """How long they took, in milliseconds, for a human."""
    took = [answer.ms for answer in answers]
    return f"{len(took)} answers, p50 {percentile(took, 50):.0f} ms, p99 {percentile(took, 99):.0f} ms"


@dataclass(frozen=True)
class Judged:
    """What the API server counts of one webhook: requests, those that passed because nobody answered, their times."""

    requests: int
    unanswered: int
    within: dict[float, int]
    """How many took at most so many seconds."""

    def since(self, before: Judged) -> Judged:
        """What was added meanwhile."""
        within = {limit: count - before.within.get(limit, 0) for limit, count in self.within.items()}
        return Judged(self.requests - before.requests, self.unanswered - before.unanswered, within)

    def slowest(self, percent: float) -> float:
        """Seconds that so many per cent did not exceed, as far as the API server tells: a limit of its histogram."""
        total = max(self.within.values(), default=0)
        return min((limit for limit, count in self.within.items() if count * 100 >= percent * total), default=0.0)


def judged_by(kubectl: Kubectl, webhook: str) -> Judged:
    """What this cluster's API server has counted so far; of several, one answers."""
    lines = (line for line in kubectl.run("get", "--raw", "/metrics").splitlines() if f'name="{webhook}"' in line)
    requests, unanswered = 0, 0
    within: dict[float, int] = {}
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            match sample.name.removeprefix("apiserver_admission_webhook_"):
                case "request_total":
                    requests += int(sample.value)
                case "fail_open_count":
                    unanswered += int(sample.value)
                case "admission_duration_seconds_bucket":
                    limit = float(sample.labels["le"])
                    within[limit] = within.get(limit, 0) + int(sample.value)
    return Judged(requests, unanswered, within)


async def _ask_all(api: Api, namespace: str, pods: Sequence[str], query: str, seconds: float = 0.0) -> list[Answer]:
    async with _session(api) as session:

        async def ask_later(place: int, pod: str) -> Answer:
            await asyncio.sleep(seconds * place / len(pods))
            return await _ask(session, namespace, pod, query)

        return await asyncio.gather(*(ask_later(place, pod) for place, pod in enumerate(pods)))


def _session(api: Api) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        f"http://127.0.0.1:{api.port}",
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
    )


async def _ask(session: aiohttp.ClientSession, namespace: str, pod: str, query: str) -> Answer:
    at, began = time.time(), time.monotonic()
    metadata = {"name": pod, "namespace": namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction{query}"
    async with session.post(path, json=body) as answer:
        # What the API server or the proxy say by themselves is plain text.
        said = json.loads(await answer.read()) if answer.content_type == "application/json" else await answer.text()
    message = said if isinstance(said, str) else str(said.get("message", ""))
    return Answer(pod, answer.status, message, at, (time.monotonic() - began) * 1000)
