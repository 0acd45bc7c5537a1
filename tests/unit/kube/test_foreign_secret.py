"""A Secret that others keep: what is taken from it, and what is refused with which words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from statefulrollout.errors import UnusableSecret
from statefulrollout.kube.foreign_secret import read_credentials
from statefulrollout.kube.pki import build_bundle_beside, pem_of
from tests.unit.kube.issuers import KEYS, Issued, issue_ca, issue_leaf
from tests.unit.kube.webhook_service import HOST

CA = issue_ca()
OTHER_CA = issue_ca(name="another")
GOOD = issue_leaf(CA).values()


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("bare", [False, True], ids=["cert-manager", "openssl"])
def test_every_kind_of_key_is_taken_from_either_issuer(kind: str, bare: bool) -> None:
    values = issue_leaf(issue_ca(kind=kind, bare=bare), kind=kind, bare=bare).values()
    credentials = read_credentials(values, secret="operators/webhook-tls", host=HOST)
    assert vars(credentials) == {"bundle": values["ca.crt"], "chain": values["tls.crt"], "key": values["tls.key"]}


@pytest.mark.parametrize(
    "issued",
    [
        issue_leaf(None),
        issue_leaf(issue_ca(CA, name="intermediate")),
        issue_leaf(issue_ca(CA, kind="RSA", name="intermediate"), kind="Ed25519"),
        issue_leaf(CA, ["*.operators.svc"]),
        issue_leaf(CA, ["webhook", "webhook.operators", HOST]),
        issue_leaf(CA, usage=None),
    ],
    ids=["its own issuer", "through an intermediate", "mixed keys", "wildcard", "many names", "no extended usage"],
)
def test_what_the_api_server_accepts_is_accepted(issued: Issued) -> None:
    assert read_credentials(issued.values(), secret="operators/webhook-tls", host=HOST).key == issued.key_pem()


def test_an_intermediate_in_ca_crt_is_enough_to_trust() -> None:
    leaf = issue_leaf(issue_ca(CA, name="intermediate"))
    values = leaf.values() | {"ca.crt": pem_of(leaf.issuers[0]), "tls.crt": pem_of(leaf.certificate)}
    assert read_credentials(values, secret="operators/webhook-tls", host=HOST).bundle == values["ca.crt"]


def test_only_certificates_are_published_of_what_stands_in_ca_crt() -> None:
    values = GOOD | {"ca.crt": b"Certificate:\n    Data:\n" + GOOD["ca.crt"] + b"\n" + pem_of(OTHER_CA.certificate)}
    credentials = read_credentials(values, secret="operators/webhook-tls", host=HOST)
    assert credentials.bundle == pem_of(CA.certificate, OTHER_CA.certificate)


ENCRYPTED = issue_leaf(CA)
CHAINED = issue_leaf(issue_ca(CA, name="intermediate"))
IMPOSTOR = issue_leaf(issue_leaf(CA))
UNUSABLE = {
    "no ca.crt": (GOOD | {"ca.crt": b""}, "has no ca.crt", "ACME"),
    "nothing": ({}, "has no ca.crt and no tls.crt and no tls.key", "it needs"),
    "ca.crt garbled": (GOOD | {"ca.crt": b"garbage"}, "ca.crt cannot be read", "as PEM"),
    "tls.crt garbled": (GOOD | {"tls.crt": GOOD["tls.crt"][:-40]}, "tls.crt cannot be read", "as PEM"),
    "tls.key garbled": (GOOD | {"tls.key": b"garbage"}, "tls.key cannot be read", "not encrypted"),
    "tls.key encrypted": (
        ENCRYPTED.values() | {"tls.key": ENCRYPTED.key_pem(serialization.BestAvailableEncryption(b"secret"))},
        "tls.key cannot be read",
        "not encrypted",
    ),
    "key of another": (GOOD | {"tls.key": issue_leaf(CA).key_pem()}, "tls.key does not belong", "both together"),
    "key of another kind": (
        GOOD | {"tls.key": issue_leaf(CA, kind="RSA").key_pem()},
        "does not belong",
        "both together",
    ),
    "wrong host": (issue_leaf(CA, ["webhook.other.svc"]).values(), "tls.crt: Hostname mismatch", f"DNS name {HOST}"),
    "wildcard too high": (issue_leaf(CA, ["*.svc"]).values(), "tls.crt: Hostname mismatch", f"DNS name {HOST}"),
    "no name": (issue_leaf(CA, ()).values(), "tls.crt: Hostname mismatch", f"DNS name {HOST}"),
    "expired": (issue_leaf(CA, days=-1).values(), "tls.crt: certificate has expired", "renew tls.crt"),
    "authority expired": (issue_leaf(issue_ca(days=-1)).values(), "certificate has expired", "in ca.crt"),
    "not issued by it": (
        GOOD | {"ca.crt": pem_of(OTHER_CA.certificate)},
        "tls.crt: unable to get local issuer certificate",
        "the CA that issued tls.crt",
    ),
    "same name, another key": (
        GOOD | {"ca.crt": pem_of(issue_ca().certificate)},
        "refuses its tls.crt",
        "the CA that issued tls.crt",
    ),
    "intermediate missing": (
        CHAINED.values() | {"tls.crt": pem_of(CHAINED.certificate)},
        "tls.crt: unable to get local issuer certificate",
        "intermediates follow",
    ),
    "issued by no authority": (IMPOSTOR.values(), "refuses its tls.crt", "the CA that issued tls.crt"),
    "for clients only": (
        issue_leaf(CA, usage=ExtendedKeyUsageOID.CLIENT_AUTH).values(),
        "tls.crt: unsuitable certificate purpose",
        "server auth",
    ),
}


@pytest.mark.parametrize(("values", "problem", "remedy"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_is_wrong_is_named_with_what_to_do(values: dict[str, bytes], problem: str, remedy: str) -> None:
    with pytest.raises(UnusableSecret) as caught:
        read_credentials(values, secret="operators/webhook-tls", host=HOST)
    assert "Secret operators/webhook-tls" in str(caught.value)
    assert problem in str(caught.value)
    assert remedy in caught.value.remedy


def test_what_was_built_once_stays_as_it_is() -> None:
    now = datetime.now(UTC)
    one, two, three = (issue_ca(name=f"authority {number}").certificate for number in range(3))
    cases = [((one,), ()), ((one,), (two,)), ((one,), (two, three)), ((one, two), (three, one)), ((one, two), (three,))]
    for wanted, published in cases:
        built = build_bundle_beside(pem_of(*wanted), pem_of(*published), now)
        assert built.startswith(pem_of(*wanted))
        assert build_bundle_beside(pem_of(*wanted), built, now) == built
