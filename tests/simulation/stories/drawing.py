"""How stories are drawn: any set, any spec, any deeds. What comes first in a list is what failures shrink to."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.simulation.stories.enemies import MISCHIEF
from tests.simulation.stories.story import Deed, Story
from tests.simulation.world.builders import SPEC, by_command
from tests.simulation.world.objects import merge_patched

PAUSES = (1.0, 0.0, 0.3, 3.0, 10.0, 40.0)
UNDO = {"http": {"port": "admin", "path": "/drain", "method": "DELETE"}}
DONE = {"call": {"http": {"port": "admin", "path": "/drain", "method": "GET"}}, "expect": "json.inFlight == 0"}
DRAINS: tuple[Any, ...] = (
    {"undo": UNDO},
    {},
    {"undo": UNDO, "done": DONE, "stallSeconds": 30},
    {"undo": UNDO, "deadlineSeconds": 10, "onTimeout": "Proceed"},
    None,
)
GIVING_UP: Any = {"undo": UNDO, "deadlineSeconds": 10, "onTimeout": "Rollback"}
MEMBERSHIPS: tuple[Any, ...] = ({}, {"stallSeconds": 20}, {"awaySeconds": 20, "unknownAfterSeconds": 5}, None)
STEPS: tuple[list[Any], ...] = (
    [],
    [{"pods": 1, "pause": {"seconds": 5}}],
    [{"pods": 1, "pause": {}}],
    [{"pods": "50%", "pause": {"seconds": 20}}, {"pods": "100%", "pause": {"seconds": 1}}],
)
ROLE = {"call": {"http": {"port": "admin", "path": "/role", "method": "GET"}}, "value": "json.role"}
LOAD: dict[str, Any] = {
    "call": {"http": {"port": "admin", "path": "/load", "method": "GET"}},
    "value": "json.total",
    "perPod": 20,
    "headroomPercent": 50,
}
WINDOWS: tuple[list[Any], ...] = ([], [], [{"schedule": "*/2 * * * *", "durationSeconds": 60}])
ORDERS: tuple[Any, ...] = (
    {"by": "ReverseOrdinal"},
    {"by": "Zone"},
    {"by": "Role", "role": {"label": "role", "last": ["leader"]}},
    {"by": "Role", "role": {"ask": ROLE, "last": ["leader"]}},
)
CAPACITIES: tuple[Any, ...] = (
    None,
    None,
    {"load": LOAD},
    {"load": {**LOAD, "call": {**LOAD["call"], "target": "AnyPeer"}}},
)
PREPARE = {
    "name": "balancer",
    "apply": {"http": {"port": "admin", "path": "/prepare"}, "target": "AnyPeer"},
    "undo": {"http": {"port": "admin", "path": "/prepare", "method": "DELETE"}, "target": "AnyPeer"},
}
MIGRATE = {"apply": {"http": {"port": "admin", "path": "/migrate"}}}
UNDO_AMONG_PEERS = {"http": {"port": "admin", "path": "/migrate", "method": "DELETE"}, "target": "Peers"}
RESTORE = {"apply": {"http": {"port": "admin", "path": "/restore"}}}
CHECK = {
    "name": "green",
    "call": {"http": {"port": "admin", "path": "/health", "method": "GET"}, "target": "Peers"},
    "expect": "status == 200 && json.state == 'green'",
}


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """What is merged into the default spec of the StatefulRollout."""
    on_failure = draw(st.sampled_from(("Pause", "Rollback")))
    strategy = {
        "maxUnavailable": draw(st.sampled_from((1, 2, "40%", 3))),
        "soakSeconds": draw(st.sampled_from((2, 0, 10))),
        "progressDeadlineSeconds": draw(st.sampled_from((600, 30))),
        "unhealthyOutdated": draw(st.sampled_from(("ReplaceIfStuck", "Replace", "Wait"))),
        "podUpdate": draw(st.sampled_from(("Recreate", "InPlaceIfPossible"))),
        "onFailure": on_failure,
        "reversible": on_failure == "Rollback" or draw(st.sampled_from((True, False))),
        "steps": draw(st.sampled_from(STEPS)),
        "minSecondsBetweenPods": draw(st.sampled_from((0, 5))),
        "windows": draw(st.sampled_from(WINDOWS)),
        "order": draw(st.sampled_from(ORDERS)),
    }
    spec = {
        "strategy": strategy,
        "drain": draw(st.sampled_from((*DRAINS, GIVING_UP) if strategy["reversible"] else DRAINS)),
        "deletionPolicy": draw(st.sampled_from(("Freeze", "Release"))),
    }
    for name, values in (
        ("membership", MEMBERSHIPS),
        ("migrate", (None, MIGRATE, {**MIGRATE, "undo": UNDO_AMONG_PEERS})),
        ("restore", (None, RESTORE)),
        ("capacity", CAPACITIES),
        ("beforeRollout", (None, None, [PREPARE])),
        ("checks", (None, [CHECK], [{**CHECK, "at": ["AfterPod"]}])),
    ):
        spec[name] = draw(st.sampled_from(values))
    if draw(st.booleans()):
        left_out = {name: None for name, value in spec.items() if value is None}
        return {**by_command(merge_patched(SPEC, spec)), **left_out}
    return spec


@st.composite
def deeds(draw: st.DrawFn) -> Deed:
    """Any deed with any arguments."""
    what = draw(st.sampled_from(list(MISCHIEF)))
    arguments = tuple(draw(st.sampled_from(values)) for values in MISCHIEF[what])
    return Deed(draw(st.sampled_from(PAUSES)), what.__name__, arguments)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Any story; it begins with a new template."""
    operators = draw(st.sampled_from((1, 2)))
    return Story(
        replicas=draw(st.sampled_from((3, 2, 4, 1))),
        ordered=draw(st.booleans()),
        spec=draw(specs()),
        budget=draw(st.sampled_from((None, 1))),
        several_at_once=draw(st.booleans()),
        operators=operators,
        bold=operators > 1 and draw(st.booleans()),
        local=draw(st.booleans()),
        order=draw(st.none() | st.integers(0, 2**16)),
        deeds=(Deed(0.0, "roll_out", (2,)), *draw(st.lists(deeds(), max_size=6))),
    )
