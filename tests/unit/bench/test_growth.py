"""How costs grow: the exponent that is fitted, and the drawing."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from bench.drawing import Panel, draw
from bench.growth import DRAWING, fit, panels_of, points_of
from bench.recorded import read
from bench.suites import GROWTH

SVG = "{http://www.w3.org/2000/svg}"
PODS = (10, 100, 1000, 10_000)


@pytest.mark.parametrize("exponent", [-0.5, 0.0, 1.0, 1.5])
def test_the_exponent_of_a_power_is_found(exponent: float) -> None:
    assert fit([(pods, 3 * pods**exponent) for pods in PODS]) == pytest.approx((3, exponent))


def test_a_fit_lies_between_what_was_measured() -> None:
    factor, exponent = fit([(1, 1), (10, 100), (100, 100)])
    assert exponent == pytest.approx(1)
    assert factor == pytest.approx(10 ** (1 / 3))


def test_points_are_in_the_order_of_the_pods_and_what_was_not_measured_is_left_out() -> None:
    cases = {"b": {"pods": 100, "seconds": 9.0}, "a": {"pods": 10, "seconds": 3.0}, "c": {"pods": 1000, "seconds": 0.0}}
    assert points_of(cases, "seconds") == [(10, 3.0), (100, 9.0)]
    assert points_of(cases, "receivedKiBPerPod") == []


def test_every_cost_that_was_measured_has_a_panel_that_says_how_it_grows() -> None:
    cases = {str(pods): {"pods": pods, "seconds": pods / 10, "requestsPerPod": 100 / pods**0.5} for pods in PODS}
    assert [panel.title for panel in panels_of(cases)] == [
        "seconds: grows as pods^1.00",
        "requests per pod: grows as pods^-0.50",
    ]
    assert panels_of({"10": cases["10"]}) == []


def test_the_drawing_is_well_formed_and_shows_every_point_inside_it() -> None:
    points = [(pods, 0.5 * pods) for pods in PODS]
    root = ElementTree.fromstring(draw([Panel("a < b & c", points, [points[0], points[-1]])] * 3))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    circles = list(root.iter(f"{SVG}circle"))
    assert len(circles) == 3 * len(PODS)
    assert all(0 < float(each.attrib["cx"]) < width and 0 < float(each.attrib["cy"]) < height for each in circles)
    assert "a < b & c" in [each.text for each in root.iter(f"{SVG}text")]


def test_a_cost_that_never_changes_can_be_drawn() -> None:
    ElementTree.fromstring(draw(panels_of({str(pods): {"pods": pods, "seconds": 10.0} for pods in PODS})))


def test_the_drawing_in_the_docs_is_that_of_the_recorded_run() -> None:
    recorded = read().get(GROWTH)
    drawn = DRAWING.read_text(encoding="utf-8") if DRAWING.exists() else ""
    expected = draw(panels_of(recorded.cases)) if recorded else ""
    assert drawn == expected, "docs/growth.svg is stale: run `python -m bench.growth`"
