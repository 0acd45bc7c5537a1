"""Every play, line by line as it was agreed on: what changes in a transcript has been changed on purpose.

`pytest tests/simulation/test_golden.py --update-golden` writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.simulation.plays import PLAYS, Play, shown_revisions

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.name)
async def test_a_play_goes_as_it_always_has(play: Play, request: pytest.FixtureRequest) -> None:
    scenario = await play.arrange()
    await play.act(scenario)
    transcript = shown_revisions(scenario, scenario.world.history.transcript())
    transcript = re.sub(r"generation \d+", "generation G", transcript)
    file = GOLDEN / (re.sub(r"\W+", "-", play.name.lower()) + ".txt")
    if request.config.getoption("--update-golden"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(transcript)
    assert transcript == file.read_text()
