"""What wakes a rollout up: changes of StatefulRollouts, of their StatefulSets, and of the pods under the lid.

An event only ever means "look again"; nothing is decided here and nothing is written, by kopf neither (its handler
returns None). The projections say which changes are worth a look: what is not in them passes unnoticed until the
sweep. kopf hears the StatefulRollouts on the leader; our own reflector of them runs on every replica, because the
webhook needs to know the targets there, and hears as well the deletions that kopf loses when it has to list anew.
"""

from __future__ import annotations

import asyncio
import functools
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import kopf
from kopf._core.engines.peering import Identity

from statefulrollout.api import names
from statefulrollout.errors import StatefulRolloutError
from statefulrollout.kube import paths
from statefulrollout.kube.client import Json, Kube, newest
from statefulrollout.kube.known import Heard
from statefulrollout.kube.reflector import Key, Reflector, Scope
from statefulrollout.kube.views import controller_of

MOST_NEWS = 500
"""So many whole pods of a StatefulSet are kept until it is looked at; a list tells of more."""

Wake = Callable[[Key], None]


@dataclass(frozen=True)
class RolloutHint:
    """What a StatefulRollout says of itself, and itself as it was shown; `leaving` once somebody has deleted it."""

    target: str
    generation: int
    leaving: bool
    depends_on: frozenset[str] = frozenset()
    raw: Json = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class StatefulSetHint:
    """What of a StatefulSet is worth a look, and itself where a StatefulRollout names it.

    Of its counts that is only whether all are there, for whoever waits for it.
    """

    uid: str
    generation: int
    observed_generation: int
    revisions: tuple[str, str]
    leaving: bool
    whole: bool
    raw: Json | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class PodHint:
    """What of a pod is worth a look, and the StatefulSet that controls it; a new version alone is not."""

    owner: str
    version: str = field(compare=False)
    uid: str
    leaving: bool
    eviction: str
    phase: str
    ip: str
    conditions: frozenset[tuple[str, str, str]]
    containers: frozenset[tuple[str, str, bool, str]]


