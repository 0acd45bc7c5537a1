"""Making and judging the webhook's certificates: a small CA, and a leaf for the Service's name.

Pure but for the randomness of keys: `decide_material` says what a Secret shall hold, given what it holds and the time.
`kube/authority.py` carries it out. Certificates are renewed after two thirds of their life.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=90)
_BACKDATED = timedelta(hours=1)
"""So that a machine whose clock is behind ours accepts a new certificate."""
_SECRET_KEYS = ("ca.crt", "ca.key", "tls.crt", "tls.key")


@dataclass(frozen=True)
class Credentials:
    """What a server shows, and what its callers must trust, all of it PEM.

    `chain` is the leaf, followed by intermediates if there are any; `key` is the leaf's.
    """

    bundle: bytes
    chain: bytes
    key: bytes


@dataclass(frozen=True)
class Material:
    """What the Secret holds, all of it PEM."""

    ca: bytes
    ca_key: bytes
    leaf: bytes
    leaf_key: bytes

    @classmethod
    def of(cls, data: Mapping[str, str]) -> Material | None:
        """Read a Secret's `data`; None where it is incomplete."""
        try:
            return cls(*(base64.b64decode(data[key], validate=True) for key in _SECRET_KEYS))
        except (KeyError, ValueError):
            return None

    def data(self) -> dict[str, str]:
        """The `data` of a Secret that holds this."""
        values = (self.ca, self.ca_key, self.leaf, self.leaf_key)
        return {key: base64.b64encode(value).decode() for key, value in zip(_SECRET_KEYS, values, strict=True)}

    def credentials(self) -> Credentials:
        """What of it is served and published."""
        return Credentials(self.ca, self.leaf, self.leaf_key)


def decide_material(stored: Material | None, host: str, now: datetime) -> Material:
    """What the Secret shall hold: `stored` itself while it is good, else renewed as far as it needs to be.

    Whatever cannot be read, does not belong together or names another host than `host` is made anew.
    """
    if stored is None:
        return _made_anew(host, now)
    try:
        ca, ca_key = x509.load_pem_x509_certificate(stored.ca), _key_of(stored.ca_key)
        leaf, leaf_key = x509.load_pem_x509_certificate(stored.leaf), _key_of(stored.leaf_key)
    except (ValueError, TypeError):
        return _made_anew(host, now)
    if ca_key.public_key() != ca.public_key() or _is_due(ca, now):
        return _made_anew(host, now)
    belongs = _is_signed_by(leaf, ca) and leaf_key.public_key() == leaf.public_key()
    if belongs and _hosts_of(leaf) == [host] and not _is_due(leaf, now):
        return stored
    return _with_new_leaf(ca, ca_key, host, now)


def build_bundle_beside(bundle: bytes, published: bytes, now: datetime) -> bytes:
    """Build what is to be published: `bundle`, followed by what was `published` before it and is still valid.

    Of what was before, as many are kept as `bundle` has: one in the usual case. Whoever serves by one of those goes on
    being trusted. Built once more from what it returned, it is the same. Raises `ValueError` where `bundle` is no PEM.
    """
    wanted = certificates_of(bundle)
    try:
        before = certificates_of(published)
    except ValueError:
        before = []
    kept = [one for one in before if one not in wanted and now < one.not_valid_after_utc]
    return pem_of(*wanted, *kept[: len(wanted)])


def certificates_of(pem: bytes) -> list[x509.Certificate]:
    """Read one certificate or more. Raises `ValueError` where there is none, or one that cannot be read."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except x509.InvalidVersion as error:
        raise ValueError(str(error)) from error


def pem_of(*certificates: x509.Certificate) -> bytes:
    """Write them one after the other, and nothing else."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def _made_anew(host: str, now: datetime) -> Material:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name_of(f"statefulrollout webhook CA {now:%Y-%m-%d}")
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    ca = (
        _builder(subject, subject, key.public_key(), key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return _with_new_leaf(ca, key, host, now)


def _with_new_leaf(ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, host: str, now: datetime) -> Material:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = (
        _builder(ca.subject, _name_of(host), key.public_key(), ca_key.public_key(), now, LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return Material(pem_of(ca), _pem_of_key(ca_key), pem_of(leaf), _pem_of_key(key))


def _builder(
    issuer: x509.Name,
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _is_due(certificate: x509.Certificate, now: datetime) -> bool:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return not begin <= now < begin + (end - begin) * 2 / 3


def _is_signed_by(leaf: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _hosts_of(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName)


def _name_of(common_name: str) -> x509.Name:
    # A common name holds at most 64 characters; clients look at the alternative names only.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _key_of(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not an elliptic curve key")
    return key


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
