from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from statefulrollout.api.v1alpha1 import Call, Done, Http
from statefulrollout.core.asks import Answer, Ask, Report
from statefulrollout.hooks.http import call_http
from statefulrollout.hooks.runner import HookRunner
from tests.unit.hooks.application import FAST, KEY, Application, Listener, Say, ask_of, reach_of, request_to

DRAIN = "uid/rev/drain"


def is_done(reports: Mapping[str, Report]) -> bool:
    return DRAIN in reports and reports[DRAIN].answer is Answer.DONE


def answers(listener: Listener) -> list[Answer]:
    return [report.answer for report in listener.heard]


def with_done(pod: Application, *, stable: int = 0, expect: str = "json.inFlight == 0", **changes: Any) -> Ask:
    call = Call(http=Http(port="admin", path="/drain", method="GET"))
    done = Done(call=call, expect=expect, stable_for_seconds=stable)
    return ask_of(request_to(pod), done=done, done_request=request_to(pod, method="GET"), **changes)


async def test_a_hook_that_is_done_at_once(runner: HookRunner, listener: Listener, pod: Application) -> None:
    pod.says(Say(204))
    runner.sync(KEY, [ask_of(request_to(pod))])
    reports = await listener.until(is_done)
    assert reports[DRAIN].text == "POST /drain on port admin of kvstore-0 answered 204"
    assert len(pod.heard) == 1


async def test_the_same_request_is_sent_until_it_is_done(
    runner: HookRunner, listener: Listener, pod: Application
) -> None:
    pod.says(Say(202, {"progress": 9}), Say(202, {"progress": 4}), Say(200))
    runner.sync(KEY, [ask_of(request_to(pod, body='{"hook": "drain"}'))])
    await listener.until(is_done)
    assert [report.progress for report in listener.heard] == [9.0, 4.0, 4.0]
    assert [heard.body for heard in pod.heard] == ['{"hook": "drain"}'] * 3


async def test_progress_is_dated_when_it_falls_and_only_then(
    runner: HookRunner, listener: Listener, pod: Application
) -> None:
    pod.says(*(Say(202, {"progress": left}) for left in (5, 7, 7, 3)), Say(503), Say(200))
    opened = time.time()
    runner.sync(KEY, [ask_of(request_to(pod))])
    await listener.until(is_done)
    first, risen, fallen, refused, done = listener.heard
    assert opened <= first.progressed == risen.progressed <= first.at < fallen.at == fallen.progressed
    assert fallen.progressed == refused.progressed == done.progressed
    assert (refused.progress, done.progress) == (3.0, 3.0)


@pytest.mark.parametrize(
    ("say", "answer"),
    [(Say(503), Answer.NOT_NOW), (Say(500), Answer.ERROR), (Say(404), Answer.MISCONFIGURED), (Say(302), Answer.ERROR)],
)
async def test_what_was_refused_is_asked_again(
    runner: HookRunner, listener: Listener, pod: Application, say: Say, answer: Answer
) -> None:
    pod.says(say, say, Say(200))
    runner.sync(KEY, [ask_of(request_to(pod))])
    reports = await listener.until(is_done)
    assert answers(listener) == [answer, Answer.DONE]
    assert listener.heard[0].since < reports[DRAIN].since
    assert len(pod.heard) == 3


async def test_what_is_misconfigured_says_so_at_once(
    session: aiohttp.ClientSession, listener: Listener, pod: Application
) -> None:
    runner = listener.runner = HookRunner(reach_of(session), listener, lambda: True)
    runner.sync(KEY, [ask_of(request_to(pod, path="/nowhere"))])
    reports = await listener.until(lambda reports: DRAIN in reports)
    assert reports[DRAIN].answer is Answer.MISCONFIGURED
    assert "correct port, path or method" in reports[DRAIN].text
    await runner.aclose()


async def test_a_hang_is_an_error_and_then_asked_again(
    runner: HookRunner, listener: Listener, pod: Application
) -> None:
    pod.says(Say(hangs=True), Say(200))
    runner.sync(KEY, [ask_of(request_to(pod, timeout_seconds=1))])
    await listener.until(is_done)
    assert listener.heard[0].answer is Answer.ERROR
    assert listener.heard[0].text.endswith("failed: timed out after 1 s")


