"""Namespaces of scenarios: each has its own, and each must be possible to delete, whatever the operator did in it."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field

from e2e.harness.kubectl import Kubectl

LONGEST_WORDS = 44
GONE_SECONDS = 120


@dataclass
class Namespaces:
    """The namespaces that were made, and whether they went."""

    kubectl: Kubectl
    deleted: list[str] = field(default_factory=list)

    def create(self, test: str) -> str:
        """Make one, named after the scenario."""
        words = re.sub(r"[^a-z0-9]+", "-", test.removeprefix("test_"))[:LONGEST_WORDS].strip("-")
        name = f"e2e-{words}-{uuid.uuid4().hex[:6]}"
        self.kubectl.run("create", "namespace", name)
        return name

    def delete(self, name: str) -> None:
        """Delete one without waiting: that takes as long as its pods take to stop."""
        self.kubectl.run("delete", "namespace", name, "--wait=false")
        self.deleted.append(name)

    def await_gone(self, within: float = GONE_SECONDS) -> None:
        """Wait until every one that was deleted is gone (I14: nobody is stranded). Raises CommandFailedError."""
        if self.deleted:
            names = [f"namespace/{name}" for name in self.deleted]
            self.kubectl.run("wait", "--for=delete", *names, f"--timeout={within:.0f}s", seconds=within + 30)
