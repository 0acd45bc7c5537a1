"""What watches have shown, by StatefulSet: whom a change concerns, and what need not be read again.

A change only ever means "look again"; nothing is decided here and nothing is written. Our own reflector of the
StatefulRollouts runs on every replica, because the webhook needs to know the targets there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from statefulrollout.api import names
from statefulrollout.kube import paths
from statefulrollout.kube.client import Json, Kube, newest
from statefulrollout.kube.hints import (
    PodHint,
    RolloutHint,
    StatefulSetHint,
    owner_of,
    pod_hint_of,
    rollout_hint_of,
    stateful_set_hint_of,
)
from statefulrollout.kube.known import Heard
from statefulrollout.kube.reflector import Key, Reflector, Scope

MOST_NEWS = 2000
"""So many whole pods of a StatefulSet are kept until it is looked at; a list tells of more."""

Wake = Callable[[Key], None]


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
        if hint is not None and hint.owner == owner_of(pod):
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
