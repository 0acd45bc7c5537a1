"""What must never happen, one class for each invariant of the design.

Each is told of every write and of every request of the operator, compares it with the truth of the simulated world
(not with what the operator believes), and returns a sentence where the rule is broken. I7 and I14, which speak of how
things end, are judged at the end of a run: `Scenario.until_complete` and `Scenario.assert_nobody_is_stranded`.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.world.invariants.declarations import I8Undone, I9Generations
from tests.simulation.world.invariants.honesty import I6Explained, I10Status
from tests.simulation.world.invariants.leadership import I4Paused, I11Outdated, I12OneLeader
from tests.simulation.world.invariants.revisions import I5Revision, I13Soaked
from tests.simulation.world.invariants.service import I1Budget, I2Drained, I3Judged
from tests.simulation.world.world import Invariant, World


def every_invariant(world: World, leaders: Callable[[], int] | None = None) -> tuple[Invariant, ...]:
    """All of them, for `world.watch`; `leaders` counts the replicas that lead, None where all are meant to."""
    return (
        I1Budget(world),
        I2Drained(world),
        I3Judged(world),
        I4Paused(world),
        I5Revision(world),
        I6Explained(),
        I8Undone(world, asks_twice=leaders is None),
        I9Generations(),
        I10Status(world),
        I11Outdated(world),
        I12OneLeader(leaders or (lambda: 1)),
        I13Soaked(world),
    )
