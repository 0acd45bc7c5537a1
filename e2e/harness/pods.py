"""A pod as the API server shows it, with the words in which rules are stated. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from e2e.harness.kubectl import Json
from statefulrollout.api import names


@dataclass(frozen=True)
class Pod:
    """One version of one pod."""

    raw: Json

    @property
    def name(self) -> str:
        return str(self.raw["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.raw["metadata"]["uid"])

    @property
    def ordinal(self) -> int:
        return int(self.name.rpartition("-")[2])

    @property
    def revision(self) -> str:
        return str(self.raw["metadata"].get("labels", {}).get(names.REVISION_LABEL, ""))

    @property
    def fenced(self) -> bool:
        """Whether the lid covers it."""
        labels: dict[str, str] = self.raw["metadata"].get("labels", {})
        return labels.get(names.FENCED_LABEL) == "true"

    @property
    def gated(self) -> bool:
        """Whether our gate decides on its readiness, too."""
        gates = self.raw["spec"].get("readinessGates", ())
        return any(gate["conditionType"] == names.SERVING for gate in gates)

    @property
    def terminating(self) -> bool:
        return "deletionTimestamp" in self.raw["metadata"]

    @property
    def finished(self) -> bool:
        """Whether its containers have ended for good."""
        return self.raw["status"].get("phase") in ("Failed", "Succeeded")

    @property
    def ready(self) -> bool:
        """Whether Services send to it."""
        return self.is_true("Ready") and not self.terminating

    @property
    def leaves_for(self) -> str:
        """The revision, or the scale-down, that it was taken out of service for; empty while it serves."""
        return str(self._facts.get("wanted", ""))

    @property
    def stuck(self) -> bool:
        """Whether it was chosen because it was broken, so that nothing could be asked of it."""
        return bool(self._facts.get("stuck"))

    @property
    def fact_containers(self) -> dict[str, str]:
        """The containers that what is written on it was true for: name to ID."""
        return dict(self._facts.get("containers", {}))

    @property
    def containers(self) -> dict[str, str]:
        """Its containers: name to ID."""
        return {each["name"]: each.get("containerID", "") for each in self.raw["status"].get("containerStatuses", ())}

    @property
    def images(self) -> dict[str, str]:
        """The images that its containers shall have."""
        return {container["name"]: container["image"] for container in self.raw["spec"]["containers"]}

    @property
    def running_containers(self) -> dict[str, str]:
        """Those of them that run; one that has died keeps its ID until it is started again."""
        statuses = self.raw["status"].get("containerStatuses", ())
        return {each["name"]: each["containerID"] for each in statuses if "running" in each["state"]}

    @property
    def running_since(self) -> float:
        """When the last of its containers began to run, in seconds since the epoch."""
        running = [each["state"]["running"] for each in self.raw["status"]["containerStatuses"]]
        return max(datetime.fromisoformat(each["startedAt"]).timestamp() for each in running)

    @property
    def restarts(self) -> int:
        return sum(each["restartCount"] for each in self.raw["status"].get("containerStatuses", ()))

    @property
    def node(self) -> str:
        return str(self.raw["spec"].get("nodeName", ""))

    def is_true(self, condition: str) -> bool:
        """Whether it has this condition, and it is True."""
        conditions = self.raw["status"].get("conditions", ())
        return any(each["type"] == condition and each["status"] == "True" for each in conditions)

    def since(self, condition: str) -> float | None:
        """When the condition last changed, in whole seconds since the epoch; None where the status does not say."""
        conditions = self.raw["status"].get("conditions", ())
        found = (
            each["lastTransitionTime"]
            for each in conditions
            if each["type"] == condition
            if "lastTransitionTime" in each
        )
        written = next(found, None)
        return None if written is None else datetime.fromisoformat(written).timestamp()

    @property
    def _facts(self) -> Json:
        facts: Json = json.loads(self.raw["metadata"].get("annotations", {}).get(names.FACTS_ANNOTATION, "{}"))
        return facts

    def __str__(self) -> str:
        """One line for a human."""
        conditions = [
            each["type"].rpartition("/")[2]
            for each in self.raw["status"].get("conditions", ())
            if each["status"] == "True" and each["type"] in (*names.POD_CONDITIONS, "Ready")
        ]
        words = [self.name, self.revision, *conditions, f"restarts={self.restarts}"]
        if self.leaves_for:
            words.append(f"leaves-for={self.leaves_for}")
        return " ".join([*words, "terminating"] if self.terminating else words)
