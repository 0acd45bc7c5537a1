"""Turns the hooks of a spec into asks: whom to address, what to send, under which identity.

The address is always one the operator selected: pods of the set, or a Service of the namespace that selects pods.
Strings may use `${pod.name}`, `${pod.ip}` and `${pod.ordinal}`, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from statefulrollout.api import names
from statefulrollout.api.v1alpha1 import (
    Call,
    Check,
    Exec,
    Hook,
    Http,
    Membership,
    Target,
)
from statefulrollout.core import membership
from statefulrollout.core.asks import Address, Ask, Measure, Request
from statefulrollout.core.containers import identity_of
from statefulrollout.core.goal import goal_of
from statefulrollout.core.ledger import Declaration, OpenHook, Prepared
from statefulrollout.core.membership import Roster
from statefulrollout.core.snapshot import PodView, Snapshot
from statefulrollout.core.stages import Place, Stage
from statefulrollout.core.templates import filled_in
from statefulrollout.core.timestamps import timestamp

REQUEST = TypeAdapter(Request)
WITH_DOCUMENT = frozenset({"POST", "PUT", "PATCH"})
"""Methods that carry the operator's document where the spec gives no body."""


@dataclass(frozen=True)
class Surroundings:
    """What every question about one rollout has in common."""

    snapshot: Snapshot
    places: Sequence[Place]
    roster: Roster

    def peers(self, pod: PodView | None) -> list[PodView]:
        """Every other pod that is up, serving ones first, and of these those of the goal."""
        goal = goal_of(self.snapshot)

        def rank(place: Place) -> tuple[bool, bool, int]:
            return (place.stage not in membership.STAYING, place.pod.revision != goal, place.pod.ordinal)

        able = [place for place in self.places if place.pod.containers_ready and place.pod.ip]
        return [place.pod for place in sorted(able, key=rank) if pod is None or place.pod.uid != pod.uid]


def fill_in(text: str, pod: PodView | None) -> str:
    """Replace the three templates by what they stand for."""
    if pod is None:
        return text
    return filled_in(text, name=pod.name, ip=pod.ip, ordinal=str(pod.ordinal))


def request_of(
    around: Surroundings,
    call: Call,
    pod: PodView | None,
    document: Mapping[str, Any],
    to: Sequence[PodView] | None = None,
) -> Request:
    """The call with its addresses; `to` overrides whom its target would select."""
    what = _filled_in(call.what, pod)
    body = what.body if isinstance(what, Http) else None
    if body is None and (isinstance(what, Exec) or what.method in WITH_DOCUMENT):
        body = json.dumps(document, separators=(",", ":"))
    return Request(
        what=what.model_copy(update={"body": None}) if isinstance(what, Http) else what,
        to=_addresses_of(around, call, pod, to),
        timeout_seconds=call.timeout_seconds,
        body=body,
    )


def _filled_in(what: Http | Exec, pod: PodView | None) -> Http | Exec:
    if isinstance(what, Exec):
        return what.model_copy(update={"command": [fill_in(word, pod) for word in what.command]})
    return what.model_copy(
        update={
            "path": fill_in(what.path, pod),
            "headers": {name: fill_in(value, pod) for name, value in what.headers.items()},
            "body": None if what.body is None else fill_in(what.body, pod),
        }
    )


def _addresses_of(
    around: Surroundings, call: Call, pod: PodView | None, to: Sequence[PodView] | None
) -> tuple[Address, ...]:
    port = call.http.port if call.http else 0
    if call.target is Target.SERVICE:
        service = around.snapshot.services.get(call.service.name if call.service else "")
        if service is None:
            return ()
        number = port if isinstance(port, int) else service.ports.get(port, 0)
        return (Address(f"service {service.name}", service.host, number),)
    if to is None:
        if call.target is Target.POD and pod is not None:
            to = [pod]
        else:
            peers = around.peers(pod)
            to = peers[:1] if call.target is Target.ANY_PEER else peers
    target = around.snapshot.target
    declared = target.port_numbers if target else {}

    def number_of(peer: PodView) -> int:
        # A pod of an older revision may not have the name yet: then the template's number is the best guess.
        return port if isinstance(port, int) else peer.ports.get(port) or declared.get(port, 0)

    return tuple(Address(peer.name, peer.ip, number_of(peer), peer.uid) for peer in to)


