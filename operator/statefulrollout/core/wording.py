"""How much is said where there is a lot: a message has an end, and what to do comes last in it."""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMED = 5


def name_some(names: Sequence[str]) -> str:
    """The first five of the names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
