from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration
from prometheus_client import REGISTRY

from statefulrollout.errors import ApiError, Conflict, Gone, NotFound, Unavailable
from statefulrollout.kube import paths
from statefulrollout.kube.client import MERGE_PATCH, PAGE, TRIES, Json, Kube, newest
from statefulrollout.kube.paths import resource_of
from tests.unit.kube.fake_api import FakeApi, Responder, answer, hang, list_of, refuse, reset, silent, stream

POD = paths.pods("shop", "kvstore-0")


def requests_counted(verb: str, resource: str, code: str) -> float:
    labels = {"verb": verb, "resource": resource, "code": code}
    return REGISTRY.get_sample_value("statefulrollout_api_requests_total", labels) or 0


@pytest.mark.parametrize(
    ("path", "text", "resource", "is_object"),
    [
        (paths.pods(), "/api/v1/pods", "pods", False),
        (paths.pods("shop"), "/api/v1/namespaces/shop/pods", "pods", False),
        (POD, "/api/v1/namespaces/shop/pods/kvstore-0", "pods", True),
        (paths.pods("shop", "a", "status"), "/api/v1/namespaces/shop/pods/a/status", "pods/status", True),
        (paths.statefulsets("shop"), "/apis/apps/v1/namespaces/shop/statefulsets", "statefulsets", False),
        (
            paths.mutatingwebhookconfigurations(name="ours"),
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/ours",
            "mutatingwebhookconfigurations",
            True,
        ),
        ("/version", "/version", "/version", False),
    ],
)
def test_paths_are_built_and_read_back(path: str, text: str, resource: str, is_object: bool) -> None:
    assert path == text
    assert resource_of(path) == (resource, is_object)


async def test_a_write_carries_body_content_type_and_parameters(api: FakeApi, kube: Kube) -> None:
    api.put(POD, {"metadata": {"labels": {"a": "1"}}})
    before = requests_counted("patch", "pods", "200")

    patched = await kube.call(
        "PATCH", POD, body={"metadata": {"labels": {"ü": "2"}}}, content_type=MERGE_PATCH, params={"dryRun": "All"}
    )

    assert patched["metadata"]["labels"] == {"a": "1", "ü": "2"}
    (sent,) = api.requests
    assert (sent.headers["Content-Type"], sent.query) == (MERGE_PATCH, {"dryRun": "All"})
    assert requests_counted("patch", "pods", "200") == before + 1


@pytest.mark.parametrize(
    ("code", "kind"), [(404, NotFound), (409, Conflict), (410, Gone), (403, ApiError), (422, ApiError), (500, ApiError)]
)
async def test_a_refusal_says_what_the_server_said(api: FakeApi, kube: Kube, code: int, kind: type[ApiError]) -> None:
    api.script("GET", POD, refuse(code, "Reason"))
    with pytest.raises(kind, match=rf"GET {POD}: {code} Reason: because Reason") as caught:
        await kube.call("GET", POD)
    assert (caught.value.status, caught.value.reason, caught.value.retry_after) == (code, "Reason", None)
    assert len(api.requests) == 1


async def test_a_refusal_that_is_not_json_is_quoted(api: FakeApi, kube: Kube) -> None:
    api.script("GET", POD, answer(lambda: aiohttp.web.Response(status=502, text="<html>bad gateway")))
    with pytest.raises(ApiError, match="bad gateway"):
        await kube.call("GET", POD)


async def test_an_answer_that_is_not_json_is_no_answer(api: FakeApi, kube: Kube) -> None:
    api.script("POST", paths.pods("shop"), answer(lambda: aiohttp.web.Response(text="hello")))
    with pytest.raises(Unavailable, match="not JSON"):
        await kube.call("POST", paths.pods("shop"), body={})


async def test_a_read_is_tried_again_after_a_broken_connection(api: FakeApi, kube: Kube) -> None:
    api.put(POD, {})
    api.script("GET", POD, reset, reset)
    assert (await kube.call("GET", POD))["metadata"]["name"] == "kvstore-0"
    assert len(api.requests) == TRIES


