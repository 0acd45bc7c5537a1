"""Rules about who may act, and on what: I4, I11, I12."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from statefulrollout.api import names
from tests.simulation.world.apiserver import OPERATOR
from tests.simulation.world.invariants.base import EVICTION, SCALE_DOWN, Rule, is_ready, leaves_for, resolved
from tests.simulation.world.invariants.informed import Informed, Read
from tests.simulation.world.objects import epoch_of, ordinal_of
from tests.simulation.world.podtemplate import revision_of
from tests.simulation.world.rest import Request
from tests.simulation.world.world import NAME, NAMESPACE

ASKED_SECONDS = 95.0
"""For how long an eviction is wanted after it was asked for, and a few seconds of a pass."""
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
    """Nothing new moves while paused, outside a window, unprepared, past an unpromoted step, or after the object is
    gone.
    """

    def _problem(self, request: Request, read: Read, wanted: str) -> str | None:
        if not read.spec:
            return f"{request.name} was taken out of service, and there is no StatefulRollout"
        if wanted in (SCALE_DOWN, EVICTION):
            return None
        if read.spec.get("paused"):
            return f"{request.name} was taken out of service for {wanted} while the rollout was paused"
        if wanted != read.wanted or wanted == read.accepted:
            return None
        served = request.before is not None and is_ready(request.before)
        if served and not _is_open(read.strategy.get("windows", []), request.at):
            return f"{request.name} was taken out of service outside every window"
        application, overridden = self.world.application, (read.spec.get("override") or {}).get("guards", ())
        bound = served and read.spec.get("beforeRollout") and "rollout_is_prepared" not in overridden
        if bound and not application.was_prepared(request.at) and not application.has_lied("prepare"):
            return f"{request.name} was taken out of service before the rollout was prepared"
        allowed = _promoted_total(read)
        pods = [pod for pod in self.world.pods() if ordinal_of(pod["metadata"]["name"]) in read.ordinals]
        moved = sum(wanted in (revision_of(pod), leaves_for(pod)) for pod in pods)
        if allowed is not None and moved > allowed:
            return f"{request.name} is number {moved} to leave for {wanted}, and {allowed} were promoted"
        return None


def _is_open(windows: list[Mapping[str, Any]], now: float) -> bool:
    """Of windows that open every so many minutes."""
    for window in windows:
        period = 60.0 * int(window["schedule"].split()[0].removeprefix("*/"))
        if now % period < window["durationSeconds"]:
            return True
    return not windows


def _promoted_total(read: Read) -> int | None:
    """The first step at which only the user lets the rollout go on; None where there is none left."""
    promote = read.spec.get("promote") or {}
    passed = promote["step"] if promote.get("revision") == read.wanted else 0
    steps = read.strategy.get("steps") or []
    waiting = (step for number, step in enumerate(steps, 1) if not step["pause"] and number > passed)
    first = next(waiting, None)
    return None if first is None else resolved(first["pods"], len(read.ordinals))


class I11Outdated(_Departures):
    """Nobody leaves but for another revision, or because a scale-down or somebody who evicts it wants it: a new
    operator starts no rollout.
    """

    def _problem(self, request: Request, read: Read, wanted: str) -> str | None:
        pod = self.world.server.get("pods", NAMESPACE, request.name)
        if wanted == SCALE_DOWN and ordinal_of(request.name) not in read.ordinals:
            return None
        asked = pod["metadata"].get("annotations", {}).get(names.EVICTION_ANNOTATION)
        if wanted == EVICTION and asked and request.at - epoch_of(asked) < ASKED_SECONDS:
            return None
        if wanted == read.wanted and revision_of(pod) != wanted:
            return None
        if wanted == read.accepted and revision_of(pod) != wanted and self._is_given_up(read):
            return None
        return f"{request.name} at {revision_of(pod)} leaves for {wanted}, and {read.wanted} is wanted"

    def _is_given_up(self, read: Read) -> bool:
        ledger = self.world.server.find(names.LEDGER_PLURAL, NAMESPACE, NAME)
        failed = (ledger["spec"].get("failed") or []) if ledger else []
        always = read.strategy.get("onFailure") == "Rollback"
        rolls_back = any(each["revision"] == read.wanted and (always or each.get("givesUp")) for each in failed)
        return rolls_back or (read.spec.get("abort") or {}).get("revision") == read.wanted


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
