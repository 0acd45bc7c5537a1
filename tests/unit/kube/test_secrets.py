"""Secrets are read when they are needed, and kept for a short while."""

from __future__ import annotations

import pytest

from statefulrollout.errors import NotFound
from statefulrollout.kube import paths
from statefulrollout.kube.secrets import FRESH_SECONDS, Secrets
from tests.builders import NOW
from tests.unit.kube.recorder import RecordedKube

PATH = paths.secrets("shop", "login")


async def test_a_secret_is_kept_for_a_while_and_read_anew_when_it_is_no_longer_good() -> None:
    kube, now = RecordedKube({PATH: {"data": {"token": "YWJj"}}}), [NOW]
    secrets = Secrets(kube, lambda: now[0])
    assert await secrets.read("shop", "login") == {"token": b"abc"}
    assert await secrets.read("shop", "login") == {"token": b"abc"}
    assert len(kube.calls) == 1
    secrets.forget("shop", "login")
    await secrets.read("shop", "login")
    now[0] += FRESH_SECONDS
    await secrets.read("shop", "login")
    assert len(kube.calls) == 3


async def test_an_empty_secret_has_no_keys_and_one_that_is_not_there_is_not_found() -> None:
    secrets = Secrets(RecordedKube({PATH: {}}))
    assert await secrets.read("shop", "login") == {}
    with pytest.raises(NotFound):
        await secrets.read("shop", "nowhere")
