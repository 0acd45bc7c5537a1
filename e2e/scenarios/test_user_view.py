"""What the user sees: `kubectl get`, `describe` and `wait`, during a rollout and after it."""

from __future__ import annotations

from e2e.scenarios.conftest import OpenShop
from statefulrollout.api import names


def test_kubectl_shows_a_rollout_while_it_happens_and_waits_for_its_end(open_shop: OpenShop) -> None:
    shop = open_shop()
    selection = ("-n", shop.namespace)
    table = _table_of(shop.kubectl.run("get", "sro", *selection))
    assert table == {
        "NAME": "kvstore", "TARGET": "kvstore", "PHASE": "Healthy", "STEP": "-", "UPDATED": "3/3", "READY": "3/3",
        "PAUSED": "false", "AGE": table["AGE"],
    }  # fmt: skip
    shop.change_template()
    shop.wait("Ready to be False and Reconciling True", lambda: shop.condition(names.READY)["status"] == "False"
              and shop.condition(names.RECONCILING)["status"] == "True")  # fmt: skip
    shop.await_stage(2, "Draining", "Migrating", "Released")
    wide = shop.kubectl.run("get", "sro", *selection, "-o", "wide")
    assert "MESSAGE" in wide
    assert "RollingOut" in wide
    described = shop.kubectl.run("describe", "sro", "kvstore", *selection)
    assert all(word in described for word in ("Conditions:", "Reconciling", "Stage:", "PodIsolated"))
    shop.kubectl.run("wait", "--for=condition=Ready", "sro/kvstore", *selection, "--timeout=120s")
    assert shop.stateful_set["status"]["currentRevision"] == shop.stateful_set["status"]["updateRevision"]
    shop.await_complete()
    shop.assert_nobody_noticed()


def test_every_change_of_the_spec_is_reported_as_observed(open_shop: OpenShop) -> None:
    shop = open_shop(load=False)
    before = shop.rollout["metadata"]["generation"]
    shop.pause()
    assert shop.rollout["metadata"]["generation"] == before + 1
    assert {each["observedGeneration"] for each in shop.rollout["status"]["conditions"]} == {before + 1}
    assert [each["type"] for each in shop.rollout["status"]["conditions"] if each["status"] == "True"] == [
        names.READY,
        names.PAUSED,
    ]


def _table_of(text: str) -> dict[str, str]:
    header, row = (line.split() for line in text.splitlines())
    return dict(zip(header, row, strict=True))
