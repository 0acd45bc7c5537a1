"""Tells the person at the terminal what is being done, for how long, and how it ended.

Everything goes to standard error: standard output belongs to the answers of the commands (a path,
an image name), which scripts read. Decides nothing about the work itself.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from e2e.cluster.errors import ClusterToolError

TICK_SECONDS = 20.0
POLL_SECONDS = 0.25


def say(text: str) -> None:
    """Print one line for the person watching."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Announce a piece of work, repeat the elapsed seconds while it lasts, and say how it ended."""
    started = time.monotonic()
    over = threading.Event()

    def tick() -> None:
        while not over.wait(TICK_SECONDS):
            say(f"    … {text}: {time.monotonic() - started:.0f} s")

    say(f"  {text} …")
    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    outcome = "failed after"
    try:
        yield
        outcome = "done in"
    finally:
        over.set()
        ticker.join()
        say(f"  {text}: {outcome} {time.monotonic() - started:.1f} s")


def wait_until(
    awaited: str,
    condition: Callable[[], bool],
    *,
    deadline_seconds: float,
    explain: Callable[[], str] = str,
) -> None:
    """Poll `condition` until it holds.

    Raises ClusterToolError that names what was awaited, with what `explain` knows, once
    `deadline_seconds` have passed.
    """
    give_up = time.monotonic() + deadline_seconds
    while not condition():
        if time.monotonic() >= give_up:
            known = explain()
            raise ClusterToolError(
                f"waited {deadline_seconds:.0f} s in vain for {awaited}" + (f":\n{known}" if known else "")
            )
        time.sleep(POLL_SECONDS)