async def test_a_generation_that_was_seen_is_reported(runner: HookRunner, listener: Listener, pod: Application) -> None:
    pod.says(Say(409, {"generation": 18}))
    runner.sync(KEY, [ask_of(request_to(pod))])
    reports = await listener.until(lambda reports: DRAIN in reports)
    assert (reports[DRAIN].answer, reports[DRAIN].generation) == (Answer.NOT_NOW, 18)


async def test_a_missing_key_does_not_pass(runner: HookRunner, listener: Listener, pod: Application) -> None:
    pod.says(Say(200, {}), Say(200, "not json"), Say(200, {"moved": True}))
    runner.sync(KEY, [ask_of(request_to(pod), expect="json.moved")])
    await listener.until(is_done)
    assert answers(listener) == [Answer.IN_PROGRESS, Answer.IN_PROGRESS, Answer.DONE]
    assert 'the key "moved" is missing' in listener.heard[0].text
    assert "not JSON" in listener.heard[1].text


async def test_done_is_asked_once_the_request_was_accepted(
    runner: HookRunner, listener: Listener, pod: Application
) -> None:
    pod.says(Say(503), Say(202))
    pod.says(Say(200, {"inFlight": 2}), Say(200, {"inFlight": 0}), method="GET")
    runner.sync(KEY, [with_done(pod, progress="json.inFlight")])
    await listener.until(is_done)
    assert [heard.method for heard in pod.heard] == ["POST", "POST", "GET", "GET"]
    assert [report.progress for report in listener.heard] == [None, 2.0, 0.0]


async def test_an_answer_counts_only_once_it_stayed_good(
    runner: HookRunner, listener: Listener, pod: Application
) -> None:
    pod.says(Say(200))
    pod.says(Say(200, {"inFlight": 0}), Say(200, {"inFlight": 1}), Say(200, {"inFlight": 0}), method="GET")
    runner.sync(KEY, [with_done(pod, stable=1)])
    began = time.time()
    reports = await listener.until(is_done)
    assert time.time() - began >= 1
    assert [report.text.split("answered ")[1] for report in listener.heard] == [
        "200; must stay so for 1 s",
        "200, but expect `json.inFlight == 0` is not true yet",
        "200; must stay so for 1 s",
        "200",
    ]
    assert listener.heard[1].at < reports[DRAIN].since <= reports[DRAIN].at - 1


async def test_what_was_accepted_settles_before_it_counts(
    runner: HookRunner, listener: Listener, pod: Application
) -> None:
    pod.says(Say(200))
    began = time.time()
    runner.sync(KEY, [ask_of(request_to(pod), settle_seconds=1)])
    await listener.until(is_done)
    assert time.time() - began >= 1
    assert answers(listener) == [Answer.IN_PROGRESS, Answer.DONE]
    assert listener.heard[0].text.endswith("answered 200; settling for 1 s")
    assert len(pod.heard) == 1


async def test_a_check_goes_on_after_it_passed(runner: HookRunner, listener: Listener, pod: Application) -> None:
    pod.says(Say(200), Say(200), Say(503), Say(200))
    runner.sync(KEY, [ask_of(request_to(pod), repeats=True)])
    await listener.until(lambda _: len(listener.heard) == 3)
    assert answers(listener) == [Answer.DONE, Answer.NOT_NOW, Answer.DONE]


async def test_a_check_says_that_the_application_says_no(
    runner: HookRunner, listener: Listener, pod: Application
) -> None:
    pod.says(Say(503, {"state": "yellow"}), Say(500, {"state": "red"}), Say(200, {"state": "green"}))
    runner.sync(KEY, [ask_of(request_to(pod), repeats=True, fail_when="json.state == 'red'")])
    await listener.until(is_done)
    assert answers(listener) == [Answer.NOT_NOW, Answer.FAILED, Answer.DONE]


async def test_a_check_that_stays_good_is_dated_at_the_first_good_answer(
    runner: HookRunner, listener: Listener, pod: Application
) -> None:
    pod.says(Say(200))
    runner.sync(KEY, [ask_of(request_to(pod), repeats=True)])
    since = (await listener.until(is_done))[DRAIN].since
    await pod.until(lambda pod: len(pod.heard) >= 5)
    report = runner.reports(KEY)[DRAIN]
    assert report.since == since < report.at


