"""Options and fixtures of the chart's tests."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    # Only a command line that names this folder knows the option.
    return bool(request.config.getoption("--update-golden", default=False))
