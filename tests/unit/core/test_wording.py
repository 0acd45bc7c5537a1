"""What is said where there is a lot."""

from __future__ import annotations

import pytest

from statefulrollout.core.wording import name_some


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, ""), (1, "db-0"), (5, "db-0, db-1, db-2, db-3, db-4"), (7, "db-0, db-1, db-2, db-3, db-4 and 2 more")],
)
def test_the_first_five_are_named_and_the_rest_is_counted(number: int, said: str) -> None:
    assert name_some([f"db-{ordinal}" for ordinal in range(number)]) == said
