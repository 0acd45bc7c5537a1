"""What is wrong with a spec that the API server let through, each with the field and the remedy.

Two questions: is the spec well formed for *this* version of the operator (`parse_spec`), and does it fit the
StatefulSet, the Services and the CEL of the calls (`problems_of`)? Whatever is found here ends in Stalled=True with
reason InvalidSpec, and nothing is touched. What is merely not possible at the moment is no problem of the spec: that
a batch would cover every pod is the guard `outage_was_allowed`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from statefulrollout.api.schema import spec_schema
from statefulrollout.api.v1alpha1 import Exec, Http, Override, Spec, Step, Target, Window
from statefulrollout.api.walk import Expressed, calls_of, expressions_of
from statefulrollout.core.dependencies import cycle_of
from statefulrollout.core.expressions import (
    CONTEXT_VARIABLES,
    EXEC_VARIABLES,
    HTTP_VARIABLES,
    PEERS_VARIABLES,
    problem_of,
)
from statefulrollout.core.guards import GUARDS, NOT_OVERRIDDEN
from statefulrollout.core.rules import broken_rules_of
from statefulrollout.core.snapshot import ServiceView, Snapshot, StatefulSetView

_REMEDIES = {
    "missing": "is required: add it",
    "extra_forbidden": "is not a field that this version of the operator knows: remove it, or upgrade the operator",
}
CRON_FIELDS = 5
_WITHOUT_POD = ("spec.beforeRollout", "spec.membership", "spec.checks", "spec.capacity")


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the spec: the field as users write it, and what is wrong and what to do about it."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def parse_spec(raw: Mapping[str, Any]) -> Spec | tuple[Problem, ...]:
    """The spec of a live object as a model, or every reason why it is none (at least one)."""
    try:
        spec = Spec.model_validate(raw)
    except ValidationError as error:
        found = {_field_of(raw, detail["loc"]): _message_of(detail) for detail in reversed(error.errors())}
        return tuple(Problem(field, message) for field, message in reversed(found.items()))
    written = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    problems = tuple(Problem(*found) for found in broken_rules_of(spec_schema(), written, "spec"))
    return problems or spec


def _field_of(raw: Any, location: Sequence[int | str]) -> str:
    """The wire path of an error; pydantic adds the union's branch that was tried, which is no field."""
    field = "spec"
    for part in location:
        if isinstance(raw, Mapping):
            field, raw = f"{field}.{part}", raw.get(part)
        elif isinstance(raw, list) and isinstance(part, int):
            field, raw = f"{field}[{part}]", raw[part]
        else:
            break
    return field


def _message_of(detail: ErrorDetails) -> str:
    if remedy := _REMEDIES.get(detail["type"]):
        return remedy
    return f"{detail['msg'][0].lower()}{detail['msg'][1:]}, but it is {json.dumps(detail['input'])[:80]}: correct it"


def problems_of(snapshot: Snapshot) -> tuple[Problem, ...]:
    """Everything in the spec that does not fit its surroundings; empty where all is well."""
    spec = snapshot.rollout.spec
    return (
        *_problems_of_target(spec, snapshot.target),
        *_problems_of_steps(spec.strategy.steps),
        *_problems_of_windows(spec.strategy.windows),
        *_problems_of_override(spec.override),
        *_problems_of_dependencies(snapshot),
        *_problems_of_calls(snapshot),
        *_problems_of_expressions(expressions_of(spec)),
    )


def _problems_of_target(spec: Spec, target: StatefulSetView | None) -> Iterator[Problem]:
    field, name = "spec.targetRef.name", spec.target_ref.name
    if target is None:
        yield Problem(field, f"there is no StatefulSet {name} in this namespace: create it, or correct the name")
    elif target.controller:
        yield Problem(
            field,
            f"StatefulSet {name} is driven by {target.controller}, and two drivers would undo each other's work: "
            "let its operator roll it, and delete this StatefulRollout",
        )


def _problems_of_steps(steps: Sequence[Step]) -> Iterator[Problem]:
    """Numbers must rise, and percentages: how one compares with the other depends on `spec.replicas`."""
    most: dict[type, int] = {}
    for index, step in enumerate(steps):
        kind, total = type(step.pods), int(str(step.pods).removesuffix("%"))
        if total <= most.get(kind, 0):
            yield Problem(
                f"spec.strategy.steps[{index}].pods",
                f"is {step.pods}, no more than a step before it: totals count from the beginning of the rollout and "
                "must rise",
            )
        most[kind] = total


