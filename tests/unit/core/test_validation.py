"""What the operator refuses names the field and the remedy; what fits is left alone."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from statefulrollout.api.v1alpha1 import Json, Spec
from statefulrollout.core.snapshot import ServiceView, StatefulSetView
from statefulrollout.core.validation import Problem, parse_spec, problems_of
from tests.builders import a_snapshot
from tests.unit.api.bad_spec import (
    GOOD,
    HEADLESS_NOWHERE,
    OWNED,
    SERVICE,
    BadSpec,
    check,
    drain,
    drain_call,
    drain_exec,
    drain_http,
    load,
    membership,
    merged,
    role,
    strategy,
)
from tests.unit.api.bad_specs import REFUSED_BY_OPERATOR, REFUSED_BY_SCHEMA

SNAPSHOT: Json = {"http": {"port": "admin", "path": "/snapshot"}}
SERVICES = {
    SERVICE: ServiceView(SERVICE, "10.0.0.1", {"http": 80, "admin": 8081}, selects_pods=True),
    HEADLESS_NOWHERE: ServiceView(HEADLESS_NOWHERE, "", {"admin": 8081}, selects_pods=False),
}


def stateful_set(name: str = "kvstore", controller: str = "", replicas: int = 3) -> StatefulSetView:
    return StatefulSetView(
        name=name,
        uid="uid",
        generation=1,
        observed_generation=1,
        replicas=replicas,
        start_ordinal=0,
        current_revision="a",
        update_revision="a",
        ordered=True,
        update_strategy={},
        containers=frozenset({"store", "sidecar"}),
        ports={"http": frozenset({"store"}), "admin": frozenset({"store"})},
        numbered_ports={8080: frozenset({"store"}), 8081: frozenset({"store"})},
        controller=controller,
    )


TARGETS = {"kvstore": stateful_set(), OWNED: stateful_set(OWNED, controller="Etcd/shop")}


def spec_of(patch: Json) -> Spec:
    spec = parse_spec(merged(GOOD, patch)["spec"])
    assert isinstance(spec, Spec), spec
    return spec


def judged(patch: Json) -> tuple[Problem, ...]:
    spec = spec_of(patch)
    return found_in(spec, TARGETS.get(spec.target_ref.name))


def found_in(spec: Spec, target: StatefulSetView | None, *, may_exec: bool = True) -> tuple[Problem, ...]:
    return problems_of(replace(a_snapshot(target, spec=spec, services=SERVICES), may_exec=may_exec))


def refused(spec: object) -> tuple[Problem, ...]:
    parsed = parse_spec(spec)  # type: ignore[arg-type]
    assert isinstance(parsed, tuple), parsed
    return parsed


@pytest.mark.parametrize(
    "patch",
    [
        {},
        strategy(maxUnavailable="25%"),
        drain_http(port=9),
        drain_http(path="/drain?pod=${pod.name}&cost=$5", body="${pod.ip} ${pod.ordinal}"),
        drain_http(headers={"X-Pod": "${pod.name}", "Content-Type": "text/plain"}),
        drain_call(target="Service", service={"name": SERVICE}, http={"port": 8081}),
        drain_call(target="Service", service={"name": SERVICE}, http={"port": "http"}),
        drain(expect="pod.name != '' && members.serving.size() > 0", progress="json.inFlight"),
        drain_call(target="Peers") | drain(expect="answers.all(a, a.status == 200)", apply={"target": "Peers"}),
        drain(done={"call": {"http": {"port": "admin", "path": "/", "method": "GET"}}, "expect": "json.left == 0"}),
        membership(apply={"target": "Peers"}),
        {"spec": {"beforeRollout": [{"name": "snapshot", "apply": {**SNAPSHOT, "target": "AnyPeer"}}]}},
        drain_http(scheme="HTTPS", tls={"caFrom": {"name": "ca"}, "serverName": "${pod.name}.kvstore.shop.svc"}),
        drain_http(authFrom={"type": "Basic", "name": "login", "username": "ada"}, headers={"X-A": "1"}),
        role(),
        role(value="json.isLeader ? 'leader' : pod.name"),
        load(),
        load(call={"http": {"port": 80, "path": "/load"}, "target": "Service", "service": {"name": SERVICE}}),
        drain_exec(command=["sh", "-c", "echo ${pod.name} $HOME"]),
        {"spec": {"checks": [check(), check(name="calm", failWhen="json.state == 'red'")]}},
    ],
)
def test_what_fits_is_left_alone(patch: Json) -> None:
    assert judged(patch) == ()


def test_a_single_replica_is_no_problem_of_the_spec() -> None:
    assert found_in(spec_of({}), stateful_set(replicas=1)) == ()


def test_an_operator_that_runs_no_commands_says_how_to_let_it() -> None:
    (problem,) = found_in(spec_of(drain_exec()), stateful_set(), may_exec=False)
    assert problem.field == "spec.drain.apply.exec"
    assert "exec.enabled=true" in problem.message


@pytest.mark.parametrize("bad", REFUSED_BY_OPERATOR, ids=lambda bad: bad.id)
def test_what_does_not_fit_is_named_with_its_remedy(bad: BadSpec) -> None:
    (problem,) = judged(bad.patch)
    assert problem.field == bad.field
    assert [word for word in bad.words if word not in problem.message] == []


@pytest.mark.parametrize("bad", [bad for bad in REFUSED_BY_SCHEMA if not bad.as_update], ids=lambda bad: bad.id)
def test_what_an_older_crd_let_through_is_refused_here(bad: BadSpec) -> None:
    found = [str(problem) for problem in refused(bad.manifest.get("spec", {}))]
    assert any(bad.field in problem and all(word in problem for word in bad.words) for problem in found), found


def test_every_problem_is_told_at_once() -> None:
    fields = [
        problem.field
        for problem in judged(
            drain_http(port="nowhere")
            | {
                "spec": {
                    "targetRef": {"name": OWNED},
                    "drain": {"apply": {"http": {"port": "nowhere"}}, "expect": "status", "progress": "text"},
                }
            }
        )
    ]
    assert fields == ["spec.targetRef.name", "spec.drain.apply.http.port", "spec.drain.expect", "spec.drain.progress"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (
            {"done": {"call": {"http": {"port": "x", "path": "/"}}, "expect": "true"}},
            "spec.migrate.done.call.http.port",
        ),
        ({"undo": {"http": {"port": "x", "path": "/"}}}, "spec.migrate.undo.http.port"),
        ({"done": {"call": {"http": {"port": 1, "path": "/"}}, "expect": "1"}}, "spec.migrate.done.expect"),
    ],
)
def test_every_call_and_expression_of_a_hook_is_looked_at(change: Json, field: str) -> None:
    hook = {"apply": {"http": {"port": "admin", "path": "/migrate"}}, **change}
    (problem,) = judged({"spec": {"migrate": hook}})
    assert problem.field == field


def test_progress_sees_the_answers_that_it_is_read_from() -> None:
    done = {"call": {"http": {"port": 1, "path": "/"}, "target": "Peers"}, "expect": "true"}
    assert judged(drain(done=done, progress="answers.size()")) == ()
    (problem,) = judged(
        drain(
            apply={"target": "Peers"},
            done={**done, "call": {"http": {"port": 1, "path": "/"}}},
            progress="answers.size()",
        )
    )
    assert problem.field == "spec.drain.progress"


def test_the_ports_of_a_missing_target_are_not_judged() -> None:
    (problem,) = found_in(spec_of(drain_http(port="nowhere")), None)
    assert problem.field == "spec.targetRef.name"


def test_a_field_of_a_newer_version_is_named() -> None:
    spec = copy.deepcopy(GOOD["spec"]) | {"windows": []}
    (problem,) = refused(spec)
    assert str(problem) == (
        "spec.windows: is not a field that this version of the operator knows: remove it, or upgrade the operator"
    )


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        (drain_http(port=[1]), "spec.drain.apply.http.port"),
        (strategy(maxUnavailable=True), "spec.strategy.maxUnavailable"),
        ({"spec": {"checks": [check(), {"name": "b"}]}}, "spec.checks[1].call"),
        ({"spec": {"drain": "yes"}}, "spec.drain"),
    ],
)
def test_the_field_is_named_as_users_write_it(patch: Json, field: str) -> None:
    assert field in [problem.field for problem in refused(merged(GOOD, patch)["spec"])]


def test_a_long_value_is_not_repeated_in_full() -> None:
    (problem,) = refused(merged(GOOD, strategy(removal="x" * 5000))["spec"])
    assert len(problem.message) < 200


@pytest.mark.parametrize(
    "text", ["$${x}", "${pod.uid}", "${pod.name", "a${b}c", "${ pod.name }", "${pod.name}${", "\n${x}"]
)
def test_only_three_templates_are_filled_in(text: str) -> None:
    (problem,) = refused(merged(GOOD, drain_http(body=text))["spec"])
    assert problem.field == "spec.drain.apply.http.body"


@pytest.mark.parametrize(
    "text", ["$", "$$", "$x", "{}", "$ {x}", "${pod.name}${pod.ip}", "$${pod.ordinal}$", "a\n$b", ""]
)
def test_a_dollar_alone_is_no_template(text: str) -> None:
    assert judged(drain_http(body=text)) == ()
