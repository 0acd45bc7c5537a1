from __future__ import annotations

import json
from typing import Any

import pytest

from statefulrollout.api.v1alpha1 import Exec, Http
from statefulrollout.core.asks import Address, Answer, Measure, Request
from statefulrollout.hooks.protocol import Question, Verdict, json_of, verdict_of
from statefulrollout.hooks.replies import Exit, NoReply, Reply

SECRET = "hunter2"


def request(*names: str) -> Request:
    to = tuple(Address(name, "10.0.0.1", 8080) for name in names or ("kvstore-3",))
    return Request(Http(port="admin", path="/drain"), to, 5)


def command(*names: str) -> Request:
    return Request(Exec(container="store", command=["ctl", "drain"]), request(*names).to, 5)


def reply(status: int, body: Any = None, retry_after: str | None = None) -> Reply:
    return Reply(status, b"" if body is None else json.dumps(body).encode(), retry_after)


def verdict(reply: Reply | NoReply, **question: Any) -> Verdict:
    return verdict_of(request(), [reply], Question(**question))


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, Answer.DONE),
        (204, Answer.DONE),
        (202, Answer.IN_PROGRESS),
        (409, Answer.NOT_NOW),
        (423, Answer.NOT_NOW),
        (503, Answer.NOT_NOW),
        (404, Answer.MISCONFIGURED),
        (405, Answer.MISCONFIGURED),
        (501, Answer.MISCONFIGURED),
        (201, Answer.ERROR),
        (302, Answer.ERROR),
        (400, Answer.ERROR),
        (429, Answer.ERROR),
        (500, Answer.ERROR),
        (502, Answer.ERROR),
    ],
)
def test_each_status_code_has_one_meaning_and_a_sentence_that_names_request_and_code(
    status: int, answer: Answer
) -> None:
    given = verdict(reply(status))
    assert given.answer is answer
    assert given.text.startswith(f"POST /drain on port admin of kvstore-3 answered {status}")


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (0, Answer.DONE),
        (75, Answer.IN_PROGRESS),
        (126, Answer.MISCONFIGURED),
        (127, Answer.MISCONFIGURED),
        (1, Answer.ERROR),
        (137, Answer.ERROR),
    ],
)
def test_each_exit_code_has_one_meaning(code: int, answer: Answer) -> None:
    given = verdict_of(command(), [Exit(code)], Question())
    assert given.answer is answer
    assert given.text.startswith(f"`ctl drain` in container store of kvstore-3 exited with {code}")


def test_what_a_command_prints_is_read_like_a_body() -> None:
    moving = Exit(75, b'{"progress": 17}')
    assert verdict_of(command(), [moving], Question()).progress == 17.0
    printed = Exit(0, b"PONG " + SECRET.encode())
    question = Question(expect="exitCode == 0 && text.startsWith('PONG')", progress="json.left")
    assert verdict_of(command(), [printed], question).answer is Answer.DONE
    waits = verdict_of(command(), [printed], Question(expect="text == 'PONG'"))
    assert waits.answer is Answer.IN_PROGRESS
    assert SECRET not in waits.text


def test_a_command_says_by_75_that_it_has_seen_a_higher_generation() -> None:
    given = verdict_of(command(), [Exit(75, b'{"generation": 99}')], Question())
    assert (given.answer, given.generation) == (Answer.IN_PROGRESS, 99)


def test_a_peer_whose_command_did_not_end_has_no_exit_code() -> None:
    question = Question(expect="answers[1].exitCode == -1")
    given = verdict_of(command("a", "b"), [Exit(0), NoReply("timed out after 5 s")], question)
    assert given.text.endswith("`ctl drain` in container store of b failed: timed out after 5 s (1 of 2 agree)")


def test_a_202_tells_how_much_is_left_and_when_to_come_back() -> None:
    given = verdict(reply(202, {"progress": 17}, retry_after="3"))
    assert (given.progress, given.retry_after) == (17.0, 3.0)
    assert given.text.endswith("answered 202: in progress, progress 17")


@pytest.mark.parametrize("progress", ["17", True, None, [17], float("inf")])
def test_a_progress_that_is_no_number_is_none(progress: object) -> None:
    assert verdict(reply(202, {"progress": progress})).progress is None


def test_a_409_tells_the_generation_that_the_application_has_seen() -> None:
    given = verdict(reply(409, {"generation": 1_800_000_000_000}))
    assert given.generation == 1_800_000_000_000
    assert given.text.endswith("answered 409: not now, it has seen generation 1800000000000")


@pytest.mark.parametrize("body", [{"generation": "9"}, {"generation": True}, {"generation": -1}, {}, [9], None])
def test_a_409_without_a_generation_is_just_not_now(body: object) -> None:
    assert verdict(reply(409, body)).generation is None


