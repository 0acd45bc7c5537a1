"""Hooks over TLS, for those alone who show who they are."""

from __future__ import annotations

from typing import Any

import pytest
import trustme

from e2e.harness.installation import NAMESPACE
from e2e.harness.kubectl import Json
from e2e.harness.shop import Shop
from e2e.scenarios.conftest import OpenShop

LOGIN = {"username": "ada", "password": "pa:ss"}
SERVER_NAME = "${pod.name}.kvstore.test"


@pytest.fixture(scope="module")
def secrets() -> dict[str, dict[str, str]]:
    """A certificate for every pod with its authority, another authority, and a login."""
    authority, others = trustme.CA(), trustme.CA()
    leaf = authority.issue_cert("*.kvstore.test")
    certificate = "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems)
    return {
        "certificates": {
            "tls.crt": certificate,
            "tls.key": leaf.private_key_pem.bytes().decode(),
            "ca.crt": authority.cert_pem.bytes().decode(),
            "others.crt": others.cert_pem.bytes().decode(),
        },
        "login": LOGIN,
    }


def secured(method: str = "POST", key: str = "ca.crt") -> Json:
    tls = {"caFrom": {"name": "certificates", "key": key}, "serverName": SERVER_NAME}
    auth = {"type": "Basic", "name": "login"}
    return {"http": {"port": "secure", "path": "/secure/drain", "method": method, "scheme": "HTTPS",
                     "tls": tls, "authFrom": auth}}  # fmt: skip


def open_secured(open_shop: OpenShop, secrets: dict[str, dict[str, str]], **apply: Any) -> Shop:
    env = {"LOGIN": ":".join(LOGIN.values())}
    drain = {"apply": secured(**apply), "undo": secured("DELETE")}
    return open_shop(rollout={"drain": drain}, secrets=secrets, certificate="certificates", env=env)


def grant(shop: Shop) -> None:
    """What docs/hooks.md says."""
    names = ("--resource-name=certificates", "--resource-name=login")
    shop.kubectl.run("create", "role", "hooks", "-n", shop.namespace, "--verb=get", "--resource=secrets", *names)
    account = f"--serviceaccount={NAMESPACE}:statefulrollout"
    shop.kubectl.run("create", "rolebinding", "hooks", "-n", shop.namespace, "--role=hooks", account)


def test_the_operator_reads_what_it_was_granted_and_says_what_it_was_not(
    open_shop: OpenShop, secrets: dict[str, dict[str, str]]
) -> None:
    shop = open_secured(open_shop, secrets)
    shop.change_template()
    shop.await_stalled("the operator may not read Secret certificates: grant get on it")
    grant(shop)
    shop.await_complete()
    assert shop.was_said("POST /secure/drain on port secure of kvstore-2 answered 200")
    shop.assert_nobody_noticed()


def test_a_pod_that_another_authority_vouches_for_is_not_asked(
    open_shop: OpenShop, secrets: dict[str, dict[str, str]]
) -> None:
    shop = open_secured(open_shop, secrets, key="others.crt")
    grant(shop)
    shop.change_template()
    shop.await_stalled("kvstore-2", "its certificate is not for that name or of that authority; correct tls")
    shop.patch_rollout({"drain": {"apply": secured()}})
    shop.await_complete()
    shop.assert_nobody_noticed()


def test_wrong_credentials_are_an_error_until_they_are_right(
    open_shop: OpenShop, secrets: dict[str, dict[str, str]]
) -> None:
    wrong = {**secrets, "login": {**LOGIN, "password": "wrong"}}
    shop = open_secured(open_shop, wrong)
    grant(shop)
    shop.change_template()
    shop.wait("the refusal to be said", lambda: "on port secure of kvstore-2 answered 401: an error" in shop.message)
    patch = '{"stringData": {"password": "pa:ss"}}'
    shop.kubectl.run("patch", "secret", "login", "-n", shop.namespace, "-p", patch)
    shop.await_complete()
    shop.assert_nobody_noticed()