class Sources:
    """The three reflectors, and the way from an event to the StatefulSet it concerns: the key of all work.

    Attributes:
        rollouts: every StatefulRollout; runs on every replica.
        stateful_sets: every StatefulSet; runs on the leader.
        pods: the pods under the lid; runs on the leader.
        namespaces: the only ones that are looked at; all where there is none.
    """

    def __init__(self, kube: Kube, wake: Wake, namespaces: Sequence[str] = ()):
        """Look at some namespaces, or at all where none is named."""
        self.namespaces = namespaces
        self._wake = wake
        self._rollouts_by_target: dict[Key, set[Key]] = {}
        self._pods_by_owner: dict[Key, set[str]] = {}
        self._news: dict[Key, dict[str, Json]] = {}
        everything, under_the_lid = Scope("", namespaces), Scope(f"{names.FENCED_LABEL}=true", namespaces)
        self.rollouts: Reflector[RolloutHint] = Reflector(
            kube, paths.statefulrollouts, project=_note_rollout, on_change=self._rollout_changed, scope=everything
        )
        self.stateful_sets: Reflector[StatefulSetHint] = Reflector(
            kube,
            paths.statefulsets,
            project=self._note_stateful_set,
            on_change=self._stateful_set_changed,
            scope=everything,
        )
        self.pods: Reflector[PodHint] = Reflector(
            kube, paths.pods, project=self._note_pod, on_change=self._pod_changed, scope=under_the_lid
        )

    def is_targeted(self, namespace: str, stateful_set: str) -> bool:
        """Whether a StatefulRollout that nobody has deleted names this StatefulSet as its target."""
        return bool(self.rollouts_of(namespace, stateful_set))

    def rollouts_of(self, namespace: str, stateful_set: str) -> list[str]:
        """Names of the StatefulRollouts that name this StatefulSet as their target, and that nobody has deleted."""
        rollouts = self._rollouts_by_target.get((namespace, stateful_set), ())
        return sorted(name for _, name in rollouts if not self.rollouts.store[namespace, name].leaving)

    def of(self, namespace: str, stateful_set: str, keep: bool) -> Heard:
        """What was shown of a StatefulSet, and of its pods those that were shown since this was asked last.

        `keep` asks for these the next time: they are kept for whoever moves pods, and for nobody else.
        """
        key = (namespace, stateful_set)
        rollouts = [self.rollouts.store[namespace, name].raw for name in self.rollouts_of(*key)]
        shown = self.stateful_sets.store.get(key)
        news = self._news.pop(key, {})
        if keep:
            self._news[key] = {}
        pods = self._pods_by_owner.get(key, ())
        versions = {name: self.pods.store[namespace, name].version for name in pods}
        return Heard(rollouts, shown.raw if shown else None, self.pods.heard, versions, news)

    def take_in(self, pod: Json) -> None:
        """Take note of a pod under the lid as it was just written: whoever wrote it need not be woken for it."""
        hint = self.pods.store.get((pod["metadata"].get("namespace", ""), pod["metadata"].get("name", "")))
        if hint is not None and hint.owner == _owner_of(pod):
            self.pods.take_in(pod)

    def _note_stateful_set(self, stateful_set: Json) -> StatefulSetHint:
        metadata, hint = stateful_set["metadata"], stateful_set_hint_of(stateful_set)
        return replace(hint, raw=stateful_set) if self.is_targeted(metadata["namespace"], metadata["name"]) else hint

    def _note_pod(self, pod: Json) -> PodHint:
        """Project a pod, and keep it whole where somebody wants it; what is newer stays."""
        metadata, hint = pod["metadata"], pod_hint_of(pod)
        news = self._news.get((metadata["namespace"], hint.owner))
        if news is not None and (metadata["name"] in news or len(news) < MOST_NEWS):
            before = news.get(metadata["name"], pod)
            if newest(before["metadata"]["resourceVersion"], hint.version) == hint.version:
                news[metadata["name"]] = pod
        return hint

    def hear_of(self, key: Key, hint: RolloutHint, gone: bool) -> None:
        """Wake whoever a StatefulRollout concerns that somebody else has seen, unless our own view is as new."""
        if gone or self.rollouts.store.get(key) != hint:
            self._wake((key[0], hint.target))

    def _rollout_changed(self, key: Key, old: RolloutHint | None, new: RolloutHint | None) -> None:
        if old is not None:
            rollouts = self._rollouts_by_target[key[0], old.target]
            rollouts.discard(key)
            if not rollouts:
                del self._rollouts_by_target[key[0], old.target]
        if new is not None:
            self._rollouts_by_target.setdefault((key[0], new.target), set()).add(key)
        for target in {hint.target for hint in (old, new) if hint is not None}:
            self._wake((key[0], target))
        self._wake_dependents_of(key)

    def _stateful_set_changed(self, key: Key, _old: StatefulSetHint | None, _new: StatefulSetHint | None) -> None:
        for rollout in self._rollouts_by_target.get(key, ()):
            self._wake(key)
            self._wake_dependents_of(rollout)

    def _wake_dependents_of(self, rollout: Key) -> None:
        namespace, name = rollout
        for (place, _), hint in self.rollouts.store.items():
            if place == namespace and name in hint.depends_on:
                self._wake((namespace, hint.target))

    def _pod_changed(self, key: Key, old: PodHint | None, new: PodHint | None) -> None:
        namespace, name = key
        if old is not None:
            pods = self._pods_by_owner[namespace, old.owner]
            pods.discard(name)
            if not pods:
                del self._pods_by_owner[namespace, old.owner]
        if new is not None:
            self._pods_by_owner.setdefault((namespace, new.owner), set()).add(name)
        for owner in {hint.owner for hint in (old, new) if hint is not None and hint.owner}:
            self._wake((namespace, owner))


def _note_rollout(rollout: Json) -> RolloutHint:
    return replace(rollout_hint_of(rollout), raw=rollout)


def rollout_hint_of(rollout: Mapping[str, Any]) -> RolloutHint:
    """Project a StatefulRollout."""
    metadata = rollout["metadata"]
    return RolloutHint(
        target=rollout["spec"]["targetRef"]["name"],
        generation=metadata["generation"],
        leaving="deletionTimestamp" in metadata,
        depends_on=frozenset(entry["name"] for entry in rollout["spec"].get("dependsOn") or ()),
    )


