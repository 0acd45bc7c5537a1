"""The webhook's certificates from outside: what is stored, what the API server trusts, what each replica serves."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from e2e.harness.installation import NAMESPACE
from e2e.harness.kubectl import Kubectl
from statefulrollout.kube.pki import CA_LIFE, Material, decide_material

NAME = "statefulrollout-webhook"
"""Of the Secret, the Service and both configurations."""
HOST = f"{NAME}.{NAMESPACE}.svc"
PORT = 9443
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Sight:
    """One look: the serial numbers of the CAs that are trusted, and of the leaf that each replica serves."""

    at: float
    trusted: tuple[int, ...]
    served: tuple[int, ...]


def build_ageing(due: datetime) -> Material:
    """A CA that has to be renewed from this moment on, and goes on to be valid for years; its leaf is fresh."""
    made = due - CA_LIFE * 2 / 3
    ca = x509.load_pem_x509_certificate(decide_material(None, HOST, made).ca)
    begin, end = ca.not_valid_before_utc, ca.not_valid_after_utc
    made += due - (begin + (end - begin) * 2 / 3)
    return decide_material(decide_material(None, HOST, made), HOST, datetime.now(UTC))


def store(kubectl: Kubectl, material: Material) -> None:
    """Put them in the place of those that are stored; they count once a replica looks."""
    patch = json.dumps({"data": material.data()})
    kubectl.run("patch", "secret", NAME, "-n", NAMESPACE, "--type=merge", "-p", patch)


def serials_of(pem: bytes) -> tuple[int, ...]:
    """The serial numbers of the certificates in a PEM file."""
    return tuple(each.serial_number for each in x509.load_pem_x509_certificates(pem))


@contextmanager
def watching(kubectl: Kubectl, replicas: Sequence[str]) -> Iterator[list[Sight]]:
    """Look twice a second, for as long as the context lasts; only looks that differ from the one before are kept."""
    sights: list[Sight] = []
    over = threading.Event()
    with ExitStack() as stack:
        ports = [stack.enter_context(_forwarding(kubectl, replica)) for replica in replicas]

        def look() -> None:
            while not over.is_set():
                served = tuple(
                    serials_of(ssl.get_server_certificate(("127.0.0.1", port)).encode())[0] for port in ports
                )
                sight = Sight(time.time(), _trusted(kubectl), served)
                if not sights or (sights[-1].trusted, sights[-1].served) != (sight.trusted, sight.served):
                    sights.append(sight)
                over.wait(LOOK_SECONDS)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield sights
        finally:
            over.set()
            thread.join()


def _trusted(kubectl: Kubectl) -> tuple[int, ...]:
    bundle = kubectl.run("get", "validatingwebhookconfiguration", NAME, "-o",
                         "jsonpath={.webhooks[0].clientConfig.caBundle}")  # fmt: skip
    return serials_of(base64.b64decode(bundle))


@contextmanager
def _forwarding(kubectl: Kubectl, pod: str) -> Iterator[int]:
    """A local port that leads to a replica's webhook."""
    argv = [
        str(kubectl.program),
        "--kubeconfig",
        str(kubectl.kubeconfig),
        "port-forward",
        "-n",
        NAMESPACE,
        f"pod/{pod}",
    ]
    with subprocess.Popen([*argv, f":{PORT}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield int(line.partition(" -> ")[0].rpartition(":")[2])
        finally:
            process.terminate()
            process.communicate()
