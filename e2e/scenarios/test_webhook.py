"""The webhooks under what a cluster does to them: hundreds of evictions at once, and new certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from e2e.harness import certificates
from e2e.harness.api import Api
from e2e.harness.certificates import serials_of
from e2e.harness.evictions import EVICTIONS_WEBHOOK, PODS_WEBHOOK, asking, burst, judged_by, latencies_of
from e2e.harness.installation import Installation
from e2e.harness.journal import PODS
from e2e.harness.kubectl import Json, Kubectl
from e2e.harness.pods import Pod
from e2e.harness.shop import IMAGE, is_stores, pod_name
from e2e.kvstore.manifests import build_container_security, build_pod_security
from e2e.load.records import percentile
from e2e.scenarios.conftest import OpenShop

pytestmark = pytest.mark.operator_down

AT_ONCE = 200
TIMEOUT_SECONDS = 2.0
"""How long the API server waits for the webhook."""
START_SECONDS = 40
"""Within which two replicas of the operator have looked for the first time; they look again a minute later."""
ASKERS = 8
OURS, NUMBERED, LETTERED = pod_name(1), "neighbour-7", "neighbour-x"


def build_neighbour(name: str, namespace: str) -> Json:
    """A pod that is nobody's."""
    container = {
        "name": "neighbour",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", "import signal; signal.pause()"],
        "securityContext": build_container_security(),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "securityContext": build_pod_security(),
            "containers": [container],
        },
    }


def test_hundreds_of_evictions_at_once_are_all_judged(open_shop: OpenShop, api: Api, kubectl: Kubectl) -> None:
    shop = open_shop(replicas=2)
    kubectl.apply(*(build_neighbour(name, shop.namespace) for name in (NUMBERED, LETTERED)))
    kubectl.run("wait", "--for=condition=Ready", f"pod/{NUMBERED}", f"pod/{LETTERED}", "-n", shop.namespace)
    before = judged_by(kubectl, EVICTIONS_WEBHOOK)
    answers = burst(api, shop.namespace, [OURS, NUMBERED, OURS, LETTERED] * (AT_ONCE // 2), seconds=1.0)
    judged = judged_by(kubectl, EVICTIONS_WEBHOOK).since(before)
    for name in (OURS, NUMBERED, LETTERED):
        print(f"\n{name}: {latencies_of([answer for answer in answers if answer.pod == name])}", end="")
    print(f"\nthe webhook: {judged.requests} requests, half within {judged.slowest(50)} s, "
          f"99 of 100 within {judged.slowest(99)} s")  # fmt: skip
    assert [answer for answer in answers if answer.pod == OURS and not answer.is_held] == []
    assert [answer for answer in answers if answer.pod != OURS and not answer.passed] == []
    assert judged.requests == AT_ONCE * 3 / 2, "about a name without an ordinal nobody is asked"
    assert judged.unanswered == 0
    assert percentile([answer.ms for answer in answers if answer.pod == OURS], 99) < TIMEOUT_SECONDS * 1000
    shop.assert_nobody_noticed()


def test_certificates_are_renewed_and_no_eviction_passes_and_no_pod_lacks_its_gate(
    open_shop: OpenShop, api: Api, kubectl: Kubectl, installation: Installation
) -> None:
    asked, rolled = open_shop(replicas=1, load=False), open_shop(replicas=2)
    with installation.down():
        old = certificates.build_ageing(datetime.now(UTC) + timedelta(seconds=START_SECONDS))
        certificates.store(kubectl, old)
    (old_ca,), (old_leaf,) = serials_of(old.ca), serials_of(old.leaf)
    with installation.as_users_have_it():
        replicas = [pod["metadata"]["name"] for pod in installation.pods()]
        before = {name: judged_by(kubectl, name) for name in (EVICTIONS_WEBHOOK, PODS_WEBHOOK)}
        pods = {pod.uid for pod in rolled.pods}
        with (
            certificates.watching(kubectl, replicas) as sights,
            asking(api, asked.namespace, pod_name(0), ASKERS) as answers,
        ):
            while not sights or old_leaf in sights[-1].served:
                rolled.change_template()
                rolled.await_complete()
        judged = {name: judged_by(kubectl, name).since(figures) for name, figures in before.items()}
    print(f"\n{latencies_of(answers)}")
    for name, figures in judged.items():
        print(f"{name}: {figures.requests} requests, 99 of 100 within {figures.slowest(99)} s")
    for sight in sights:
        print(f"{sight.at - sights[0].at:.1f} s: trusted {sight.trusted}, served {sight.served}")
    assert (sights[0].trusted[0], sights[0].served) == (old_ca, (old_leaf,) * 2)
    assert sights[-1].trusted[0] != old_ca
    assert all(old_ca in sight.trusted for sight in sights)
    assert [answer for answer in answers if not answer.is_held] == []
    assert all(figures.unanswered == 0 and figures.requests for figures in judged.values())
    history = [Pod(change.item) for change in rolled.history_of(PODS)]
    new = [pod for pod in history if is_stores(PODS, pod.name) and pod.uid not in pods]
    assert new
    assert all(pod.gated for pod in new)
    print("\n", rolled.assert_nobody_noticed())
