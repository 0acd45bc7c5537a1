"""Certificates as others issue them: by the extensions that cert-manager writes, or by the few that openssl does."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from statefulrollout.kube.pki import pem_of
from tests.unit.kube.webhook_service import HOST

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
KEYS: dict[str, Callable[[], PrivateKey]] = {
    "RSA": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ECDSA": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ECDSA P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, and what it was issued through: its intermediates and the root, in this order."""

    certificate: x509.Certificate
    key: PrivateKey
    issuers: tuple[x509.Certificate, ...] = ()

    @property
    def serial(self) -> int:
        return self.certificate.serial_number

    def key_pem(self, encryption: serialization.KeySerializationEncryption | None = None) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            encryption or serialization.NoEncryption(),
        )

    def values(self) -> dict[str, bytes]:
        """The values of the Secret that cert-manager makes of it; what nobody issued is its own authority."""
        *intermediates, root = self.issuers or (self.certificate,)
        return {
            "ca.crt": pem_of(root),
            "tls.crt": pem_of(self.certificate, *intermediates),
            "tls.key": self.key_pem(),
        }


def issue_ca(
    by: Issued | None = None, *, kind: str = "ECDSA", name: str = "authority", bare: bool = False, days: float = 30
) -> Issued:
    """Issue an authority; by itself where `by` is None. A `bare` one has no key usages, as openssl makes it."""
    key = KEYS[kind]()
    extensions: list[tuple[x509.ExtensionType, bool]] = [(x509.BasicConstraints(ca=True, path_length=None), True)]
    if not bare:
        extensions.append((_usage(key_cert_sign=True), True))
    return _sign(_named(name), key, by, extensions, days)


def issue_leaf(
    by: Issued | None,
    hosts: Sequence[str] = (HOST,),
    *,
    kind: str = "ECDSA",
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.SERVER_AUTH,
    bare: bool = False,
    days: float = 10,
) -> Issued:
    """Issue a server's certificate, valid from two days ago; `bare` as by openssl: with the names only."""
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    extensions: list[tuple[x509.ExtensionType, bool]] = [(names, not bare)]
    if not bare:
        extensions += [(x509.BasicConstraints(ca=False, path_length=None), True), (_usage(key_cert_sign=False), True)]
        if usage is not None:
            extensions.append((x509.ExtendedKeyUsage([usage]), False))
    return _sign(_named("server") if bare else x509.Name([]), KEYS[kind](), by, extensions, days)


def secret_of(values: dict[str, bytes]) -> dict[str, object]:
    """The Secret with these values, as the API server has it."""
    data = {key: base64.b64encode(value).decode() for key, value in values.items()}
    return {"type": "kubernetes.io/tls", "data": data}


def _sign(
    subject: x509.Name,
    key: PrivateKey,
    by: Issued | None,
    extensions: list[tuple[x509.ExtensionType, bool]],
    days: float,
) -> Issued:
    now = datetime.now(UTC)
    signer = key if by is None else by.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * DAY)
        .not_valid_after(now + days * DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    issuers = () if by is None else (by.certificate, *by.issuers)
    return Issued(builder.sign(signer, digest), key, issuers)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
