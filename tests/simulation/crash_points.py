"""Where the operator can die in a play, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.plays import Play
from tests.simulation.world.loop import simulate

LATE_SECONDS = 17.0
"""By then another process leads: the Lease of one that was killed runs out after 15 seconds."""


@dataclass(frozen=True)
class Point:
    """The number of a call from the beginning of the play; `late` where it takes effect after its sender's death."""

    call: int
    late: bool

    def __str__(self) -> str:
        return f"a crash {'during' if self.late else 'before'} call {self.call}"


def points_of(play: Play) -> list[Point]:
    """Every crash point of a play, in order."""

    async def count() -> list[bool]:
        scenario = await play.arrange()
        before = len(scenario.world.network.seen)
        await play.act(scenario)
        return [request.writes for request in scenario.world.network.seen[before:]]

    writes = simulate(count())
    return [
        Point(number, late) for number, write in enumerate(writes, 1) for late in ((False, True) if write else (False,))
    ]


def try_point(play: Play, point: Point) -> None:
    """Let the play go on over a crash. Raises AssertionError where it does not come to its good end."""

    async def perform() -> None:
        scenario = await play.arrange()
        if point.late:
            scenario.operator.crash_during_call(point.call, LATE_SECONDS)
        else:
            scenario.operator.crash_before_call(point.call)
        await play.act(scenario)

    try:
        simulate(perform())
    except AssertionError as error:
        raise AssertionError(f"{play.name}: {point}: {error}") from error