def _problems_of_windows(windows: Sequence[Window]) -> Iterator[Problem]:
    for index, window in enumerate(windows):
        field = f"spec.strategy.windows[{index}]"
        try:
            zone = ZoneInfo(window.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            yield Problem(
                f"{field}.timeZone",
                f"there is no time zone {window.time_zone}: name one of the IANA database, like Europe/Berlin",
            )
            continue
        if len(window.schedule.split()) != CRON_FIELDS:
            yield Problem(f"{field}.schedule", f"{window.schedule} does not have five fields: write one like 0 2 * * *")
            continue
        try:
            next(CronSim(window.schedule, datetime.fromtimestamp(0, zone)))
        except (CronSimError, StopIteration) as error:
            detail = str(error) or "it never comes"
            yield Problem(f"{field}.schedule", f"{window.schedule} is no cron expression ({detail}): correct it")


def _problems_of_override(override: Override | None) -> Iterator[Problem]:
    known = [guard.__name__ for guard in GUARDS if guard.__name__ not in NOT_OVERRIDDEN]
    for index, name in enumerate(override.guards if override else ()):
        field = f"spec.override.guards[{index}]"
        if name in NOT_OVERRIDDEN:
            yield Problem(field, f"{name} is not passed over: {NOT_OVERRIDDEN[name]} instead")
        elif name not in known:
            yield Problem(field, f"there is no guard {name} (there are {_listed(known)}): correct it, or remove it")


def _problems_of_dependencies(snapshot: Snapshot) -> Iterator[Problem]:
    dependencies = {entry.name for entry in snapshot.rollout.spec.depends_on}
    cycle = cycle_of(snapshot.rollout.name, {**snapshot.dependencies, snapshot.rollout.name: tuple(dependencies)})
    if cycle:
        yield Problem("spec.dependsOn", f"{' waits for '.join(cycle)}: remove one of these dependencies")


def _problems_of_calls(snapshot: Snapshot) -> Iterator[Problem]:
    target = snapshot.target
    for path, call in calls_of(snapshot.rollout.spec):
        match call.what:
            case Exec() if not snapshot.may_exec:
                yield Problem(
                    f"{path}.exec",
                    "this operator does not run commands in pods: install its chart with exec.enabled=true, or write "
                    "the call as http",
                )
            case Exec(container=name) if target is not None and name not in target.containers:
                yield Problem(
                    f"{path}.exec.container",
                    f"StatefulSet {target.name} has no container {name} (it has {_listed(target.containers)}): "
                    "name one of them",
                )
            case Http(port=port) if call.target is Target.SERVICE and call.service is not None:
                yield from _problems_of_service(path, port, call.service.name, snapshot.services)
            case Http(port=str(port)) if target is not None and port not in target.ports:
                known = _listed(target.ports)
                yield Problem(
                    f"{path}.http.port",
                    f"no container of StatefulSet {target.name} declares a port named {port} (it has {known}): "
                    "name one of them, add it to the pod template, or write the port's number",
                )


def _problems_of_service(
    path: str, port: int | str, name: str, services: Mapping[str, ServiceView]
) -> Iterator[Problem]:
    service = services.get(name)
    if service is None:
        yield Problem(
            f"{path}.service.name", f"there is no Service {name} in this namespace: create it, or correct the name"
        )
        return
    if not service.selects_pods:
        yield Problem(
            f"{path}.service.name",
            f"Service {name} has no selector, so it may lead anywhere: name a Service that selects pods",
        )
    if port not in (service.ports if isinstance(port, str) else service.ports.values()):
        known = _listed(f"{number} ({label})" if label else str(number) for label, number in service.ports.items())
        yield Problem(
            f"{path}.http.port",
            f"Service {name} has no port {port} (it has {known}): name one of them, or add it to the Service",
        )


def _problems_of_expressions(expressions: Iterable[Expressed]) -> Iterator[Problem]:
    for path, expression, wants, call in expressions:
        variables = {*CONTEXT_VARIABLES, *(EXEC_VARIABLES if call.exec else HTTP_VARIABLES)}
        if call.target is Target.PEERS:
            variables.update(PEERS_VARIABLES)
        if path.startswith(_WITHOUT_POD):
            variables.discard("pod")
        if problem := problem_of(expression, wants=wants, variables=variables):
            yield Problem(path, problem)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