async def test_answers_that_say_nothing_new_wake_nobody(
    runner: HookRunner, listener: Listener, pod: Application
) -> None:
    pod.says(*[Say(202, {"progress": 5})] * 20, Say(200))
    runner.sync(KEY, [ask_of(request_to(pod))])
    await listener.until(is_done)
    assert listener.wakes == [KEY, KEY]


async def test_peers_are_done_when_all_are(runner: HookRunner, listener: Listener, pods: list[Application]) -> None:
    for pod, script in zip(pods, ([Say(200)], [Say(503), Say(200)], [Say(200)]), strict=True):
        pod.says(*script)
    runner.sync(KEY, [ask_of(request_to(*pods))])
    await listener.until(is_done)
    assert listener.heard[0].text == "POST /drain on port admin of kvstore-1 answered 503: not now (2 of 3 agree)"
    assert [len(pod.heard) for pod in pods] == [2, 2, 2]


async def test_peers_are_asked_at_the_same_time(
    runner: HookRunner, listener: Listener, pods: list[Application]
) -> None:
    for pod in pods:
        pod.says(Say(hangs=True))
    runner.sync(KEY, [ask_of(request_to(*pods))])
    for pod in pods:
        await pod.until(lambda pod: pod.hanging == 1)


async def test_no_longer_listed_means_cancelled_and_forgotten(
    runner: HookRunner, listener: Listener, pod: Application
) -> None:
    pod.says(Say(503), Say(hangs=True))
    runner.sync(KEY, [ask_of(request_to(pod))])
    await pod.until(lambda pod: pod.hanging == 1)
    runner.sync(KEY, [])
    assert runner.reports(KEY) == {}
    await pod.until(lambda pod: pod.hanging == 0)
    assert len(pod.heard) == 2


async def test_asks_that_stay_listed_go_on_undisturbed(
    runner: HookRunner, listener: Listener, pods: list[Application]
) -> None:
    staying, leaving, coming = pods
    for pod in pods:
        pod.says(Say(hangs=True))
    stays, leaves, comes = (ask_of(request_to(pod), id=pod.name) for pod in (staying, leaving, coming))
    runner.sync(KEY, [stays, leaves])
    await staying.until(lambda pod: pod.hanging == 1)
    await leaving.until(lambda pod: pod.hanging == 1)
    runner.sync(KEY, [stays, comes])
    await coming.until(lambda pod: pod.hanging == 1)
    await leaving.until(lambda pod: pod.hanging == 0)
    assert staying.hanging == 1
    assert len(staying.heard) == 1


async def test_a_final_report_stays_while_it_is_listed_whatever_changes(
    runner: HookRunner, listener: Listener, pods: list[Application]
) -> None:
    pod, other, _ = pods
    pod.says(Say(200))
    runner.sync(KEY, [ask_of(request_to(pod))])
    before = (await listener.until(is_done))[DRAIN]
    runner.sync(KEY, [ask_of(request_to(other), title="drain again")])
    assert runner.reports(KEY)[DRAIN] is before
    runner.sync(KEY, [])
    runner.sync(KEY, [ask_of(request_to(pod))])
    assert runner.reports(KEY) == {}
    await listener.until(is_done)
    assert (len(pod.heard), len(other.heard)) == (2, 0)


async def test_another_body_counts_from_the_next_request_on(
    runner: HookRunner, listener: Listener, pod: Application
) -> None:
    pod.says(Say(202, {"epoch": 1}))
    first = ask_of(request_to(pod, body="first"), progress="members.left", variables={"members": {"left": 2}})
    runner.sync(KEY, [first])
    await listener.until(lambda reports: DRAIN in reports)
    second = replace(first, request=request_to(pod, body="second"), variables={"members": {"left": 1}})
    runner.sync(KEY, [second])
    assert runner.reports(KEY)[DRAIN].progress == 2.0
    await listener.until(lambda reports: reports[DRAIN].progress == 1.0)
    assert pod.heard[-1].body == "second"


