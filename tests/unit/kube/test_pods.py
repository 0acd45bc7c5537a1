"""Which pods are read again, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from statefulrollout.api import names
from statefulrollout.kube import paths
from statefulrollout.kube.client import JSON, METADATA_ONLY
from statefulrollout.kube.known import Heard, Known
from statefulrollout.kube.pods import Found, catch_up, list_pods
from statefulrollout.kube.views import pod_of, stateful_set_of
from tests.unit.kube.recorder import PODS, VERSION, Json, RecordedKube, a_raw_pod, a_raw_set

HEARD = 920
"""The version of the last change of a pod that was heard of."""
LISTED = 910


def at(version: int, name: str = "db-0", **labels: str | None) -> Json:
    pod = a_raw_pod(name)
    pod["metadata"]["resourceVersion"] = str(version)
    pod["metadata"]["labels"] |= labels
    return pod


def a_stranger(version: int) -> Json:
    pod = at(version)
    pod["metadata"]["ownerReferences"][0]["uid"] = "uid-before"
    return pod


def of_six(**changed: Json | None) -> dict[str, Json]:
    """Six pods as they were when they were listed, but for those that are told; None for one that was not there."""
    pods = {f"db-{ordinal}": at(900, f"db-{ordinal}") for ordinal in range(6)}
    pods |= {name.replace("_", "-"): pod for name, pod in changed.items() if pod is not None}
    for name in (name.replace("_", "-") for name, pod in changed.items() if pod is None):
        del pods[name]
    return pods


def known_as(pods: Mapping[str, Json], **changes: str) -> Known:
    versions: Any = {"version": str(LISTED), "listed": str(LISTED), **changes}
    views = {name: pod_of(pod) for name, pod in pods.items()}
    return Known(target=stateful_set_of(a_raw_set(replicas=6)), pods=views, **versions)


def heard_of(pods: Mapping[str, Json], version: str = str(HEARD)) -> Heard:
    return Heard(version=version, pods={name: pod["metadata"]["resourceVersion"] for name, pod in pods.items()})


async def caught_up(known: Known, heard: Heard, *now: Json) -> tuple[Found, list[str]]:
    """What is found, and which pods were read: by name, or "all"."""
    kube = RecordedKube({f"{PODS}/{pod['metadata']['name']}": pod for pod in now})
    found = await catch_up(kube, "shop", known, heard)
    assert all(call.path == PODS and call.params["labelSelector"] == "app=db" for call in kube.calls)
    return found, [call.params.get("fieldSelector", "all").removeprefix("metadata.name=") for call in kube.calls]


def versions_of(found: Found) -> dict[str, str]:
    return {pod.name: pod.version for pod in found.pods}


async def test_pods_of_which_nothing_was_heard_since_are_not_read_again() -> None:
    pods = of_six()
    known = known_as(pods)
    found, read = await caught_up(known, heard_of(pods))
    assert read == []
    assert found.pods == list(known.pods.values())
    assert (found.version, found.listed) == (str(HEARD), str(LISTED))


@pytest.mark.parametrize(
    ("before", "shown", "reads"),
    [
        pytest.param(at(900), at(905), True, id="it changed since"),
        pytest.param(at(905), at(900), False, id="the watch lags"),
        pytest.param(at(900), None, True, id="it is gone"),
        pytest.param(at(930), None, False, id="it came after all that was heard of"),
        pytest.param(None, at(915), True, id="it came since"),
        pytest.param(None, at(905), False, id="it was gone, and the watch lags"),
        pytest.param(None, None, True, id="nobody knows of it, and it shall be there"),
    ],
)
async def test_a_pod_is_read_by_name_where_more_may_be_known_of_it(
    before: Json | None, shown: Json | None, reads: bool
) -> None:
    found, read = await caught_up(known_as(of_six(db_0=before)), heard_of(of_six(db_0=shown)), at(940))
    assert read == (["db-0"] if reads else [])
    expected = "940" if reads else before and before["metadata"]["resourceVersion"]
    assert versions_of(found).get("db-0") == expected
    assert len(found.pods) == (6 if expected else 5)


@pytest.mark.parametrize("now", [(), (a_stranger(940),)], ids=["nobody", "another set's"])
async def test_one_that_is_read_and_not_found_is_gone(now: tuple[Json, ...]) -> None:
    found, read = await caught_up(known_as(of_six()), heard_of(of_six(db_0=None)), *now)
    assert read == ["db-0"]
    assert list(versions_of(found)) == ["db-1", "db-2", "db-3", "db-4", "db-5"]


async def test_one_that_is_there_and_shall_not_be_is_read_as_well() -> None:
    pods = of_six()
    found, read = await caught_up(known_as(pods), heard_of(pods | {"db-7": at(915)}), at(915, "db-7"))
    assert read == ["db-7"]
    assert len(found.pods) == 7


async def test_what_is_read_by_name_is_not_older_than_what_is_known_and_heard() -> None:
    kube = RecordedKube({f"{PODS}/db-0": at(940)})
    for version, since in (("915", str(HEARD)), ("925", "925")):
        await catch_up(kube, "shop", known_as(of_six(), version=version), heard_of(of_six(db_0=at(915))))
        assert kube.calls[-1].params["resourceVersion"] == since
        assert kube.calls[-1].params["resourceVersionMatch"] == "NotOlderThan"


async def test_many_are_listed() -> None:
    pods, changed = of_six(), of_six(db_0=at(915), db_1=at(915))
    assert (await caught_up(known_as(pods), heard_of(changed)))[1] == ["db-0", "db-1"]
    changed |= {"db-2": at(915, "db-2")}
    found, read = await caught_up(known_as(pods), heard_of(changed))
    assert read == ["all"]
    assert (found.version, found.listed) == (f"{VERSION}", f"{VERSION}")
    two = {name: pods[name] for name in ("db-0", "db-1")}
    known = known_as(two)
    known.target = stateful_set_of(a_raw_set(replicas=2))
    assert (await caught_up(known, heard_of({"db-1": two["db-1"]})))[1] == ["db-0"]
    assert (await caught_up(known, Heard(version=str(HEARD))))[1] == ["all"]


@pytest.mark.parametrize(
    ("known", "heard"),
    [
        pytest.param(
            known_as(of_six(db_1=at(900, "db-1", **{names.FENCED_LABEL: None}))), heard_of(of_six()), id="no lid"
        ),
        pytest.param(known_as({}), heard_of(of_six()), id="at rest"),
        pytest.param(known_as(of_six()), Heard(), id="no watch yet"),
        pytest.param(known_as(of_six(), version=""), heard_of(of_six()), id="a conflict"),
        pytest.param(known_as(of_six()), heard_of(of_six(), "a-version"), id="versions that cannot be compared"),
    ],
)
async def test_all_are_listed_where_it_cannot_be_told_which_are_as_they_were(known: Known, heard: Heard) -> None:
    assert (await caught_up(known, heard))[1] == ["all"]


async def test_none_are_read_before_it_is_known_whose() -> None:
    assert await caught_up(Known(), heard_of(of_six())) == (Found(), [])


@pytest.mark.parametrize(
    ("known", "heard", "since"), [("", "", None), ("", "1100", None), ("900", "", "900"), ("900", "1100", "1100")]
)
async def test_a_list_is_not_older_than_what_is_known_and_at_first_as_of_now(
    known: str, heard: str, since: str | None
) -> None:
    kube = RecordedKube()
    await catch_up(kube, "shop", known_as({}, version=known), Heard(version=heard))
    (listing,) = kube.calls
    assert listing.params.get("resourceVersion") == since


async def test_a_pod_of_the_same_version_is_the_same() -> None:
    known = known_as({"db-0": at(900), "db-1": at(900, "db-1"), "db-2": at(900, "db-2")})
    anew = at(900, "db-2")
    anew["metadata"]["uid"] = "another"
    kube = RecordedKube({f"{PODS}/{pod['metadata']['name']}": pod for pod in (at(900), at(901, "db-1"), anew)})
    same, changed, other = (await list_pods(kube, "shop", stateful_set_of(a_raw_set()), known)).pods
    assert same is known.pods["db-0"]
    assert (changed.version, other.uid) == ("901", "another")
    assert "resourceVersion" not in kube.calls[0].params
    assert paths.pods("shop") == kube.calls[0].path


def news_of(*pods: Json) -> dict[str, Json]:
    return {pod["metadata"]["name"]: pod for pod in pods}


@pytest.mark.parametrize(
    ("news", "read"),
    [
        pytest.param(at(915), [], id="as late as anything that was heard of it"),
        pytest.param(at(918), [], id="as it was written, which the watch has not told yet"),
        pytest.param(at(905), ["db-0"], id="older than what was heard since"),
        pytest.param(at(915, app="web"), ["db-0"], id="the selector does not select it any more"),
        pytest.param(a_stranger(915), ["db-0"], id="another owns it"),
    ],
)
async def test_a_pod_that_was_shown_whole_is_not_read_where_that_is_as_late_as_all_else(
    news: Json, read: list[str]
) -> None:
    shown = of_six(db_0=at(915))
    heard = replace(heard_of(shown), news=news_of(news))
    found, names_read = await caught_up(known_as(of_six()), heard, at(940))
    assert names_read == read
    assert versions_of(found)["db-0"] == ("940" if read else news["metadata"]["resourceVersion"])


async def test_what_was_shown_of_a_pod_that_is_gone_since_does_not_count() -> None:
    heard = replace(heard_of(of_six(db_0=None)), news=news_of(at(915)))
    found, read = await caught_up(known_as(of_six()), heard)
    assert read == ["db-0"]
    assert "db-0" not in versions_of(found)


async def test_what_is_known_is_not_replaced_by_what_was_shown_before() -> None:
    pods = of_six(db_0=at(908))
    heard = replace(heard_of(of_six()), news=news_of(at(905)))
    found, read = await caught_up(known_as(pods), heard)
    assert read == []
    assert versions_of(found)["db-0"] == "908"


async def test_of_many_that_were_shown_whole_none_is_read() -> None:
    shown = {name: at(915, name) for name in of_six()}
    found, read = await caught_up(known_as(of_six()), replace(heard_of(shown), news=shown))
    assert read == []
    assert set(versions_of(found).values()) == {"915"}


def of_sixty(*changed: Json) -> dict[str, Json]:
    pods = {f"db-{ordinal}": at(900, f"db-{ordinal}") for ordinal in range(60)}
    return pods | {pod["metadata"]["name"]: pod for pod in changed}


@pytest.mark.parametrize(
    ("now", "read"),
    [
        pytest.param(of_sixty(), [], id="all are as they are known"),
        pytest.param(of_sixty(at(905, "db-7")), ["db-7"], id="one changed"),
        pytest.param(of_sixty(*(at(905, f"db-{each}") for each in range(3))), ["all"], id="more than a few changed"),
        pytest.param(of_sixty({**at(900, "db-7"), "metadata": {**at(900, "db-7")["metadata"], "uid": "another"}}),
                     ["db-7"], id="another of the name, and by chance of the version"),
        pytest.param({name: pod for name, pod in of_sixty().items() if name != "db-7"}, [], id="one is gone"),
    ],
)  # fmt: skip
async def test_of_a_large_set_those_are_read_whole_that_a_list_of_metadata_tells_to_be_other(
    now: Mapping[str, Json], read: list[str]
) -> None:
    kube = RecordedKube({f"{PODS}/{name}": pod for name, pod in now.items()})
    known = replace(known_as(of_sixty()), version="")
    found = await list_pods(kube, "shop", stateful_set_of(a_raw_set(replicas=60)), known)
    listing, *others = kube.calls
    assert listing.content_type == METADATA_ONLY
    assert "resourceVersion" not in listing.params
    assert [call.params.get("fieldSelector", "all").removeprefix("metadata.name=") for call in others] == read
    assert all(call.params["resourceVersion"] == str(VERSION) and call.content_type == JSON for call in others)
    metadata = [pod["metadata"] for pod in now.values()]
    identities = {each["name"]: (each["uid"], each["resourceVersion"]) for each in metadata}
    assert {pod.name: (pod.uid, pod.version) for pod in found.pods} == identities
    assert (found.version, found.listed) == (str(VERSION), str(VERSION))


async def test_strangers_in_a_list_of_metadata_are_left_out() -> None:
    stranger = a_stranger(905)
    kube = RecordedKube({f"{PODS}/{name}": pod for name, pod in (of_sixty() | {"db-0": stranger}).items()})
    found = await list_pods(kube, "shop", stateful_set_of(a_raw_set(replicas=60)), known_as(of_sixty()))
    assert "db-0" not in {pod.name for pod in found.pods}
    assert len(kube.calls) == 1