def test_only_a_409_carries_a_generation() -> None:
    assert verdict(reply(503, {"generation": 9})).generation is None


def test_a_200_must_also_satisfy_what_is_expected_of_it() -> None:
    expect = "json.inFlight == 0"
    assert verdict(reply(200, {"inFlight": 0}), expect=expect).answer is Answer.DONE
    waiting = verdict(reply(200, {"inFlight": 3}), expect=expect)
    assert waiting.answer is Answer.IN_PROGRESS
    assert waiting.text.endswith("answered 200, but expect `json.inFlight == 0` is not true yet")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"other": 1}', 'the key "ready" is missing'),
        (b"not json", "a body that is not JSON is null"),
        (b"", "a body that is not JSON is null"),
        (b'{"ready": "true"}', "gave string instead of true or false"),
        (b'{"ready": 1}', "gave int instead of true or false"),
    ],
)
def test_an_expectation_that_cannot_be_judged_never_passes(body: bytes, reason: str) -> None:
    given = verdict(Reply(200, body), expect="json.ready")
    assert given.answer is Answer.IN_PROGRESS
    assert reason in given.text


def test_an_expectation_does_not_turn_a_refusal_into_a_success() -> None:
    assert verdict(reply(503), expect="status == 503").answer is Answer.NOT_NOW


def test_a_request_that_has_only_to_be_accepted_is_content_with_202() -> None:
    assert verdict(reply(202), accepting=True).answer is Answer.DONE
    assert verdict(reply(202, {"ok": False}), accepting=True, expect="json.ok").answer is Answer.IN_PROGRESS
    assert verdict(reply(503), accepting=True).answer is Answer.NOT_NOW


def test_progress_is_read_by_the_expression_where_there_is_one() -> None:
    given = verdict(reply(200, {"left": 4, "progress": 9}), expect="json.left == 0", progress="json.left")
    assert given.progress == 4.0
    assert given.text.endswith("progress 4")


def test_a_progress_that_cannot_be_read_is_said_so() -> None:
    given = verdict(reply(202, {"progress": 9}), progress="json.left")
    assert given.progress is None
    assert given.text.endswith('progress `json.left` cannot be evaluated: the key "left" is missing')


@pytest.mark.parametrize("status", [200, 202, 500, 503])
def test_fail_when_turns_any_response_into_a_failure(status: int) -> None:
    given = verdict(reply(status, {"state": "red"}), fail_when="json.state == 'red'")
    assert given.answer is Answer.FAILED
    assert given.text.endswith(f"answered {status}, and failWhen `json.state == 'red'` is true")


def test_fail_when_that_is_false_or_cannot_be_judged_fails_nothing() -> None:
    assert verdict(reply(200, {"state": "green"}), fail_when="json.state == 'red'").answer is Answer.DONE
    assert verdict(reply(200, {}), fail_when="json.state == 'red'").answer is Answer.DONE
    assert verdict(NoReply("connection refused"), fail_when="true").answer is Answer.ERROR


def test_no_reply_is_an_error_and_an_unsendable_request_is_misconfigured() -> None:
    given = verdict(NoReply("connection refused"))
    assert given.answer is Answer.ERROR
    assert given.text == "POST /drain on port admin of kvstore-3 failed: connection refused"
    assert verdict(NoReply("bad header", misconfigured=True)).answer is Answer.MISCONFIGURED


def test_expressions_see_pod_and_members() -> None:
    variables = {"pod": {"name": "kvstore-3"}, "members": {"generation": 7}}
    expect = "pod.name == 'kvstore-3' && json.generation == members.generation"
    assert verdict(reply(200, {"generation": 7}), expect=expect, variables=variables).answer is Answer.DONE
    assert verdict(reply(200, {"generation": 6}), expect=expect, variables=variables).answer is Answer.IN_PROGRESS


def test_peers_are_done_when_all_are() -> None:
    peers = request("a", "b", "c")
    assert verdict_of(peers, [reply(200)] * 3, Question()).answer is Answer.DONE
    given = verdict_of(peers, [reply(200), reply(503), reply(202)], Question())
    assert given.answer is Answer.NOT_NOW
    assert given.text == "POST /drain on port admin of b answered 503: not now (1 of 3 agree)"


@pytest.mark.parametrize(
    ("better", "worse", "answer"),
    [
        (reply(200), reply(202), Answer.IN_PROGRESS),
        (reply(202), reply(409), Answer.NOT_NOW),
        (reply(409), NoReply("timed out after 5 s"), Answer.ERROR),
        (reply(500), reply(404), Answer.MISCONFIGURED),
        (reply(404), reply(200, {"state": "red"}), Answer.FAILED),
    ],
)
def test_the_worst_peer_wins(better: Reply, worse: Reply | NoReply, answer: Answer) -> None:
    question = Question(fail_when="json.state == 'red'")
    assert verdict_of(request("a", "b"), [better, worse], question).answer is answer
    assert verdict_of(request("a", "b"), [worse, better], question).answer is answer