async def test_another_address_is_asked_from_the_beginning(
    runner: HookRunner, listener: Listener, pods: list[Application]
) -> None:
    old, new, _ = pods
    old.says(Say(202, {"progress": 5}), Say(hangs=True))
    new.says(Say(202, {"progress": 3}))
    runner.sync(KEY, [ask_of(request_to(old))])
    await old.until(lambda pod: pod.hanging == 1)
    opened = runner.reports(KEY)[DRAIN].progressed
    runner.sync(KEY, [ask_of(request_to(new))])
    assert runner.reports(KEY) == {}
    reports = await listener.until(lambda reports: DRAIN in reports)
    assert reports[DRAIN].progress == 3.0
    assert reports[DRAIN].progressed > opened
    await old.until(lambda pod: pod.hanging == 0)


async def test_rollouts_do_not_see_each_other(runner: HookRunner, listener: Listener, pod: Application) -> None:
    pod.says(Say(200))
    other = ("shop", "queue")
    runner.sync(KEY, [ask_of(request_to(pod))])
    runner.sync(other, [ask_of(request_to(pod))])
    await listener.until(is_done, key=other)
    await listener.until(is_done)
    runner.sync(other, [])
    assert set(runner.reports(KEY)) == {DRAIN}
    assert sorted(listener.wakes) == [KEY, other]


async def test_a_rollout_that_hangs_leaves_room_for_others(
    session: aiohttp.ClientSession, listener: Listener, pods: list[Application]
) -> None:
    runner = listener.runner = HookRunner(reach_of(session), listener, lambda: True, cadence=FAST, most_requests=8)
    hanging, healthy, _ = pods
    hanging.says(Say(hangs=True))
    healthy.says(Say(200))
    runner.sync(("shop", "stuck"), [ask_of(request_to(hanging), id=str(number)) for number in range(20)])
    await hanging.until(lambda pod: pod.hanging == 2)
    runner.sync(KEY, [ask_of(request_to(healthy))])
    await listener.until(is_done)
    assert hanging.most_hanging == 2
    await runner.aclose()


async def test_no_more_requests_at_a_time_than_allowed(
    session: aiohttp.ClientSession, listener: Listener, pod: Application
) -> None:
    runner = listener.runner = HookRunner(reach_of(session), listener, lambda: True, cadence=FAST, most_requests=3)
    pod.says(Say(hangs=True))
    for number in range(6):
        runner.sync(("shop", str(number)), [ask_of(request_to(pod, timeout_seconds=1))])
    await pod.until(lambda pod: len(pod.heard) >= 6)
    assert pod.most_hanging == 3
    await runner.aclose()
    await pod.until(lambda pod: pod.hanging == 0)


async def test_closing_cancels_everything(runner: HookRunner, listener: Listener, pod: Application) -> None:
    pod.says(Say(hangs=True))
    runner.sync(KEY, [ask_of(request_to(pod))])
    await pod.until(lambda pod: pod.hanging == 1)
    await runner.aclose()
    assert runner.reports(KEY) == {}
    await pod.until(lambda pod: pod.hanging == 0)


async def test_a_mistake_of_our_own_is_reported_and_mended(
    runner: HookRunner, listener: Listener, pod: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [KeyError("a secret")]

    async def breaks_once(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return await call_http(*arguments)

    monkeypatch.setattr("statefulrollout.hooks.reach.call_http", breaks_once)
    pod.says(Say(200))
    runner.sync(KEY, [ask_of(request_to(pod))])
    await listener.until(is_done)
    assert listener.heard[0].text == "POST /drain on port admin of kvstore-0 failed: an error in the operator"


async def test_a_replica_that_does_not_lead_any_more_sends_nothing(
    session: aiohttp.ClientSession, listener: Listener, pod: Application
) -> None:
    runner = listener.runner = HookRunner(reach_of(session), listener, lambda: False, cadence=FAST)
    runner.sync(KEY, [ask_of(request_to(pod))])
    reports = await listener.until(lambda reports: DRAIN in reports)
    await runner.aclose()
    assert reports[DRAIN].answer is Answer.ERROR
    assert "another replica leads" in reports[DRAIN].text
    assert pod.heard == []
