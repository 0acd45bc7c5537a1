from __future__ import annotations

import pytest

from statefulrollout.errors import InvalidSettings
from statefulrollout.settings import PREFIX, load_settings

NEEDED = {
    "NAMESPACE": "operators",
    "POD_NAME": "statefulrollout-7f9c",
    "LEASE_NAME": "statefulrollout",
    "WEBHOOK_SECRET": "statefulrollout-webhook",
    "WEBHOOK_CONFIGURATION": "statefulrollout-webhook",
    "WEBHOOK_SERVICE": "statefulrollout-webhook",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NEEDED.items():
        monkeypatch.setenv(PREFIX + name, value)


def test_what_the_chart_sets_is_read_and_the_rest_has_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}WEBHOOK_PORT", "10443")
    settings = load_settings()
    assert (settings.namespace, settings.pod_name, settings.webhook_port) == (
        "operators",
        "statefulrollout-7f9c",
        10443,
    )
    assert (settings.health_port, settings.log_format, settings.lease_duration_seconds) == (8080, "json", 15)
    assert settings.webhook_certificates_kept_by == "operator"


@pytest.mark.parametrize(
    ("value", "names"), [("", ()), ("shop", ("shop",)), ("shop, web,", ("shop", "web")), ("a,b,a", ("a", "b"))]
)
def test_namespaces_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, value: str, names: tuple[str, ...]
) -> None:
    monkeypatch.setenv(f"{PREFIX}NAMESPACES", value)
    assert load_settings().namespaces == names


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(PREFIX + name)
    with pytest.raises(InvalidSettings, match=f"environment variable {PREFIX}{name} is not set"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("WEBHOOK_PORT", "many", "WEBHOOK_PORT is wrong.*valid integer.*got 'many'"),
        ("WEBHOOK_PORT", "70000", "WEBHOOK_PORT is wrong.*less than or equal to 65535"),
        (
            "WEBHOOK_CERTIFICATES_KEPT_BY",
            "me",
            "KEPT_BY is wrong.*'operator' or 'others'.*others: its Secret is only read",
        ),
        ("NAMESPACES", "shop,Web", "NAMESPACES is wrong.*match pattern.*got 'Web'.*separated by commas"),
        ("LOG_FORMAT", "xml", "LOG_FORMAT is wrong.*'json' or 'console'"),
        ("NAMESPACE", "", "NAMESPACE is wrong.*at least 1 character.*the operator's own namespace"),
        ("WORKERS", "0", "WORKERS is wrong.*greater than or equal to 1"),
        ("LEASE_RENEW_DEADLINE_SECONDS", "20", "LEASE_RENEW_DEADLINE_SECONDS.*less than .*; got 2, 20, 15"),
        ("LEASE_RETRY_SECONDS", "9", "must be less than STATEFULROLLOUT_LEASE_RENEW_DEADLINE_SECONDS.*got 9, 10, 15"),
    ],
)
def test_what_is_wrong_is_named_with_what_it_must_be(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(InvalidSettings, match=sentence):
        load_settings()


def test_everything_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"{PREFIX}POD_NAME")
    monkeypatch.setenv(f"{PREFIX}WORKERS", "none")
    with pytest.raises(InvalidSettings, match=r"POD_NAME is not set.*; .*WORKERS is wrong"):
        load_settings()
