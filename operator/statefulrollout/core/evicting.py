"""Evictions: a pod that shall leave its node leaves like any other, and then whoever asked lets it go.

`kubectl drain`, autoscalers and others ask again as long as they are told to wait. So an eviction is an intent that
lives as long as it is asked for: it makes the pod leave under the same guards and through the same stages as a rollout
does, and once the pod is released the *next* request passes. The operator does not remove the pod itself: who asked
would meet its successor, and evict that one as well. If nobody asks any more, the pod goes back into service.
"""

from __future__ import annotations

from dataclasses import dataclass

from statefulrollout.core.snapshot import PodView

PATIENCE_SECONDS = 90.0
"""How long an eviction counts after it was asked for: `kubectl drain` asks every 5 seconds, autoscalers every 10."""
NOTE_SECONDS = 20.0
"""How old the last note of it may be when it is asked for again."""


def is_evicted(pod: PodView, now: float) -> bool:
    """Whether somebody asks for the pod's eviction."""
    return pod.eviction_asked is not None and abs(now - pod.eviction_asked) < PATIENCE_SECONDS


@dataclass(frozen=True)
class Answer:
    """What is answered to a request for eviction: whether it may pass, and whether it is to be noted on the pod."""

    passes: bool
    noted: bool = False


def answer_of(pod: PodView, uid: str, now: float) -> Answer:
    """Answer a request to evict the pod; `uid` is the one it names, empty where it names none.

    A pod in which nothing runs, or that goes anyhow, is nothing to us, nor is a request that means another one.
    """
    if pod.finished or pod.terminating or pod.phase == "Pending" or (uid and uid != pod.uid):
        return Answer(passes=True)
    stale = pod.eviction_asked is None or not 0 <= now - pod.eviction_asked < NOTE_SECONDS
    return Answer(passes=pod.released, noted=stale)
