"""The webhook's TLS: the context that it serves with, and a rehearsal of what the API server will do.

Whether credentials are good is not judged by rules of our own. A caller that trusts their bundle and nothing else
shakes hands with them in memory, by the code that serves: chain, name, time, usages and kind of key are judged in one
go, and no less strictly than by the API server (docs/adr/0015).
"""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from pathlib import Path

from statefulrollout.kube.pki import Credentials


class LiveContext:
    """A TLS context whose credentials are replaced while it serves.

    A context of OpenSSL keeps one certificate for each kind of key, and would go on showing an old RSA one beside a new
    ECDSA one. So every handshake is switched to a context that knows the newest only.

    Attributes:
        context: what to serve with; handshakes fail until there are credentials.
    """

    def __init__(self) -> None:
        self.context = _build_context()
        self.context.sni_callback = self._switch
        self._newest: ssl.SSLContext | None = None

    def serve(self, credentials: Credentials) -> None:
        """Show them in handshakes from now on; raises `ssl.SSLError` where they cannot be served."""
        self._newest = _build_context(credentials)

    def _switch(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
        if self._newest is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._newest
        return None


def rehearse(credentials: Credentials, host: str) -> None:
    """Call `host` in memory as the API server will, at this time; returns where it would be content.

    Raises:
        ssl.SSLCertVerificationError: the caller would refuse.
        ssl.SSLError: they cannot be served at all.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.hostname_checks_common_name = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cadata=credentials.bundle.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    called = _build_context(credentials).wrap_bio(to_server, to_client, server_side=True)
    caller = client.wrap_bio(to_client, to_server, server_hostname=host)
    while True:
        try:
            caller.do_handshake()
        except ssl.SSLWantReadError:
            with contextlib.suppress(ssl.SSLWantReadError):
                called.do_handshake()
        else:
            return


def _build_context(credentials: Credentials | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if credentials is not None:
        # OpenSSL reads chains from files only; they live for the moment of reading, in a directory of our own.
        with tempfile.TemporaryDirectory() as directory:
            chain, key = Path(directory, "tls.crt"), Path(directory, "tls.key")
            chain.write_bytes(credentials.chain)
            key.write_bytes(credentials.key)
            context.load_cert_chain(chain, key)
    return context
