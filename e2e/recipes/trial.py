"""One system in a namespace of its own, rolled under its client, by StatefulRollout or by Kubernetes alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from e2e.harness.api import Api
from e2e.harness.completion import is_rolled_out
from e2e.harness.invariants import broken_invariants, is_observed
from e2e.harness.journal import PODS, ROLLOUTS, STATEFUL_SETS, Change, Journal
from e2e.harness.kubectl import Json, Kubectl, list_of
from e2e.harness.load import LoadClient
from e2e.harness.pods import Pod
from e2e.load.manifests import build_client
from e2e.recipes.page import Page, with_images
from statefulrollout.api import names

CLIENT = "client"
CLIENTS_IMAGE = "recipe-clients:dev"
CLIENT_RESOURCES: Json = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
PATIENCE_SECONDS = 300.0
RESULTS = Path(__file__).resolve().parents[2] / "build" / "recipes"

Found = TypeVar("Found")


@dataclass(frozen=True)
class Recipe:
    """What a trial needs beside the page.

    Attributes:
        page: what is applied.
        images: for each image on the page, the one of the same program that the e2e suite has built.
        client: module of e2e.recipes.clients that is the system's client.
        arguments: what it is told.
        more: objects beside those of the page, such as what is settled once by hand.
    """

    page: Page
    images: dict[str, str]
    client: str
    arguments: tuple[str, ...] = ()
    more: tuple[Json, ...] = ()


@dataclass
class Trial:
    """A system under its client."""

    kubectl: Kubectl
    api: Api
    journal: Journal
    recipe: Recipe
    rolled: bool
    scenario: str
    figures: Json = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return self.journal.namespace

    @property
    def name(self) -> str:
        """The name of the StatefulSet."""
        return str(self.recipe.page.stateful_set["metadata"]["name"])

    @property
    def rollout(self) -> Json:
        return self.journal.find(ROLLOUTS, self.recipe.page.rollout["metadata"]["name"]) or {}

    @property
    def stateful_set(self) -> Json:
        return self.journal.find(STATEFUL_SETS, self.name) or {}

    @property
    def pods(self) -> list[Pod]:
        """The system's pods, by name."""
        return [Pod(item) for item in self.journal.items(PODS) if self._is_own_pod(item["metadata"]["name"])]

    @property
    def client(self) -> LoadClient:
        """The control port of the client; its figures are those of `clients.control.Figures`."""
        return LoadClient(self.api, self.namespace, CLIENT)

    def open(self) -> None:
        """Apply everything, and wait until the system is settled and its client uses it.

        The StatefulRollout comes first: a pod that is created before it is known has no gate.
        """
        recipe = self.recipe
        if self.rolled:
            self.kubectl.run("apply", "-n", self.namespace, "-f", "-", stdin=list_of([recipe.page.rollout]))
            self.wait("the StatefulRollout to be seen", lambda: self.rollout and is_observed(self.rollout))
        wanted = [each for each in recipe.page.objects if each["kind"] != names.KIND]
        objects = with_images((*wanted, *recipe.more), recipe.images)
        self.kubectl.run("apply", "-n", self.namespace, "-f", "-", stdin=list_of(objects))
        self.await_complete()
        arguments = (f"e2e.recipes.clients.{recipe.client}", *recipe.arguments)
        self.kubectl.apply(
            build_client(CLIENT, self.namespace, "recipe-client", CLIENTS_IMAGE, arguments, CLIENT_RESOURCES)
        )
        self.wait("the client to use the system", lambda: _is_ready(self.journal.find(PODS, CLIENT)))

    def roll_out(self, times: int = 1) -> None:
        """`kubectl rollout restart`, and wait until it is over; so many times."""
        for _ in range(times):
            before = self._wanted
            self.kubectl.run("rollout", "restart", "statefulset", self.name, "-n", self.namespace)
            self.wait("the template's new revision", lambda before=before: self._wanted != before)  # type: ignore[misc]
            self.await_complete()

    def finish(self) -> Json:
        """End the client's work; returns its figures, and keeps them under build/recipes."""
        self.figures = self.client.finish()
        RESULTS.mkdir(parents=True, exist_ok=True)
        kept = {"rolledBy": names.KIND if self.rolled else "Kubernetes alone", **self.figures}
        (RESULTS / f"{self.scenario}.json").write_text(json.dumps(kept, indent=1) + "\n")
        return self.figures

    def assert_nobody_noticed(self) -> None:
        """End the client's work: nothing failed, nothing is lost, and no invariant was broken."""
        figures = self.finish()
        assert figures["requests"], "the client asked for nothing: nothing was measured"
        noticed = {name: figures[name] for name in ("failed", "lost", "errors") if figures[name]}
        assert not noticed, f"of {figures['requests']} requests: {noticed}"
        broken = broken_invariants(self._own_history(), set(), self.journal.gaps)
        assert not broken, "broken invariants:\n" + "\n".join(broken)

    def await_complete(self) -> None:
        """Wait until every pod is at the template's revision and serves, and whoever rolls says so."""
        self.wait("the rollout to be complete", self.is_complete)

    def is_complete(self) -> bool:
        """Whether the rollout of the template is over, by what everybody says."""
        return is_rolled_out(self.stateful_set, self.pods, self.rollout if self.rolled else None)

    def wait(self, what: str, probe: Callable[[], Found | None], seconds: float = PATIENCE_SECONDS) -> Found:
        """Wait until `probe` is true, and return what it returned."""
        return self.journal.wait(what, probe, seconds, self.describe)

    def describe(self) -> str:
        """All of it in a few lines, for a message."""
        status = self.rollout.get("status", {})
        return "\n".join([f"{status.get('phase')}: {status.get('message')}", *map(str, self.pods)])

    @property
    def _wanted(self) -> str:
        return str(self.stateful_set.get("status", {}).get("updateRevision", ""))

    def _own_history(self) -> list[Change]:
        own = {self.name, self.recipe.page.rollout["metadata"]["name"]}
        return [
            change
            for change in self.journal.history()
            if (self._is_own_pod(change.name) if change.plural == PODS else change.name in own)
        ]

    def _is_own_pod(self, name: str) -> bool:
        return re.fullmatch(rf"{re.escape(self.name)}-\d+", name) is not None


def _is_ready(pod: Json | None) -> bool:
    return pod is not None and Pod(pod).ready