def test_progress_of_peers_is_the_sum_and_known_only_where_all_that_work_tell_it() -> None:
    peers = request("a", "b", "c")
    known = [reply(202, {"progress": 3}), reply(202, {"progress": 4}), reply(200)]
    assert verdict_of(peers, known, Question()).progress == 7.0
    unknown = [reply(202, {"progress": 3}), reply(503), reply(200)]
    assert verdict_of(peers, unknown, Question()).progress is None


def test_peers_can_be_judged_together() -> None:
    question = Question(expect="answers.all(a, a.json.epoch == answers[0].json.epoch)")
    peers = request("a", "b")
    assert verdict_of(peers, [reply(200, {"epoch": 4}), reply(200, {"epoch": 4})], question).answer is Answer.DONE
    split = verdict_of(peers, [reply(200, {"epoch": 4}), reply(200, {"epoch": 5})], question)
    assert split.answer is Answer.IN_PROGRESS


def test_a_peer_that_cannot_be_reached_is_among_the_answers_with_status_0() -> None:
    question = Question(expect="answers.exists(a, a.status == 0 && a.pod == 'b' && a.json == null)")
    given = verdict_of(request("a", "b"), [reply(200), NoReply("connection refused")], question)
    assert given.answer is Answer.ERROR
    assert "1 of 2 agree" in given.text


def test_a_request_to_nobody_is_never_good() -> None:
    nobody = Request(Http(port="admin", path="/drain"), (), 5)
    assert verdict_of(nobody, [], Question()).answer is Answer.NOT_NOW


@pytest.mark.parametrize("status", [200, 202, 204, 302, 404, 409, 500, 503])
@pytest.mark.parametrize(
    "question",
    [
        {},
        {"expect": "json.password == 1", "progress": "json.password"},
        {"expect": "members[json.password] == 1"},
        {"expect": "int(json.password) == 1"},
        {"expect": "json.password"},
        {"expect": "text.matches(json.password + '(')", "fail_when": "json[json.password]"},
    ],
)
def test_no_sentence_ever_quotes_a_body(status: int, question: dict[str, str]) -> None:
    given = verdict(reply(status, {"password": SECRET, "progress": SECRET, "generation": SECRET}), **question)
    assert SECRET not in given.text


def test_bodies_that_are_not_json_read_as_null() -> None:
    for body in (b"", b"{", b"\xff\xfe", b'{"a": NaN}', b'{"a": Infinity}', b"[" * 60_000):
        assert json_of(body) is None


def test_integers_past_64_bits_do_not_spoil_the_rest_of_the_body() -> None:
    body = f'{{"big": {2**80}, "huge": {"9" * 5000}, "ok": true}}'.encode()
    assert verdict_of(request(), [Reply(200, body)], Question(expect="json.ok")).answer is Answer.DONE


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), ("0.5", 0.5), (None, None), ("", None), ("soon", None), ("-1", None), ("nan", None), ("inf", None)],
)
def test_retry_after_is_read_as_seconds(header: str | None, seconds: float | None) -> None:
    assert Reply(202, retry_after_header=header).retry_after == seconds


@pytest.mark.parametrize(
    ("measure", "body", "value"),
    [
        (Measure("json.role", "text"), {"role": "leader"}, "leader"),
        (Measure("json.rps", "number"), {"rps": 17}, 17.0),
        (Measure("json.rps", "number"), {"rps": "17"}, None),
        (Measure("json.free", "names"), {"free": ["db-1", "db-2"]}, ("db-1", "db-2")),
        (Measure("json.all.filter(p, p.ok).map(p, p.name)", "names"), {"all": [{"ok": True, "name": "a"}]}, ("a",)),
        (Measure("json.free", "names"), {"free": ["db-1", 2]}, None),
        (Measure("json.free", "names"), {"free": "db-1"}, None),
        (Measure("json.role", "text"), {"role": 1}, None),
        (Measure("json.role", "text"), {}, None),
    ],
)
def test_what_is_measured_is_read_from_a_good_answer(measure: Measure, body: Any, value: str | float | None) -> None:
    given = verdict(reply(200, body), measure=measure)
    assert given.value == value
    assert given.answer is (Answer.IN_PROGRESS if value is None else Answer.DONE)
    assert (", but value `json." in given.text) is (value is None)
    assert verdict(reply(503, body), measure=measure).value is None
