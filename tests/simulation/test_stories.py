"""Random rollouts with random enemies: whatever happens, no invariant is broken, and it ends well.

The seed of a batch is in its test's name; a failure is shrunk to the least that still fails. `make simulate` tells many
more, and `--story-seed` one that failed there.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase

from tests.simulation.stories.batches import tell_batch
from tests.simulation.stories.story import Story
from tests.simulation.stories.telling import tell
from tests.simulation.world.loop import simulate

SEEDS = 1


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("seed", [*range(SEEDS), *metafunc.config.getoption("--story-seed")])


def test_the_stories_of_a_seed_end_well(seed: int) -> None:
    def told(story: Story) -> None:
        simulate(tell(story))

    tell_batch(seed, told, phases=[Phase.generate, Phase.shrink])
