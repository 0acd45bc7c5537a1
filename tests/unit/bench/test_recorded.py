"""The recorded run: how it is kept, and how another one compares with it."""

from __future__ import annotations

from pathlib import Path

from bench import recorded
from bench.recorded import INDEPENDENT, SIZES, Recorded, comparison_of

HERE, ELSEWHERE = "2 cores, x86_64", "8 cores, aarch64"
THEN = {
    "hooks": Recorded(HERE, 0.5, {"200 pods": {"pods": 200, "seconds": 90.0, "requestsPerPod": 20.0, "mostAway": 0}}),
    "hot": Recorded(HERE, 0.5, {"40 pods": {"timesAlone": 1.0}}),
}
NOW = {
    "hooks": {
        "200 pods": {"pods": 200, "seconds": 45.0, "requestsPerPod": 10.0, "mostAway": 3, "cpuSeconds": 1.0},
        "100 pods": {"seconds": 20.0},
    },
    "storm": {"1000 pods": {"seconds": 1.0}},
}


def test_what_both_runs_have_is_compared() -> None:
    assert list(comparison_of(THEN, NOW, HERE)) == [
        "\nhooks, 200 pods: recorded, now, and now / recorded",
        "          20         10    0.50  requestsPerPod",
        "           0          3          mostAway",
        "          90         45    0.50  seconds",
    ]


def test_of_another_machine_only_what_does_not_depend_on_it_is_compared() -> None:
    lines = list(comparison_of(THEN, NOW, ELSEWHERE))
    assert [line.split()[-1] for line in lines[1:-1]] == ["requestsPerPod", "mostAway"]
    assert HERE in lines[-1]


def test_a_suite_that_is_recorded_anew_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "recorded.json"
    assert recorded.read(path) == {}
    recorded.record(
        {"hooks": {"200 pods": {"seconds": 1.23456}}, "hot": {"40 pods": {"timesAlone": 1.0}}}, HERE, 0.5, path
    )
    recorded.record({"hooks": {"100 pods": {"seconds": 2.0}}}, ELSEWHERE, 1.26, path)
    assert recorded.read(path) == {
        "hooks": Recorded(ELSEWHERE, 1.3, {"100 pods": {"seconds": 2.0}}),
        "hot": Recorded(HERE, 0.5, {"40 pods": {"timesAlone": 1.0}}),
    }


def test_figures_keep_as_many_digits_as_were_measured() -> None:
    assert recorded.as_json(Recorded(HERE, 0.0, {"a": {"seconds": 1.23456, "requests": 12345.6}}))["cases"] == {
        "a": {"seconds": 1.235, "requests": 12350.0}
    }


def test_the_machine_is_described_by_what_figures_depend_on() -> None:
    assert " cores, " in recorded.describe_machine()
    assert not set(INDEPENDENT) & set(SIZES)