async def test_a_read_is_not_tried_for_ever(api: FakeApi, kube: Kube) -> None:
    # The HTTP library repeats a GET on a reused connection once by itself; a new connection per request shows our own.
    api.faults["operator"] = reset
    with pytest.raises(Unavailable):
        await kube.call("GET", POD)
    assert len(api.requests) == TRIES


@pytest.mark.parametrize("code", [429, 503])
async def test_a_read_comes_back_when_the_server_says(api: FakeApi, kube: Kube, code: int) -> None:
    api.put(POD, {})
    api.script("GET", POD, refuse(code, "TooManyRequests", Retry_After="0.05"))
    await kube.call("GET", POD)
    assert len(api.requests) == 2


async def test_a_read_does_not_wait_longer_than_its_time(api: FakeApi, kube: Kube) -> None:
    api.script("GET", POD, refuse(503, "ServiceUnavailable", Retry_After="30"))
    async with asyncio.timeout(1):
        with pytest.raises(ApiError) as caught:
            await kube.call("GET", POD)
    assert caught.value.retry_after == 30


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_is_sent_once(api: FakeApi, kube: Kube, method: str) -> None:
    api.script(method, POD, reset)
    with pytest.raises(Unavailable):
        await kube.call(method, POD, body={})
    api.script(method, POD, refuse(429, "TooManyRequests", Retry_After="0"))
    with pytest.raises(ApiError):
        await kube.call(method, POD, body={})
    assert len(api.requests) == 2


async def test_a_call_is_bounded_in_time(api: FakeApi, kube: Kube) -> None:
    api.script("PATCH", POD, hang)
    before = requests_counted("patch", "pods", "none")
    async with asyncio.timeout(2):
        with pytest.raises(Unavailable, match=r"no answer within 0\.1 s"):
            await kube.call("PATCH", POD, body={}, timeout=0.1)
    assert requests_counted("patch", "pods", "none") == before + 1


async def test_a_redirect_is_not_followed(api: FakeApi, kube: Kube) -> None:
    api.script("GET", POD, answer(lambda: aiohttp.web.Response(status=302, headers={"Location": "/elsewhere"})))
    with pytest.raises(ApiError) as caught:
        await kube.call("GET", POD)
    assert caught.value.status == 302
    assert len(api.requests) == 1


async def test_the_token_is_asked_for_with_every_call(api: FakeApi, server: TestServer) -> None:
    tokens = iter(["bearer one", "bearer two"])

    async def authorization() -> str:
        return next(tokens)

    async with aiohttp.ClientSession() as session:
        kube = Kube(str(server.make_url("")), session, authorization)
        await kube.list_all(paths.pods())
        await kube.list_all(paths.pods())
    assert [one.headers["Authorization"] for one in api.requests] == ["bearer one", "bearer two"]


async def test_a_list_is_read_in_pages(api: FakeApi, kube: Kube) -> None:
    items: list[Json] = [{"metadata": {"name": f"kvstore-{number}"}} for number in range(3)]
    api.script(
        "GET",
        paths.pods("shop"),
        answer(lambda: list_of(items[:2], 7, **{"continue": "token"})),
        answer(lambda: list_of(items[2:], 7)),
    )
    assert await kube.list_all(paths.pods("shop"), params={"labelSelector": "a=b"}) == items
    first, second = (one.query for one in api.requests)
    assert first == {"labelSelector": "a=b", "limit": str(PAGE)}
    assert second == {**first, "continue": "token"}


async def test_what_is_received_is_counted_by_verb_and_resource(api: FakeApi, kube: Kube) -> None:
    def received(verb: str) -> float:
        labels = {"verb": verb, "resource": "pods"}
        return REGISTRY.get_sample_value("statefulrollout_api_received_bytes_total", labels) or 0

    before = received("list"), received("watch")
    api.script("GET", paths.pods(), answer(lambda: list_of([], 7)))
    sent = {"type": "ADDED", "object": {"metadata": {"name": "kvstore-0"}}}
    api.script("WATCH", paths.pods(), stream(sent))
    await kube.list_all(paths.pods())
    assert [event async for event in kube.watch(paths.pods(), "7")] == [sent]
    assert received("list") - before[0] == len(json.dumps({"items": [], "metadata": {"resourceVersion": "7"}}))
    assert received("watch") - before[1] == len(json.dumps(sent)) + 1


