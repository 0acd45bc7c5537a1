"""Simulates for a long time, on every processor: every crash point of every play, and random stories.

    python -m tests.simulation --seeds 200 --minutes 60

A seed stands for a batch of stories. Whatever does not end well is printed; `pytest tests/simulation/test_stories.py
--story-seed SEED` tells a batch again and shrinks it. The figures go to build/simulate.json.
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
from dataclasses import dataclass
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
    return Outcome(f"seed {seed}", rollouts, 0, tuple(violations), time.monotonic() - began)


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
    chosen = parser.parse_args()
    quieten()
    began = time.monotonic()

    def in_time() -> bool:
        return time.monotonic() - began < 60 * float(chosen.minutes)

    def tasks() -> Iterator[tuple[int, tuple[Point, ...]]]:
        for number, play in enumerate(PLAYS):
            points = points_of(play)[:: chosen.every]
            for start in range(0, len(points), POINTS_PER_TASK):
                if in_time():
                    yield number, tuple(points[start : start + POINTS_PER_TASK])

    def seeds() -> Iterator[int]:
        last = chosen.first + chosen.seeds if chosen.seeds else None
        numbers = itertools.count(chosen.first) if last is None else iter(range(chosen.first, last))
        return itertools.takewhile(lambda _: in_time(), numbers)

    totals = {"rollouts": 0, "crashPoints": 0, "violations": 0, "seconds": 0.0}
    with multiprocessing.Pool(os.cpu_count(), quieten, maxtasksperchild=20) as pool:
        crashes = pool.imap_unordered(try_points, tasks()) if chosen.every else iter(())
        for outcome in itertools.chain(crashes, pool.imap_unordered(tell_stories, seeds())):
            totals["rollouts"] += outcome.rollouts
            totals["crashPoints"] += outcome.crash_points
            totals["violations"] += len(outcome.violations)
            totals["seconds"] = round(time.monotonic() - began, 1)
            for violation in outcome.violations:
                print(f"{outcome.name}: {violation}\n", flush=True)
            print(f"{outcome.name}: {outcome.seconds:.1f} s; {totals}", file=sys.stderr, flush=True)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(totals) + "\n")
    return 1 if totals["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
