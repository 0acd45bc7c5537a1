"""Simulates for a long time, on every processor: every crash point of every play, and random stories.

    python -m tests.simulation --seeds 200 --minutes 60

A seed stands for a batch of stories. Whatever does not end well is printed; `pytest tests/simulation/test_stories.py
--story-seed SEED` tells a batch again and shrinks it. The figures go to build/simulate.json; `--resume` goes on from
there, on the same code, when a run was stopped.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from hypothesis import Phase

from tests.simulation.crash_points import Point, points_of, try_point
from tests.simulation.plays import PLAYS
from tests.simulation.stories.batches import tell_batch
from tests.simulation.stories.story import Story
from tests.simulation.stories.telling import tell
from tests.simulation.world.loop import simulate

RESULT = Path("build") / "simulate.json"
POINTS_PER_TASK = 25


@dataclass(frozen=True)
class Outcome:
    """What came of one task: how much of what was tried, and everything that did not end well."""

    name: str
    rollouts: int
    crash_points: int
    violations: tuple[str, ...]
    seconds: float
    seed: int | None = None


@dataclass
class Tally:
    """The figures of a run. Seeds count in their order, so that none counts twice when a stopped run goes on."""

    next_seed: int = 0
    rollouts: int = 0
    crash_points: int = 0
    violations: int = 0
    seconds: float = 0.0
    early: dict[int, Outcome] = field(default_factory=dict)

    @classmethod
    def resumed(cls) -> Tally:
        """The figures of the run before."""
        saved = json.loads(RESULT.read_text())
        return cls(saved["nextSeed"], saved["rollouts"], saved["crashPoints"], saved["violations"], saved["seconds"])

    def add(self, outcome: Outcome) -> None:
        """Count an outcome, and those that waited for it."""
        if outcome.seed is None:
            self._count(outcome)
            return
        self.early[outcome.seed] = outcome
        while self.next_seed in self.early:
            self._count(self.early.pop(self.next_seed))
            self.next_seed += 1

    def _count(self, outcome: Outcome) -> None:
        self.rollouts += outcome.rollouts
        self.crash_points += outcome.crash_points
        self.violations += len(outcome.violations)

    def figures(self, seconds: float) -> dict[str, float]:
        """What is saved, after so many seconds more."""
        return {
            "rollouts": self.rollouts,
            "crashPoints": self.crash_points,
            "violations": self.violations,
            "seconds": round(self.seconds + seconds, 1),
            "nextSeed": self.next_seed,
        }


def try_points(task: tuple[int, tuple[Point, ...]]) -> Outcome:
    """Try some crash points of a play, by its number."""
    number, points = task
    play, began, violations = PLAYS[number], time.monotonic(), []
    for point in points:
        try:
            try_point(play, point)
        except Exception as error:
            violations.append(f"{play.name}: {point}\n{type(error).__name__}: {error}")
    name = f"{play.name}, from {points[0]}"
    return Outcome(name, 0, len(points), tuple(violations), time.monotonic() - began)


def tell_stories(seed: int) -> Outcome:
    """Tell the stories of one seed, whatever comes of them."""
    began, rollouts, violations = time.monotonic(), 0, []

    def told(story: Story) -> None:
        nonlocal rollouts
        try:
            scenario = simulate(tell(story))
        except Exception as error:
            violations.append(f"{story}\n{type(error).__name__}: {error}")
        else:
            rollouts += scenario.count_rollouts()

    tell_batch(seed, told, phases=[Phase.generate])
    return Outcome(f"seed {seed}", rollouts, 0, tuple(violations), time.monotonic() - began, seed)


def quieten() -> None:
    """Let the operator's own log be silent."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def main() -> int:
    """Returns 1 where something did not end well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40, help="batches of stories (0: until the time is over)")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin nothing more after so many minutes")
    parser.add_argument("--every", type=int, default=1, help="try one crash point in so many (0: none)")
    parser.add_argument("--resume", action="store_true", help="go on with the stories of the run before")
    chosen = parser.parse_args()
    quieten()
    began = time.monotonic()
    tally = Tally.resumed() if chosen.resume else Tally(chosen.first)
    first = tally.next_seed

    def in_time() -> bool:
        return time.monotonic() - began < 60 * float(chosen.minutes)

    def tasks() -> Iterator[tuple[int, tuple[Point, ...]]]:
        for number, play in enumerate(PLAYS):
            points = points_of(play)[:: chosen.every]
            for start in range(0, len(points), POINTS_PER_TASK):
                if in_time():
                    yield number, tuple(points[start : start + POINTS_PER_TASK])

    def seeds() -> Iterator[int]:
        numbers = itertools.count(first) if not chosen.seeds else iter(range(first, first + chosen.seeds))
        return itertools.takewhile(lambda _: in_time(), numbers)

    RESULT.parent.mkdir(exist_ok=True)
    with multiprocessing.Pool(os.cpu_count(), quieten, maxtasksperchild=20) as pool:
        crashes = pool.imap_unordered(try_points, tasks()) if chosen.every and not chosen.resume else iter(())
        for outcome in itertools.chain(crashes, pool.imap_unordered(tell_stories, seeds())):
            tally.add(outcome)
            figures = tally.figures(time.monotonic() - began)
            RESULT.write_text(json.dumps(figures) + "\n")
            for violation in outcome.violations:
                print(f"{outcome.name}: {violation}\n", flush=True)
            print(f"{outcome.name}: {outcome.seconds:.1f} s; {figures}", file=sys.stderr, flush=True)
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
