"""Rules about who may act, and on what: I4, I11, I12."""

from __future__ import annotations

from collections.abc import Callable

from statefulrollout.api import names
from tests.simulation.world.apiserver import OPERATOR
from tests.simulation.world.invariants.base import SCALE_DOWN, Rule, leaves_for
from tests.simulation.world.invariants.informed import Informed, Read
from tests.simulation.world.objects import ordinal_of
from tests.simulation.world.podtemplate import revision_of
from tests.simulation.world.rest import Request
from tests.simulation.world.world import NAMESPACE

GUARDED = ("pods", "statefulsets", names.LEDGER_PLURAL)
"""What only the leader writes; events harm nobody, and a status is a compare-and-swap."""


class _Departures(Informed):
    """Judges whoever takes a pod out of service so that it leaves."""

    def judge(self, request: Request, read: Read) -> str | None:
        pod = self.world.server.find("pods", NAMESPACE, request.name)
        if request.method != "PATCH" or pod is None or request.before is None:
            return None
        before, after = leaves_for(request.before), leaves_for(pod)
        return self._problem(request, read, after) if after and not before else None

    def _problem(self, request: Request, read: Read, wanted: str) -> str | None:
        raise NotImplementedError


class I4Paused(_Departures):
    """Nothing new moves while the rollout is paused, or after the object is gone."""

    def _problem(self, request: Request, read: Read, wanted: str) -> str | None:
        if not read.exists:
            return f"{request.name} was taken out of service, and there is no StatefulRollout"
        if read.paused and wanted != SCALE_DOWN:
            return f"{request.name} was taken out of service for {wanted} while the rollout was paused"
        return None


class I11Outdated(_Departures):
    """Nobody leaves but for another revision, or because a scale-down wants it: a new operator starts no rollout."""

    def _problem(self, request: Request, read: Read, wanted: str) -> str | None:
        pod = self.world.server.get("pods", NAMESPACE, request.name)
        if wanted == SCALE_DOWN and ordinal_of(request.name) not in read.ordinals:
            return None
        if wanted == read.wanted and revision_of(pod) != wanted:
            return None
        return f"{request.name} at {revision_of(pod)} leaves for {wanted}, and {read.wanted} is wanted"


class I12OneLeader(Rule):
    """At most one replica leads, and nobody writes who does not believe that it leads.

    `leaders` counts the replicas that believe it at this moment.
    """

    def __init__(self, leaders: Callable[[], int]) -> None:
        self._leaders = leaders

    def on_request(self, request: Request) -> str | None:
        if request.who != OPERATOR or not request.writes or request.plural not in GUARDED:
            return None
        if not request.led:
            return f"{request} was sent by a replica that did not lead"
        leaders = self._leaders()
        return f"{leaders} replicas lead" if leaders > 1 else None
