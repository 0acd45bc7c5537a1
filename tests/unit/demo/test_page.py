"""The page holds what was measured, in one file that loads nothing."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from e2e.demo.drawing import draw, scales_of
from e2e.demo.figures import Measurement
from e2e.demo.page import build_page
from e2e.load.records import Record
from tests.unit.demo.sides import GOOD, SETTING, ours, plain

FAILED = Record(102.0, "client", "write", "key-7", "timeout", 5000.0)
LOST = Record(103.0, "client", "read", "key-8", "missing", 3.0)
TROUBLED = plain([*GOOD, FAILED, LOST], keysLost=1)
CALM = ours()


def rectangles(side: Measurement, style: str) -> list[ElementTree.Element]:
    drawing = ElementTree.fromstring(draw(side, scales_of([TROUBLED, CALM])))
    return [each for each in drawing.iter("rect") if each.get("class") == style]


def test_a_failed_request_and_a_lost_key_can_be_seen() -> None:
    failed, gone = rectangles(TROUBLED, "failed"), rectangles(TROUBLED, "gone")
    assert [each[0].text for each in failed] == ["+2 s: 1 failed, 0 reads of a lost key, of 2"]
    assert [each[0].text for each in gone] == ["+3 s: 0 failed, 1 reads of a lost key, of 2"]
    assert all(float(each.get("height", 0)) >= 3 for each in failed + gone)


def test_a_side_without_faults_shows_none_and_says_so() -> None:
    assert rectangles(CALM, "failed") + rectangles(CALM, "gone") == []
    scales = scales_of([TROUBLED, CALM])
    assert "none at any time" in draw(CALM, scales)
    assert "none at any time" not in draw(TROUBLED, scales)


def test_stages_follow_one_another_on_the_axis() -> None:
    stages = ["Serving", "Draining", "Starting", "Updated"]
    bars = [rectangles(CALM, f"stage {stage}")[0] for stage in stages]
    starts = [float(bar.get("x", 0)) for bar in bars]
    ends = [float(bar.get("x", 0)) + float(bar.get("width", 0)) for bar in bars]
    assert starts == sorted(starts)
    assert starts[1] == pytest.approx(ends[0], abs=0.2)
    assert starts[2] - ends[1] > 20, "between its deletion and its return there is no pod"


def test_both_sides_are_drawn_on_the_same_scales() -> None:
    longer = ours([*GOOD, Record(160.0, "client", "read", "key-1", "ok", 2.0)])
    scales = scales_of([TROUBLED, longer])
    assert (scales.since, scales.until) == (-5.0, 60.0)
    assert scales.x(-5.0) < scales.x(0.0) < scales.x(60.0)


def test_the_page_loads_nothing() -> None:
    page = build_page([TROUBLED, CALM], SETTING)
    assert re.findall(r"https?://|<script|<link|<img|\bsrc=|@import|url\(", page) == []


def test_the_page_has_the_figures_and_names_no_problem_where_there_is_none() -> None:
    page = build_page([TROUBLED, CALM], SETTING)
    assert "1 failed requests" in page
    assert "0 failed requests" in page
    assert "What went wrong" not in page


def test_the_page_names_what_went_wrong_under_the_rollout() -> None:
    page = build_page([plain(), ours([*GOOD, FAILED])], SETTING)
    assert "What went wrong with StatefulRollout" in page
    assert "client&#x27;s write of key-7: timeout" in page


def test_every_stage_that_is_drawn_has_a_colour_and_a_meaning() -> None:
    page = build_page([TROUBLED, CALM], SETTING)
    style = page[page.index("<style>") : page.index("</style>")]
    drawn = set(re.findall(r'class="stage (\w+)"', page))
    explained = set(re.findall(r"<i class=(\w+)>", page))
    assert drawn == {"Serving", "Terminating", "Draining", "Starting", "Updated"}
    assert drawn <= explained
    assert all(f".{stage}" in style for stage in drawn)
