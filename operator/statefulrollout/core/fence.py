"""At which revision a pod comes back that dies now: the choice of `spec.updateStrategy`, one of three.

* Hold (RollingUpdate behind an unreachable partition): at the accepted revision. Idle, paused, resting at a step,
  failed, going back.
* Forward (OnDelete): at the wanted revision, and the StatefulSet controller never declares the rollout complete by
  itself. While pods move, and while the last of them still soak.
* Accept (RollingUpdate, partition 0): once every pod has soaked, so that the controller makes the wanted revision
  the accepted one; then Hold again.

Nothing moves by itself in any of them: the lid keeps the controller from deleting what was not released.
Accepting must be our explicit act, because under RollingUpdate the controller accepts as soon as all pods are
updated and ready, whatever the partition and however short they have served. For the same reason Hold may begin, where
all pods are at a revision that is given up, only once one of them has left service and the controller has counted that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from statefulrollout.core.actions import SetFence
from statefulrollout.core.snapshot import FenceKind, PodView, StatefulSetView
from statefulrollout.core.stages import Place, Stage

UNREACHABLE = 2_147_483_647
"""The largest partition the API takes: no ordinal is at or above it."""

STRATEGIES: Mapping[FenceKind, Mapping[str, object]] = {
    FenceKind.HOLD: {"type": "RollingUpdate", "rollingUpdate": {"partition": UNREACHABLE}},
    FenceKind.FORWARD: {"type": "OnDelete"},
    FenceKind.ACCEPT: {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
}


_EVENTS: Mapping[FenceKind, tuple[str, str]] = {
    FenceKind.HOLD: ("FenceHolds", "a pod that dies comes back at the accepted revision"),
    FenceKind.FORWARD: ("RolloutMoves", "a pod that dies comes back at the wanted revision"),
    FenceKind.ACCEPT: ("RevisionAccepted", "every pod has soaked: the wanted revision becomes the accepted one"),
}


def kind_of(strategy: Mapping[str, object]) -> FenceKind:
    """Which fence an `updateStrategy` amounts to."""
    if strategy.get("type") == "OnDelete":
        return FenceKind.FORWARD
    rolling = strategy.get("rollingUpdate")
    partition = rolling.get("partition", 0) if isinstance(rolling, Mapping) else 0
    if partition == UNREACHABLE:
        return FenceKind.HOLD
    return FenceKind.ACCEPT if partition == 0 else FenceKind.FOREIGN


def stands(wanted: Mapping[str, object], live: Mapping[str, object]) -> bool:
    """Whether the live `updateStrategy` is the wanted one, but for what the API server has added to it by default."""
    return all(
        stands(value, found)
        if isinstance(value, Mapping) and isinstance(found := live.get(key), Mapping)
        else live.get(key) == value
        for key, value in wanted.items()
    )


def fence_of(target: StatefulSetView, places: Sequence[Place], *, may_move: bool, may_accept: bool) -> FenceKind:
    """The fence that shall stand now.

    Args:
        target: the StatefulSet as last read.
        places: its pods.
        may_move: whether outdated pods may leave for the wanted revision, or could not go back from it.
        may_accept: whether nothing but the soak of the pods stands against accepting it.
    """
    if target.current_revision == target.update_revision:
        return FenceKind.HOLD
    inhabitants = {place.pod.ordinal: place for place in places}
    wanted = [inhabitants.get(ordinal) for ordinal in target.ordinals]
    live = kind_of(target.update_strategy)
    if any(_is_vacant(place) for place in wanted) and live in (FenceKind.HOLD, FenceKind.FORWARD):
        # A released pod must come back at the revision it was released for.
        return FenceKind.FORWARD if may_move else live
    if any(place is not None and place.pod.revision != target.update_revision for place in wanted):
        moving = any(place is not None and place.pod.facts and place.pod.facts.wanted for place in wanted)
        return FenceKind.FORWARD if may_move or moving else FenceKind.HOLD
    if may_accept and all(place is not None and place.stage is Stage.UPDATED for place in wanted):
        return FenceKind.ACCEPT
    return FenceKind.FORWARD


def fence_of_way_back(target: StatefulSetView, places: Sequence[Place], now: float) -> FenceKind:
    """The fence that shall stand while pods go back to the accepted revision, and afterwards."""
    if kind_of(target.update_strategy) is FenceKind.HOLD:
        return FenceKind.HOLD
    counted = target.observed and (target.updated < target.replicas or target.ready < target.replicas)
    kept = any(
        _keeps_from_accepting(target, place.pod, now) for place in places if place.pod.ordinal in target.ordinals
    )
    return FenceKind.HOLD if counted and kept else FenceKind.FORWARD


def _keeps_from_accepting(target: StatefulSetView, pod: PodView, now: float) -> bool:
    """Whether the StatefulSet controller cannot accept the wanted revision as long as the pod is what it is."""
    if pod.revision != target.update_revision or pod.terminating:
        return True
    return pod.gated and pod.is_written_off(now)


def _is_vacant(place: Place | None) -> bool:
    return place is None or place.pod.terminating or place.pod.released


def build_set_fence(target: StatefulSetView, fence: FenceKind, *, ours: bool) -> SetFence | None:
    """What makes the fence stand; None where it does. `ours`: we had set it before, so another value is foreign."""
    live = kind_of(target.update_strategy)
    if live is fence:
        return None
    reason, message = _EVENTS[fence]
    if ours and target.strategy_writers:
        message = f"{message}; updateStrategy had been written by {', '.join(target.strategy_writers)}"
    elif live is FenceKind.ACCEPT and fence is FenceKind.HOLD and ours:
        reason, message = "RolloutComplete", f"revision {target.update_revision} is accepted"
    return SetFence(STRATEGIES[fence], reason, message)
