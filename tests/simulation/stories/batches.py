"""A batch of stories from a seed: the same seed always tells the same stories."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.simulation.stories.drawing import stories
from tests.simulation.stories.story import Story

STORIES = 25


def tell_batch(seed: int, told: Callable[[Story], None], phases: Sequence[Phase]) -> None:
    """Call `told` with each story of the batch; where `phases` has `shrink`, with ever smaller ones after a failure."""

    @hypothesis.seed(seed)
    @settings(
        max_examples=STORIES, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck)
    )
    @given(stories())
    def tell_one(story: Story) -> None:
        told(story)

    tell_one()
