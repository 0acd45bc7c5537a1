from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from statefulrollout.api import names
from statefulrollout.kube.pki import decide_material
from statefulrollout.kube.webhook import PATH, Decision, build_application, decide_patch
from tests.unit.kube.fake_api import Json, json_patched

HOST = "webhook.operators.svc"
GATE = {"conditionType": names.SERVING}
FOREIGN_GATE = {"conditionType": "example.com/checked"}
OWNER = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "kvstore", "uid": "1", "controller": True}


def targeted(namespace: str, name: str) -> bool:
    return (namespace, name) == ("shop", "kvstore")


def pod(owner: Json | None = OWNER, labels: dict[str, str] | None = None, gates: list[Json] | None = None) -> Json:
    metadata: Json = {"name": "kvstore-3", "generateName": "kvstore-"}
    if owner:
        metadata["ownerReferences"] = [owner]
    if labels is not None:
        metadata["labels"] = labels
    return {
        "metadata": metadata,
        "spec": {"containers": [], **({"readinessGates": gates} if gates is not None else {})},
    }


def request_for(pod: Json, **changes: Any) -> Json:
    return {
        "uid": "review-1",
        "operation": "CREATE",
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "shop",
        "name": "kvstore-3",
        "object": pod,
        **changes,
    }


@pytest.mark.parametrize("labels", [None, {}, {"app": "kvstore"}, {names.FENCED_LABEL: "false"}])
@pytest.mark.parametrize("gates", [None, [], [FOREIGN_GATE]])
def test_a_pod_gets_gate_and_label_whatever_it_has(labels: dict[str, str] | None, gates: list[Json] | None) -> None:
    before = pod(labels=labels, gates=gates)
    decision, patch = decide_patch(request_for(before), targeted)
    after = json_patched(before, patch)
    assert decision is Decision.INJECTED
    assert after is not None
    assert after["metadata"]["labels"] == {**(labels or {}), names.FENCED_LABEL: "true"}
    assert after["spec"]["readinessGates"] == [*(gates or []), GATE]
    assert decide_patch(request_for(after), targeted) == (Decision.PRESENT, [])


def test_what_is_there_is_not_added_again() -> None:
    _, patch = decide_patch(request_for(pod(labels={names.FENCED_LABEL: "true"})), targeted)
    assert [one["path"] for one in patch] == ["/spec/readinessGates"]
    _, patch = decide_patch(request_for(pod(labels={"app": "kvstore"}, gates=[GATE])), targeted)
    assert [one["path"] for one in patch] == ["/metadata/labels/statefulrollout.dev~1fenced"]


@pytest.mark.parametrize(
    "request_",
    [
        request_for(pod(owner=None)),
        request_for(pod(owner={**OWNER, "controller": False})),
        request_for(pod(owner={**OWNER, "kind": "ReplicaSet"})),
        request_for(pod(owner={**OWNER, "apiVersion": "apps.kruise.io/v1beta1"})),
        request_for(pod(owner={**OWNER, "name": "other"})),
        request_for(pod(), namespace="elsewhere"),
        request_for(pod(), operation="UPDATE"),
        request_for(pod(), subResource="status"),
    ],
    ids=["no owner", "no controller", "ReplicaSet", "foreign kind", "other set", "other namespace", "update", "status"],
)
def test_other_pods_are_left_alone(request_: Json) -> None:
    assert decide_patch(request_, targeted) == (Decision.NOT_TARGETED, [])


class Client:
    """The API server's side, over TLS, trusting only the operator's own CA."""

    def __init__(self, session: aiohttp.ClientSession, context: ssl.SSLContext):
        self.fresh = True
        self.url = ""
        self._session = session
        self._context = context

    async def post(self, data: str) -> tuple[int, str]:
        async with self._session.post(self.url, data=data, ssl=self._context, server_hostname=HOST) as response:
            return response.status, await response.text()

    async def review(self, request: Json) -> Json:
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        status, text = await self.post(json.dumps(review))
        assert status == 200
        answer: Json = json.loads(text)
        assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        response: Json = answer["response"]
        assert response["uid"] == "review-1"
        assert response["allowed"] is True
        return response


@pytest.fixture
def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and the client's side of TLS, on certificates as the operator makes them."""
    material = decide_material(None, HOST, datetime.now(UTC))
    (tmp_path / "tls.crt").write_bytes(material.leaf)
    (tmp_path / "tls.key").write_bytes(material.leaf_key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    return server, ssl.create_default_context(cadata=material.ca.decode())


@pytest.fixture
async def client(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        made = Client(session, contexts[1])
        server = TestServer(build_application(targeted, lambda: made.fresh), scheme="https")
        await server.start_server(ssl=contexts[0])
        made.url = f"https://127.0.0.1:{server.port}{PATH}"
        yield made
        await server.close()


async def test_the_answer_carries_the_patch(client: Client) -> None:
    response = await client.review(request_for(pod()))
    assert response["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(response["patch"])) == decide_patch(request_for(pod()), targeted)[1]


async def test_nothing_is_added_while_nobody_leads(client: Client) -> None:
    client.fresh = False
    assert "patch" not in await client.review(request_for(pod()))


@pytest.mark.parametrize(
    "broken",
    [
        {"object": None},
        {"object": {}},
        {"object": {"metadata": None, "spec": {}}},
        {"object": {"metadata": {"ownerReferences": [{"controller": True}]}}},
        {"object": {"metadata": {"ownerReferences": [OWNER]}}},
        {"object": {"metadata": {"ownerReferences": [OWNER]}, "spec": {"readinessGates": ["x"]}}},
        {"object": {"metadata": {"ownerReferences": [OWNER], "labels": "x"}, "spec": {}}},
        {"operation": None},
        {"resource": "pods"},
        {"namespace": None},
    ],
)
async def test_what_is_not_understood_is_admitted_unchanged(client: Client, broken: Json) -> None:
    assert "patch" not in await client.review(request_for(pod(), **broken))


@pytest.mark.parametrize("text", ["", "hello", "[]", "{}", '{"request": null}', '{"request": {}}', "\udcff"])
async def test_what_is_no_review_is_a_bad_request_and_never_our_error(client: Client, text: str) -> None:
    status, _ = await client.post(text.encode("utf-8", "surrogateescape").decode("latin-1"))
    assert status == 400