def document_of(
    around: Surroundings, title: str, identity: str, deadline: float | None, pod: PodView | None
) -> dict[str, Any]:
    """The JSON document that a hook or check receives; `deadline` is in seconds since the epoch, None for a check."""
    rollout = around.snapshot.rollout
    document: dict[str, Any] = {
        "apiVersion": names.HOOKS_API_VERSION,
        "hook": title,
        "id": identity,
        "rollout": {
            "namespace": rollout.namespace,
            "name": rollout.name,
            "revision": goal_of(around.snapshot),
        },
        "members": membership.document_of(
            around.snapshot, around.roster, around.snapshot.ledger.declaration.generation
        ),
    }
    if deadline is not None:
        document["deadline"] = timestamp(deadline)
    if pod is not None:
        document["pod"] = pod_document_of(pod)
    return document


def pod_document_of(pod: PodView) -> dict[str, Any]:
    """The pod as hooks and expressions see it."""
    return {
        "name": pod.name,
        "uid": pod.uid,
        "ip": pod.ip,
        "ordinal": pod.ordinal,
        "node": pod.node,
        "revision": pod.revision,
    }


def hook_id_of(snapshot: Snapshot, place: Place, title: str) -> str:
    """Identity of a pod's hook: its UID, what it leaves for or came back at, and its containers.

    A container that restarted has forgotten what it was told: it is another question.
    """
    purpose = place.pod.facts.wanted if place.pod.facts and place.pod.facts.wanted else place.pod.revision
    return f"{place.pod.uid}/{purpose}/{title}/{digest_of(sorted(identity_of(snapshot, place.pod).values()))}"


def digest_of(parts: Sequence[str]) -> str:
    """A short name for a list of strings."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def ask_of_hook(around: Surroundings, place: Place, title: str, hook: Hook, since: float) -> Ask:
    """The question that a pod's hook is, begun at `since`."""
    identity = hook_id_of(around.snapshot, place, title)
    document = document_of(around, title, identity.rpartition("/")[0], since + hook.deadline_seconds, place.pod)
    done = hook.done
    return Ask(
        id=identity,
        title=title,
        request=request_of(around, hook.apply, place.pod, document),
        expect=hook.expect,
        progress=hook.progress,
        settle_seconds=hook.settle_seconds,
        done=done,
        done_request=request_of(around, done.call, place.pod, document) if done else None,
        stable_for_seconds=done.stable_for_seconds if done else 0,
        variables={"pod": pod_document_of(place.pod), "members": document["members"]},
    )


def open_hook_of(around: Surroundings, place: Place, title: str, hook: Hook, now: float) -> OpenHook:
    """What the ledger remembers of a hook before it is begun: on whom, and the resolved call that undoes it."""
    identity = hook_id_of(around.snapshot, place, title)
    document = document_of(around, f"undo-{title}", identity.rpartition("/")[0], now + hook.deadline_seconds, place.pod)
    undo = request_of(around, hook.undo, place.pod, document) if hook.undo else None
    return OpenHook(
        id=identity,
        hook=title,
        pod=place.pod.name,
        uid=place.pod.uid,
        since=now,
        undo=REQUEST.dump_python(undo, mode="json") if undo else None,
    )


def ask_of_undo(entry: OpenHook | Prepared) -> Ask | None:
    """The question that takes a begun hook back; None where the hook has no undo."""
    if entry.undo is None:
        return None
    what = entry.hook if isinstance(entry, OpenHook) else entry.name
    return Ask(id=f"undo/{entry.id}", title=f"undo of {what}", request=REQUEST.validate_python(entry.undo))