async def test_a_list_that_need_not_be_the_latest_is_read_from_a_cache(api: FakeApi, kube: Kube) -> None:
    items: list[Json] = [{"metadata": {"name": f"kvstore-{number}"}} for number in range(2)]
    first, second = (lambda: list_of(items[:1], 9, **{"continue": "x"})), (lambda: list_of(items[1:], 9))
    api.script("GET", paths.pods("shop"), answer(first), answer(second))
    assert await kube.list_all(paths.pods("shop"), params={"labelSelector": "a=b"}, since="7") == items
    usual = {"labelSelector": "a=b", "limit": str(PAGE)}
    cached = {"resourceVersion": "7", "resourceVersionMatch": "NotOlderThan"}
    assert [one.query for one in api.requests] == [{**usual, **cached}, {**usual, "continue": "x"}]


@pytest.mark.parametrize("hindrance", [refuse(504, "Timeout"), refuse(410, "Expired")], ids=["too new", "too old"])
async def test_where_no_cache_is_as_new_the_list_is_read_as_it_is_now(
    api: FakeApi, kube: Kube, hindrance: Responder
) -> None:
    api.script("GET", paths.pods("shop"), hindrance, answer(lambda: list_of([], 5)))
    assert await kube.list_all(paths.pods("shop"), since="7") == []
    assert [one.query for one in api.requests][1:] == [{"limit": str(PAGE)}]


@pytest.mark.parametrize(
    ("versions", "latest"),
    [((), ""), (("",), ""), (("9", "10"), "10"), (("", "7"), "7"), (("9", "abc"), ""), (("-1", "3"), "")],
)
def test_the_latest_version_is_found_where_versions_are_numbers(versions: tuple[str, ...], latest: str) -> None:
    assert newest(*versions) == latest


async def test_a_watch_is_read_whatever_the_pieces_it_comes_in(api: FakeApi, kube: Kube) -> None:
    sent = [{"type": "ADDED", "object": {"metadata": {"name": f"Zürich-{number}"}}} for number in range(20)]
    api.script("WATCH", paths.pods(), stream(*sent, chunk=7))
    assert [event async for event in kube.watch(paths.pods(), "5", params={"labelSelector": "a=b"})] == sent
    assert api.requests[0].query == {
        "labelSelector": "a=b",
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "5",
        "timeoutSeconds": "300",
    }


@pytest.mark.parametrize(
    "responder",
    [refuse(410, "Expired"), stream({"type": "ERROR", "object": {"code": 410, "reason": "Expired"}})],
    ids=["status", "event"],
)
async def test_a_watch_from_a_forgotten_version_is_gone(api: FakeApi, kube: Kube, responder: Responder) -> None:
    api.script("WATCH", paths.pods(), responder)
    with pytest.raises(Gone):
        await anext(kube.watch(paths.pods(), "5"))


@pytest.mark.parametrize("responder", [silent, reset], ids=["stall", "reset"])
async def test_a_watch_that_breaks_or_falls_silent_is_unavailable(
    api: FakeApi, kube: Kube, responder: Responder
) -> None:
    api.script("WATCH", paths.pods(), responder)
    async with asyncio.timeout(2):
        with pytest.raises(Unavailable):
            await anext(kube.watch(paths.pods(), "5", stall_seconds=0.1))


async def test_tls_and_token_come_from_the_configuration(api: FakeApi, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    server = TestServer(api.application(), scheme="https")
    await server.start_server(ssl=context)
    configuration = Configuration(host=str(server.make_url("")), ssl_ca_cert=str(tmp_path / "ca.crt"))
    configuration.api_key["BearerToken"] = "bearer secret\n"
    trusting, doubting = Kube.of(configuration), Kube.of(Configuration(host=configuration.host))

    assert await trusting.list_all(paths.pods()) == []
    assert api.requests[0].headers["Authorization"] == "bearer secret"
    assert api.requests[0].headers["User-Agent"] == "statefulrollout"
    with pytest.raises(Unavailable, match="certificate verify failed"):
        await doubting.call("POST", paths.pods(), body={})

    await trusting.close()
    await doubting.close()
    await server.close()
