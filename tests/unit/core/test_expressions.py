from __future__ import annotations

from typing import Any

import pytest

from statefulrollout.core.expressions import (
    CONTEXT_VARIABLES,
    EXEC_VARIABLES,
    HTTP_VARIABLES,
    PEERS_VARIABLES,
    evaluate_bool,
    evaluate_number,
    problem_of,
    quoted,
)

ANSWERED = (*HTTP_VARIABLES, *CONTEXT_VARIABLES)


def seen(json: Any = None, **changes: Any) -> dict[str, Any]:
    return {"status": 200, "json": json, "text": "", "pod": {}, "members": {}, "answers": [], **changes}


@pytest.mark.parametrize(
    "expression",
    [
        "status == 200 && json.state == 'green'",
        "json.inFlight == 0",
        "json.ready",
        "text.contains('ok')",
        "has(json.leader) && json.leader != pod.name",
        "members.serving.all(m, m.name in json.members)",
        "answers.all(a, a.status == 200)",
    ],
)
def test_what_users_write_is_well_formed(expression: str) -> None:
    assert problem_of(expression, wants="bool", variables=(*ANSWERED, *PEERS_VARIABLES)) is None


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("json.a ==", "`json.a ==` does not compile: Syntax error: mismatched input '<EOF>' (line 1, character 10)"),
        ("jsn == 1", "undeclared reference to 'jsn'; known here: json, members, pod, status, text (line 1"),
        ("answers.all(a, true)", "undeclared reference to 'answers'; known here: json"),
        ("status == 'ok'", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("status", "`status` gives int, but a boolean (true or false) is needed"),
        ("text", "`text` gives string, but a boolean (true or false) is needed"),
        ("'true'", "gives string, but a boolean"),
        ("[" * 100 + "]" * 100, "does not compile"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(expression: str, problem: str) -> None:
    found = problem_of(expression, wants="bool", variables=ANSWERED)
    assert found is not None
    assert problem in found
    assert "\n" not in found


def test_a_command_has_an_exit_code_and_no_status() -> None:
    of_a_command = (*EXEC_VARIABLES, *CONTEXT_VARIABLES)
    assert problem_of("exitCode == 3 && text != ''", wants="bool", variables=of_a_command) is None
    found = problem_of("status == 200", wants="bool", variables=of_a_command)
    assert found is not None
    assert "undeclared reference to 'status'; known here: exitCode, json, members, pod, text" in found


def test_a_number_may_be_of_any_kind_of_number() -> None:
    for expression in ("json.left", "status", "1.5", "uint(3)", "size(json.list)"):
        assert problem_of(expression, wants="number", variables=ANSWERED) is None
    found = problem_of("json.left == 0", wants="number", variables=ANSWERED)
    assert found == "`json.left == 0` gives bool, but a number is needed"


def test_true_is_true_and_false_is_false() -> None:
    assert evaluate_bool("json.inFlight == 0", seen({"inFlight": 0})).value is True
    assert evaluate_bool("json.inFlight == 0", seen({"inFlight": 1})).value is False
    assert evaluate_bool("json.ready", seen({"ready": True})).value is True
    assert evaluate_bool("json.x.exists(i, i > 2)", seen({"x": [1, 2, 3]})).value is True


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("json.missing", 'the key "missing" is missing'),
        ("json.missing == 0", 'the key "missing" is missing'),
        ("json.missing != 0", 'the key "missing" is missing'),
        ("!json.missing", 'the key "missing" is missing'),
        ("json.none.deeper == 1", "has no fields"),
        ("json.list[7] == 1", "an index is out of range"),
        ("json.word < 1", "operands have the wrong types (string, int64)"),
        ("json.word && true", "an operand has the wrong type"),
        ("1 / json.zero == 1", "divides by zero"),
        ("int(json.word) == 1", "a value cannot be converted"),
        ("json.word.matches('(')", "a regular expression is not valid"),
        ("json.word", "gave string instead of true or false"),
        ("json.zero", "gave int instead of true or false"),
        ("json.none", "gave null instead of true or false"),
        ("json.list", "gave list<dyn> instead of true or false"),
        ("not valid at all", "cannot be evaluated"),
    ],
)
def test_what_cannot_be_judged_is_no_value_and_says_why(expression: str, why: str) -> None:
    judged = evaluate_bool(expression, seen({"word": "true", "zero": 0, "none": None, "list": [1]}))
    assert judged.value is None
    assert why in judged.why


def test_a_missing_key_is_named_only_where_the_expression_spells_it() -> None:
    judged = evaluate_bool("members[json.password] == 1", seen({"password": "hunter2"}))
    assert judged.value is None
    assert judged.why == "`members[json.password] == 1` cannot be evaluated: a key is missing"


def test_text_that_is_no_valid_unicode_is_no_value() -> None:
    assert evaluate_bool("json.x == 'a'", seen({"x": "\ud800"})).value is None


def test_numbers() -> None:
    assert evaluate_number("json.left", seen({"left": 17})).value == 17.0
    assert evaluate_number("json.left / 2.0", seen({"left": 3.0})).value == 1.5
    assert evaluate_number("size(json.list)", seen({"list": [1, 2]})).value == 2.0


@pytest.mark.parametrize("left", [True, "17", None, [17]])
def test_what_is_no_number_is_no_value(left: object) -> None:
    judged = evaluate_number("json.left", seen({"left": left}))
    assert judged.value is None
    assert "instead of a finite number" in judged.why


def test_infinity_is_no_value() -> None:
    assert evaluate_number("1.0 / 0.0", seen()).value is None


@pytest.mark.parametrize(
    "expression",
    [
        "json.all(x, text + text + text + text + text + text + text + text != text)",
        "json.all(a, json.all(b, json.all(c, json.all(d, true))))",
        "json.map(a, text).map(a, a + a).map(a, a + a).map(a, a + a).size() > 0",
        "[text].map(a, a+a).map(a, a+a).map(a, a+a).map(a, a+a).map(a, a+a).map(a, a+a).map(a, a+a).size() > 0",
        "json.all(x, json == json && json == json && json == json && json == json && json == json)",
    ],
)
def test_an_expression_that_would_stall_the_operator_is_not_run(expression: str) -> None:
    judged = evaluate_bool(expression, seen(list(range(10_000)), text="x" * 65_536))
    assert judged.value is None
    assert "too much work" in judged.why


def test_the_work_of_a_large_rollout_is_not_too_much() -> None:
    answers = [
        {"pod": f"kvstore-{ordinal}", "status": 200, "json": {"state": "green", "shards": list(range(50))}}
        for ordinal in range(1000)
    ]
    assert evaluate_bool("answers.all(a, a.json.state == 'green')", seen(answers=answers)).value is True
    shards = {"shards": [{"id": number, "state": "green"} for number in range(2000)]}
    assert evaluate_bool("json.shards.all(s, s.state == 'green')", seen(shards)).value is True


def test_a_long_expression_is_shortened_in_messages() -> None:
    assert quoted("a\n ==  1") == "`a == 1`"
    assert len(quoted("a" * 2000)) <= 102