def addressed_anew(
    around: Surroundings, undo: dict[str, Any] | None, call: Call | None, pod: PodView | None
) -> dict[str, Any] | None:
    """A remembered undo without anybody who is gone: whoever the call addresses now is asked in their place.

    One that goes to all peers goes to those that came since as well: what was told may be on the volume they came with.

    Args:
        around: the pods that there are.
        undo: the resolved call, as the ledger keeps it.
        call: the same as the spec has it now; None where it does not any more.
        pod: the pod that the hook is about, where there is one still.

    Returns:
        None where nobody is left to tell.
    """
    if undo is None:
        return None
    pods, request = [place.pod for place in around.places], REQUEST.validate_python(undo)
    kept = _present_of(request, pods)
    if call is None or call.target is Target.POD:
        return _sent_to(undo, request, kept) if kept else None
    if call.target is not Target.PEERS and request.to and kept == request.to:
        return undo
    if to := _addresses_of(around, call, pod, None):
        return _sent_to(undo, request, to)
    # Where nobody can be asked now, somebody will be. But a pod must not wait for others that wait for it.
    alone = pod is not None and call.target is not Target.SERVICE and all(other.uid == pod.uid for other in pods)
    return None if alone else undo


def without_the_gone(undo: dict[str, Any] | None, pods: Iterable[PodView]) -> dict[str, Any] | None:
    """A remembered undo that goes to those of `pods` only, and to a Service; None where nobody is left to tell."""
    if undo is None:
        return None
    request = REQUEST.validate_python(undo)
    kept = _present_of(request, pods)
    return _sent_to(undo, request, kept) if kept else None


def _present_of(request: Request, pods: Iterable[PodView]) -> tuple[Address, ...]:
    present = {pod.uid for pod in pods}
    return tuple(address for address in request.to if not address.uid or address.uid in present)


def _sent_to(undo: dict[str, Any], request: Request, to: tuple[Address, ...]) -> dict[str, Any]:
    if {address.uid for address in to} == {address.uid for address in request.to}:
        return undo
    dumped: dict[str, Any] = REQUEST.dump_python(replace(request, to=to), mode="json")
    return dumped


def undo_reaches_others(entry: OpenHook) -> bool:
    """Whether somebody else than the pod itself was told, who outlives it."""
    ask = ask_of_undo(entry)
    return ask is not None and any(address.name != entry.pod for address in ask.request.to)


def membership_id_of(declaration: Declaration) -> str:
    """Identity of a declaration as told to one coordinator."""
    return f"membership/{declaration.generation}/{declaration.coordinator}"


def ask_of_membership(around: Surroundings, rules: Membership, declaration: Declaration) -> Ask:
    """The question that a declared membership is."""
    identity = membership_id_of(declaration)
    document = document_of(around, "membership", identity, declaration.at + rules.deadline_seconds, None)
    document["members"] = membership.document_of(around.snapshot, around.roster, declaration.generation)
    members = list(around.roster.members)
    if rules.apply.target is Target.ANY_PEER:
        members = [pod for pod in members if pod.uid == declaration.coordinator]
    return Ask(
        id=identity,
        title="membership",
        request=request_of(around, rules.apply, None, document, to=members),
        expect=rules.expect,
        progress=rules.progress,
        variables={"pod": {}, "members": document["members"]},
    )


def ask_of_check(around: Surroundings, check: Check) -> Ask:
    """The question that a check is, asked anew whenever the pods that serve change.

    A check is about the application: `Pod` means every serving pod, like `Peers`.
    """
    serving = [place.pod for place in around.places if place.stage in (Stage.SERVING, Stage.SOAKING, Stage.UPDATED)]
    identity = f"check/{check.name}/{digest_of(sorted(pod.uid for pod in serving))}"
    document = document_of(around, f"check-{check.name}", identity, None, None)
    to = None if check.call.target is Target.ANY_PEER else serving
    return Ask(
        id=identity,
        title=f"check {check.name}",
        request=request_of(around, check.call, None, document, to=to),
        expect=check.expect,
        fail_when=check.fail_when,
        measure=None if check.allow is None else Measure(check.allow, "names", "allow"),
        stable_for_seconds=check.stable_for_seconds,
        repeats=True,
        variables={"pod": {}, "members": document["members"]},
    )