def stateful_set_hint_of(stateful_set: Json) -> StatefulSetHint:
    """Project a StatefulSet."""
    metadata, status = stateful_set["metadata"], stateful_set.get("status") or {}
    counts = {status.get("readyReplicas", 0), status.get("updatedReplicas", 0)}
    return StatefulSetHint(
        uid=metadata["uid"],
        generation=metadata["generation"],
        observed_generation=status.get("observedGeneration", 0),
        revisions=(status.get("currentRevision", ""), status.get("updateRevision", "")),
        leaving="deletionTimestamp" in metadata,
        whole=counts == {stateful_set["spec"].get("replicas", 1)},
    )


def pod_hint_of(pod: Json) -> PodHint:
    """Project a pod."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    return PodHint(
        owner=_owner_of(pod),
        version=metadata["resourceVersion"],
        uid=metadata["uid"],
        leaving="deletionTimestamp" in metadata,
        eviction=(metadata.get("annotations") or {}).get(names.EVICTION_ANNOTATION, ""),
        phase=status.get("phase", ""),
        ip=status.get("podIP", ""),
        conditions=frozenset(
            (one["type"], one["status"], one.get("reason") or "")
            for one in status.get("conditions") or ()
            if (one["type"], one["status"]) not in _ON_THE_WAY
        ),
        containers=frozenset(
            (one["name"], one.get("containerID") or "", bool(one.get("ready")), _waiting_reason_of(one))
            for one in status.get("containerStatuses") or ()
        ),
    )


def _owner_of(pod: Json) -> str:
    return str((controller_of(pod["metadata"]) or {}).get("name", ""))


_ON_THE_WAY = {("PodScheduled", "True"), ("PodReadyToStartContainers", "True"), ("Initialized", "True")}
"""Conditions of a pod that starts as it should: nothing is decided by them."""


def _waiting_reason_of(container: Json) -> str:
    return str(((container.get("state") or {}).get("waiting") or {}).get("reason") or "")


class Forever:
    """Endless, jittered pauses in seconds: kopf gives up, and ends, where its list of them does."""

    def __iter__(self) -> Iterator[float]:
        pause = 1.0
        while True:
            yield pause * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, 30)


def build_registry(hear: Callable[[Key, RolloutHint, bool], object]) -> kopf.OperatorRegistry:
    """Build kopf's handlers: it logs in, is told to keep its hands off, and passes events on to `hear`."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(settings: kopf.OperatorSettings, **_: object) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(settings=settings) or kopf.login_with_kubeconfig(settings=settings)

    @kopf.on.startup(registry=registry)
    def configure(settings: kopf.OperatorSettings, **_: object) -> None:
        settings.scanning.disabled = True
        settings.posting.enabled = False
        settings.watching.server_timeout = 300
        settings.watching.client_timeout = 330
        # Its timer can end a watch without a trace; the two timeouts above bound a silent stream instead.
        settings.watching.inactivity_timeout = 999_999_999
        settings.watching.chunk_size = 500
        settings.networking.request_timeout = 15
        settings.networking.connect_timeout = 3
        settings.networking.error_backoffs = Forever()

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    def rollout_event(namespace: str | None, name: str | None, body: kopf.Body, type: str, **_: object) -> None:  # noqa: A002 - kopf's own word
        if namespace and name:
            hear((namespace, name), rollout_hint_of(body), type == "DELETED")

    return registry


async def hear_rollouts(sources: Sources) -> None:
    """Run kopf until cancelled, in a thread and loop of its own; `sources` hears of it in the caller's loop.

    In a shared loop kopf would take over the signals and, when it stops, cancel tasks that are not its own.
    """
    loop = asyncio.get_running_loop()
    stop = threading.Event()
    registry = build_registry(lambda *heard: loop.call_soon_threadsafe(sources.hear_of, *heard))
    # Without an identity kopf looks for the user's name, which an arbitrary UID does not have.
    run = functools.partial(
        kopf.run,
        registry=registry,
        identity=Identity(names.FIELD_MANAGER),
        standalone=True,
        clusterwide=not sources.namespaces,
        namespaces=sources.namespaces,
        stop_flag=stop,
    )
    thread = loop.run_in_executor(None, run)
    try:
        await asyncio.shield(thread)
    finally:
        # It has nothing to finish: whoever waits for the loop's executor waits for the thread.
        stop.set()
    raise StatefulRolloutError("kopf ended by itself; its log says why")
