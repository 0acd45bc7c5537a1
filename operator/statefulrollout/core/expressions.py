"""The expressions of the spec (CEL): whether they are well formed, and what they say about one answer.

The only file that knows the CEL library. Three things about that library shape it: a failed evaluation is a *value*
of type ERROR which Python takes for true, so only a BOOL that is `True` is ever true here; its messages may quote
data, so they are translated and never passed on; its iteration budget bounds steps but not the work of one step, so
the size of the data is weighed before an expression that iterates is run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

from cel_expr_python import cel

from statefulrollout.api.walk import Wants

CONTEXT_VARIABLES: Final = ("pod", "members")
"""The context of the question, which every expression sees."""

HTTP_VARIABLES: Final = ("status", "json", "text")
"""What an HTTP request brought: the status code, and the body as JSON (null where it is none) and as text."""

EXEC_VARIABLES: Final = ("exitCode", "json", "text")
"""What a command brought: its exit code, and what it printed as JSON (null where it is none) and as text."""

PEERS_VARIABLES: Final = ("answers",)
"""For a call to all peers what each answered: a list of `{pod, status or exitCode, json}`."""

MOST_WORK: Final = 50_000_000
"""Items or characters that one evaluation may touch: measured, about a second and 250 MB at the very worst."""

_DATA: Final = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
_TYPES: Final[Mapping[str, Any]] = {
    "status": cel.Type.INT,
    "exitCode": cel.Type.INT,
    "json": cel.Type.DYN,
    "text": cel.Type.STRING,
    "pod": _DATA,
    "members": _DATA,
    "answers": cel.Type.List(_DATA),
}
_NUMBERS: Final = (cel.Type.INT, cel.Type.UINT, cel.Type.DOUBLE)
_ACCEPTED: Final[Mapping[Wants, Any]] = {
    "bool": (cel.Type.BOOL, cel.Type.DYN),
    "number": (*_NUMBERS, cel.Type.DYN),
    "text": (cel.Type.STRING, cel.Type.DYN),
    "names": (cel.Type.List(cel.Type.STRING), cel.Type.List(cel.Type.DYN), cel.Type.DYN),
}
_NEEDED: Final[Mapping[Wants, str]] = {
    "bool": "a boolean (true or false)",
    "number": "a number",
    "text": "a string",
    "names": "a list of strings",
}

_MACRO: Final = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(")
_TOUCHES_DATA: Final = re.compile(r"==|!=|<=?|>=?|\+|\bin\b|\w\s*\(")
_MOST_STEPS: Final = 10_000

_MISSING_KEY: Final = re.compile(r"Key not found in map : (?:([\"'])(?P<key>.*)\1|\d+)$", re.DOTALL)
_WRONG_TYPES: Final = re.compile(r"No matching overloads found : .*?(?P<types>\([a-z0-9_, ]*\))")
_TRANSLATIONS: Final = (
    ("SELECT to non-message", "a field is read from something that has no fields (a body that is not JSON is null)"),
    ("No matching overloads", "an operand has the wrong type"),
    ("Index error", "an index is out of range or not a whole number"),
    ("by zero", "it divides by zero"),
    ("overflow", "a number is out of range"),
    ("onver", "a value cannot be converted"),
    ("regular expression", "a regular expression is not valid"),
    ("Iteration budget", "it takes too many steps"),
    ("recursion", "it is nested too deeply"),
)

T = TypeVar("T", bool, float, str, tuple[str, ...])


@dataclass(frozen=True)
class Evaluation(Generic[T]):
    """What an expression says of one answer; `value` is None where it says nothing, and `why` tells the reason.

    `why` names the expression and the kind of error, never data of the application.
    """

    value: T | None
    why: str = ""


def problem_of(expression: str, *, wants: Wants, variables: Iterable[str]) -> str | None:
    """One sentence on what is wrong with an expression as written, or None.

    A type that is only known with the data (`json.ready`) is accepted here and judged when it is evaluated.

    Args:
        expression: the CEL source.
        wants: what it shall give.
        variables: the names it may use, out of those above.
    """
    names = frozenset(variables)
    try:
        compiled = _compiled(expression, names)
    except RuntimeError as error:
        return f"{quoted(expression)} does not compile: {_compile_error(str(error), names)}"
    given = compiled.return_type()
    if given not in _ACCEPTED[wants]:
        return f"{quoted(expression)} gives {given.name().lower()}, but {_NEEDED[wants]} is needed"
    return None


def evaluate_bool(expression: str, variables: Mapping[str, Any]) -> Evaluation[bool]:
    """Whether the expression is true of these variables; anything but a real boolean is no value."""
    found, why = _evaluated(expression, variables)
    if found is None:
        return Evaluation(None, why)
    value = found.value()
    if found.type() == cel.Type.BOOL and isinstance(value, bool):
        return Evaluation(value)
    return Evaluation(None, f"{quoted(expression)} gave {found.type().name().lower()} instead of true or false")


def evaluate_number(expression: str, variables: Mapping[str, Any]) -> Evaluation[float]:
    """The finite number that the expression gives for these variables."""
    found, why = _evaluated(expression, variables)
    if found is None:
        return Evaluation(None, why)
    value = found.value()
    if found.type() in _NUMBERS and math.isfinite(value):
        return Evaluation(float(value))
    return Evaluation(None, f"{quoted(expression)} gave {found.type().name().lower()} instead of a finite number")


def evaluate_text(expression: str, variables: Mapping[str, Any]) -> Evaluation[str]:
    """The string that the expression gives for these variables."""
    found, why = _evaluated(expression, variables)
    if found is None:
        return Evaluation(None, why)
    if found.type() == cel.Type.STRING:
        return Evaluation(str(found.value()))
    return Evaluation(None, f"{quoted(expression)} gave {found.type().name().lower()} instead of a string")


def evaluate_names(expression: str, variables: Mapping[str, Any]) -> Evaluation[tuple[str, ...]]:
    """The list of strings that the expression gives for these variables."""
    found, why = _evaluated(expression, variables)
    if found is None:
        return Evaluation(None, why)
    value = found.plain_value()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return Evaluation(tuple(value))
    return Evaluation(None, f"{quoted(expression)} gave {found.type().name().lower()} instead of a list of strings")


def quoted(expression: str) -> str:
    """The expression as it stands in a message: on one line, shortened past 100 characters."""
    line = " ".join(expression.split())
    return f"`{line}`" if len(line) <= 100 else f"`{line[:99]}…`"


@lru_cache(maxsize=16)
def _environment(names: frozenset[str]) -> Any:
    return cel.NewEnv(variables={name: _TYPES[name] for name in names})


@lru_cache(maxsize=1024)
def _compiled(expression: str, names: frozenset[str]) -> Any:
    return _environment(names).compile(expression)


def _evaluated(expression: str, variables: Mapping[str, Any]) -> tuple[Any | None, str]:
    if _work_of(expression, variables) > MOST_WORK:
        return None, f"{quoted(expression)} cannot be evaluated: it is too much work for an answer of this size"
    try:
        found = _compiled(expression, frozenset(variables)).eval(data=dict(variables))
    except (RuntimeError, ValueError) as error:
        return None, f"{quoted(expression)} cannot be evaluated: {_evaluation_error(str(error), expression)}"
    if found.type() == cel.Type.ERROR:
        return None, f"{quoted(expression)} cannot be evaluated: {_evaluation_error(str(found.value()), expression)}"
    return found, ""


def _work_of(expression: str, variables: Mapping[str, Any]) -> int:
    """A rough upper bound on the work of one evaluation, in items or characters touched.

    Every comparison and call may touch the whole of the largest value; a macro repeats it for every item of the
    longest list, and each `+` inside one may double a string or list.
    """
    text = variables["text"] if "text" in expression else ""
    answers = variables.get("answers", ())
    bodies = [variables.get("json"), variables.get("members"), *(answer["json"] for answer in answers)]
    sizes = [_size_of(body) for body in bodies]
    size = max(len(text), len(answers), *(size for size, _ in sizes))
    macros = len(_MACRO.findall(expression))
    operations = max(1, len(_TOUCHES_DATA.findall(expression)) - macros)
    if macros == 0:
        return operations * size
    longest = max(2, len(answers), *(longest for _, longest in sizes))
    steps = min(_MOST_STEPS, longest ** min(macros, 14))
    return int(steps * operations * size * 2 ** min(expression.count("+"), 30))


def _size_of(value: Any) -> tuple[int, int]:
    """How much there is to touch in a JSON value (its items, or the characters of its longest string where these
    are more), and the length of its longest list or object.
    """
    items, text, longest, pending = 0, 0, 0, [value]
    while pending:
        item = pending.pop()
        items += 1
        if isinstance(item, str):
            text = max(text, len(item))
        elif isinstance(item, Mapping):
            pending.extend(item.values())
            pending.extend(item.keys())
            longest = max(longest, len(item))
        elif isinstance(item, list | tuple):
            pending.extend(item)
            longest = max(longest, len(item))
    return max(items, text), longest


def _compile_error(message: str, names: frozenset[str]) -> str:
    """The first complaint of the compiler (it quotes nothing but the expression), with its place."""
    found = re.search(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)", message)
    if found is None:
        return "it is not valid CEL"
    line, column, complaint = found.groups()
    complaint = complaint.split(", expecting {")[0].split(" expecting {")[0].replace(" (in container '')", "")
    if "undeclared reference" in complaint:
        complaint = f"{complaint}; known here: {', '.join(sorted(names))}"
    complaint = complaint if len(complaint) <= 200 else f"{complaint[:199]}…"
    return complaint if int(column) < 0 else f"{complaint} (line {line}, character {column})"


def _evaluation_error(message: str, expression: str) -> str:
    """What went wrong, in words of ours: a key is named only where the expression itself spells it."""
    if missing := _MISSING_KEY.search(message):
        key = missing["key"]
        return f'the key "{key}" is missing' if key and key in expression else "a key is missing"
    if types := _WRONG_TYPES.search(message):
        return f"operands have the wrong types {types['types']}"
    return next((ours for theirs, ours in _TRANSLATIONS if theirs in message), "the data do not fit it")
