"""The cluster that benchmarks run on, with the operator as its chart installs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from e2e.harness.api import Api
from e2e.harness.installation import Installation
from e2e.harness.kubectl import Kubectl
from e2e.harness.namespaces import Namespaces

LONGEST_SECONDS = 1200.0
"""For what grows with the number of pods: until all of them serve, or have gone."""


@dataclass(frozen=True)
class Cluster:
    """What every benchmark works with."""

    kubectl: Kubectl
    api: Api
    installation: Installation
    namespaces: Namespaces

    @contextmanager
    def namespace(self, words: str) -> Iterator[str]:
        """A namespace for as long as the context lasts; afterwards it is gone. Raises CommandFailedError."""
        name = self.namespaces.create(words)
        try:
            yield name
        finally:
            self.namespaces.delete(name)
            self.namespaces.await_gone(LONGEST_SECONDS)
