"""A Secret that others keep as the source of the webhook's certificates: cert-manager, or a user.

It is only ever read, and checked before anything of it is used.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from statefulrollout.errors import NotFound, UnusableSecret
from statefulrollout.kube import paths
from statefulrollout.kube.client import Kube
from statefulrollout.kube.pki import Credentials, certificates_of, pem_of
from statefulrollout.kube.tls import rehearse

_SECRET_KEYS = ("ca.crt", "tls.crt", "tls.key")
_RENEW = "renew tls.crt, or what in ca.crt it was issued by; see why whoever keeps the Secret did not"
# By OpenSSL's X509_V_ERR_*, which Python's ssl has no names for.
_REMEDIES = {
    9: _RENEW,  # not yet valid
    10: _RENEW,  # expired
    26: "issue tls.crt with the usage server auth",  # invalid purpose
    62: "issue tls.crt with the DNS name {host}",  # hostname mismatch
}
_OTHER_REMEDY = "ca.crt must hold the CA that issued tls.crt; intermediates follow the certificate in tls.crt"


class ForeignSecret:
    """The certificate for `host` in a Secret of the type kubernetes.io/tls, with its authority in `ca.crt`."""

    def __init__(
        self,
        kube: Kube,
        *,
        namespace: str,
        secret: str,
        host: str,
    ):
        self._kube = kube
        self._name = f"{namespace}/{secret}"
        self._path = paths.secrets(namespace, secret)
        self._host = host

    async def obtain(self) -> Credentials:
        """Read and check it; raises `KubeError` where it cannot be read, `UnusableSecret` where it is not good."""
        try:
            secret = await self._kube.call("GET", self._path)
        except NotFound as error:
            raise UnusableSecret(
                f"Secret {self._name} does not exist",
                remedy="create it, or correct webhook.existingSecret of the chart",
            ) from error
        values = {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
        return read_credentials(values, secret=self._name, host=self._host)


def read_credentials(values: Mapping[str, bytes], *, secret: str, host: str) -> Credentials:
    """Take from the values of `secret` what a caller of `host` would accept now; raises `UnusableSecret` where none."""
    missing = [key for key in _SECRET_KEYS if not values.get(key)]
    if missing:
        raise UnusableSecret(
            f"Secret {secret} has no {' and no '.join(missing)}",
            remedy=f"it needs {', '.join(_SECRET_KEYS)}; an issuer that writes no ca.crt (ACME) will not do",
        )
    authorities, chain = (_certificates_in(values, key, secret) for key in ("ca.crt", "tls.crt"))
    try:
        key = serialization.load_pem_private_key(values["tls.key"], password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnusableSecret(
            f"Secret {secret}: tls.key cannot be read", remedy="tls.key must be the private key as PEM, not encrypted"
        ) from error
    if key.public_key() != chain[0].public_key():
        raise UnusableSecret(
            f"Secret {secret}: tls.key does not belong to the first certificate of tls.crt",
            remedy="write both together, the server's own certificate first and its intermediates behind it",
        )
    credentials = Credentials(pem_of(*authorities), pem_of(*chain), values["tls.key"])
    try:
        rehearse(credentials, host)
    except ssl.SSLCertVerificationError as error:
        raise UnusableSecret(
            f"Secret {secret}: whoever trusts its ca.crt refuses its tls.crt: {error.verify_message}",
            remedy=_REMEDIES.get(error.verify_code, _OTHER_REMEDY).format(host=host),
        ) from error
    except ssl.SSLError as error:
        raise UnusableSecret(
            f"Secret {secret}: tls.crt cannot be served with tls.key: {error.reason or error}",
            remedy="issue it with an RSA key of 2048 bits or more, ECDSA on P-256, P-384 or P-521, or Ed25519",
        ) from error
    return credentials


def _certificates_in(values: Mapping[str, bytes], key: str, secret: str) -> list[x509.Certificate]:
    try:
        return certificates_of(values[key])
    except ValueError as error:
        raise UnusableSecret(
            f"Secret {secret}: {key} cannot be read", remedy=f"{key} must be one certificate or more, as PEM"
        ) from error
