"""The rules that may say "not now", in order; the first that does wins.

Each guard is a sentence that must be true before another pod is taken out of service. Its name and the value it saw
reach the user through status and events, so a name here is an interface; `docs/guards.md` says of each which outage
it prevents. A candidate is judged as if all others that are chosen were gone.

A pod that is *stuck* serves nobody, so replacing it costs nothing: for it only those guards are asked that protect
the user's word and the data. Thereby a fix always gets through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from statefulrollout.api.v1alpha1 import CheckAt
from statefulrollout.core.dependencies import dependency_in_the_way
from statefulrollout.core.floor import missing_floor
from statefulrollout.core.goal import has_failed, is_given_up
from statefulrollout.core.inplace import verdict_of
from statefulrollout.core.ordering import who_goes_earlier
from statefulrollout.core.scene import Scene
from statefulrollout.core.snapshot import Snapshot
from statefulrollout.core.stages import IN_MOTION, Place
from statefulrollout.core.wording import name_some


@dataclass(frozen=True)
class Verdict:
    """A guard's no: its name, and the value it saw."""

    guard: str
    observed: str


Guard = Callable[[Scene, Place], str]
"""Says why not, or nothing."""


def rollout_is_not_paused(scene: Scene, candidate: Place) -> str:
    """Nothing rolls while the user says stop. A scale-down, or an eviction, is another word of the user's."""
    return "spec.paused is true" if scene.snapshot.rollout.spec.paused and candidate.rolled else ""


def inside_a_maintenance_window(scene: Scene, candidate: Place) -> str:
    """Pods leave for a new revision when the user is there to see it."""
    return scene.pacing.closed if scene.moves_forward(candidate) else ""


def revision_has_not_failed(scene: Scene, candidate: Place) -> str:
    """No further pod goes to a revision that could not become available."""
    revision = candidate.leaves_for or ""
    return f"revision {revision} has failed" if has_failed(scene.snapshot, revision) else ""


def dependencies_are_complete(scene: Scene, candidate: Place) -> str:
    """What this one is built upon is not changed at the same time."""
    return dependency_in_the_way(scene.snapshot) if scene.moves_forward(candidate) else ""


def group_has_no_other_motion(scene: Scene, candidate: Place) -> str:
    """Sets that lean on each other are not disturbed at the same time."""
    return scene.snapshot.motion if scene.moves_forward(candidate) else ""


def outage_was_allowed(scene: Scene, candidate: Place) -> str:
    """Taking every pod at once is an outage; it needs the user's explicit consent."""
    if candidate.condemned or scene.snapshot.rollout.spec.strategy.allow_full_outage:
        return ""
    if scene.limit < scene.target.replicas:
        return ""
    return (
        f"maxUnavailable is {scene.limit} of {scene.target.replicas} replicas: "
        "lower it, or set strategy.allowFullOutage to true"
    )


def hooks_are_answering(scene: Scene, candidate: Place) -> str:
    """A hook that has timed out or is misconfigured would fail for the next pod as well."""
    del candidate
    return scene.troubles[0] if scene.troubles else ""


def step_allows_another_pod(scene: Scene, candidate: Place) -> str:
    """The user wants to see so many pods of the new revision before there are more."""
    if not scene.moves_forward(candidate) or scene.pacing.total is None:
        return ""
    if scene.moved < scene.pacing.total:
        return ""
    number = scene.pacing.progress.passed + 1
    return scene.pacing.rest or f"step {number} is {scene.pacing.total} pods, and so many have left already"


def pace_is_respected(scene: Scene, candidate: Place) -> str:
    """The user wants so much time between one pod and the next."""
    wait = scene.snapshot.rollout.spec.strategy.min_seconds_between_pods
    if not wait or scene.chosen_at is None or not scene.moves_forward(candidate):
        return ""
    gone = scene.now - scene.chosen_at
    return f"{int(gone)} of {wait} s since the last pod (minSecondsBetweenPods)" if gone < wait else ""


def earlier_roles_have_arrived(scene: Scene, candidate: Place) -> str:
    """Whoever goes last goes when all the others are back: a leader has somebody to hand over to."""
    return who_goes_earlier(scene.snapshot, scene.places, candidate, scene.now) if candidate.rolled else ""


def only_one_zone_is_disturbed(scene: Scene, candidate: Place) -> str:
    """A zone is finished before the next begins, so that every other one is whole."""
    return "" if candidate.condemned else scene.zone_in_the_way(candidate)


def one_at_a_time_when_ordered(scene: Scene, candidate: Place) -> str:
    """Under OrderedReady the controller creates nothing while any earlier pod is not ready.

    A broken pod goes nevertheless while others are broken too: each waits for its replacement.
    """
    if not scene.target.ordered:
        return ""
    for place in scene.unsettled:
        passes = candidate.stuck and place.stage not in IN_MOTION and place.pod.uid not in scene.chosen
        if place.pod.uid != candidate.pod.uid and not passes:
            return f"{place.pod.name} is {place.stage.value} (podManagementPolicy: OrderedReady)"
    return ""


def budget_allows_new_unavailability(scene: Scene, candidate: Place) -> str:
    """Never more than maxUnavailable pods away, whatever made them unavailable."""
    if candidate.condemned:
        # No wanted pod becomes unavailable, yet state moves.
        taken = scene.condemned_away
        return f"{taken} of {scene.limit} are unavailable or leaving" if taken >= scene.limit else ""
    away = len(scene.away)
    if away + (candidate.pod.ordinal not in scene.away) <= scene.limit:
        return ""
    return f"{away} of {scene.limit} are unavailable: {scene.away_named}"


def remaining_capacity_carries_the_load(scene: Scene, candidate: Place) -> str:
    """Whoever stays has to carry what the application has to do now, with room to spare.

    On a way back a load that is not known holds nobody: that may be the revision that is given up.
    """
    capacity = scene.snapshot.rollout.spec.capacity
    if capacity is None or candidate.condemned:
        return ""
    load, whole = capacity.load, scene.load
    if whole.total is None:
        return "" if is_given_up(scene.snapshot) else f"the load is not known: {whole.why}"
    remaining = len(scene.available - {candidate.pod.uid})
    carries = remaining * load.per_pod * (100 - load.headroom_percent) / 100
    if whole.total <= carries:
        return ""
    return f"the load is {whole.total:g}, and {remaining} pods carry {carries:g} with {load.headroom_percent}% headroom"


def volumes_outlive_the_pod(scene: Scene, candidate: Place) -> str:
    """A claim owned by its pod would be collected with it, and the data with the claim."""
    claims = candidate.pod.volumes_owned_by_pod
    if not claims or candidate.condemned:
        return ""
    return f"claim {', '.join(claims)} is owned by the pod and would be deleted with it"


def node_can_take_the_replacement(scene: Scene, candidate: Place) -> str:
    """A volume that one node alone can mount comes back there or nowhere. A pod that is updated in place stays."""
    snapshot, node = scene.snapshot, candidate.pod.node
    claim = snapshot.anchors.get(candidate.pod.uid)
    if claim is None or node not in snapshot.cordoned or not candidate.rolled or verdict_of(snapshot, candidate).change:
        return ""
    return f"node {node} is cordoned, and claim {claim} can be mounted on no other"


def application_checks_pass(scene: Scene, candidate: Place) -> str:
    """The application itself is asked whether it can spare a pod, or just this one, and took the last one back well."""
    for check in scene.snapshot.rollout.spec.checks:
        asked = CheckAt.BEFORE_POD in check.at or (CheckAt.AFTER_POD in check.at and scene.resting)
        judgement = scene.checks.get(check.name)
        if not asked or judgement is None:
            continue
        if not judgement.done:
            return f"check {check.name}: {judgement.observed}"
        if judgement.allowed is not None and not candidate.condemned:
            if scene.chosen:
                return f"check {check.name} is asked anew once the pod that was chosen has left"
            if candidate.pod.name not in judgement.allowed:
                return f"check {check.name} allows {name_some(judgement.allowed) or 'no pod'}"
    return ""


def disruption_budgets_allow_it(scene: Scene, candidate: Place) -> str:
    """Closing the gate is a disruption: every PodDisruptionBudget of the pod must have one to spare.

    It limits evictions and never a scale-down; of a set scaled to zero it would expect no pod, and allow nothing.
    """
    if candidate.condemned:
        return ""
    for budget in scene.snapshot.budgets:
        if candidate.pod.uid not in budget.pods:
            continue
        if not budget.observed:
            return f"PodDisruptionBudget {budget.name} is not up to date yet"
        spent = len(budget.pods & scene.chosen)
        if budget.disruptions_allowed - spent < 1:
            return f"PodDisruptionBudget {budget.name} allows {budget.disruptions_allowed} disruptions"
    return ""


def pods_in_motion_are_protected(scene: Scene, candidate: Place) -> str:
    """Nobody evicts a pod in the midst of its migration, not even while the operator is down."""
    missing = missing_floor(scene.snapshot, scene.target, candidate.pod)
    return f"PodDisruptionBudget {missing} is not up to date yet" if missing else ""


def rollout_is_prepared(scene: Scene, candidate: Place) -> str:
    """What the user wants done before the first pod leaves is done; it begins when nothing else is in the way."""
    return scene.unprepared if scene.moves_forward(candidate) else ""


GUARDS: tuple[Guard, ...] = (
    rollout_is_not_paused,
    inside_a_maintenance_window,
    dependencies_are_complete,
    group_has_no_other_motion,
    revision_has_not_failed,
    outage_was_allowed,
    step_allows_another_pod,
    pace_is_respected,
    earlier_roles_have_arrived,
    only_one_zone_is_disturbed,
    hooks_are_answering,
    one_at_a_time_when_ordered,
    volumes_outlive_the_pod,
    node_can_take_the_replacement,
    budget_allows_new_unavailability,
    remaining_capacity_carries_the_load,
    application_checks_pass,
    disruption_budgets_allow_it,
    pods_in_motion_are_protected,
    rollout_is_prepared,
)

GUARDS_OF_STUCK_PODS: tuple[Guard, ...] = (
    rollout_is_not_paused,
    revision_has_not_failed,
    step_allows_another_pod,
    one_at_a_time_when_ordered,
    volumes_outlive_the_pod,
)
"""What is asked of a pod that serves nobody: its replacement makes nothing worse."""


GUARDS_WITH_SURROUNDINGS = frozenset(
    guard.__name__
    for guard in (
        dependencies_are_complete,
        group_has_no_other_motion,
        node_can_take_the_replacement,
        disruption_budgets_allow_it,
        pods_in_motion_are_protected,
        rollout_is_prepared,
    )
)
"""What cannot be asked before the surroundings are known. They are looked at once all others say yes."""

NOT_OVERRIDDEN: Mapping[str, str] = {
    rollout_is_not_paused.__name__: "set spec.paused to false",
    revision_has_not_failed.__name__: "set spec.retry",
}
"""Guards that the user has another word for."""


def overridden(snapshot: Snapshot) -> frozenset[str]:
    """Names of the guards that the user passes over in the rollout of the wanted revision."""
    word, target = snapshot.rollout.spec.override, snapshot.target
    if word is None or target is None or word.revision != target.update_revision:
        return frozenset()
    return frozenset(word.guards)


def judge(scene: Scene, candidate: Place) -> Verdict | None:
    """The first guard that says not now, or None where the pod may go."""
    ignored = _ignored(scene, candidate)
    if not scene.snapshot.surveyed:
        ignored |= GUARDS_WITH_SURROUNDINGS
    for guard in GUARDS_OF_STUCK_PODS if candidate.stuck else GUARDS:
        if guard.__name__ not in ignored and (observed := guard(scene, candidate)):
            return Verdict(guard.__name__, observed)
    return None


def passed_over(scene: Scene, candidate: Place) -> tuple[Verdict, ...]:
    """What the guards say that the user passes over."""
    ignored = _ignored(scene, candidate)
    said = ((guard.__name__, guard(scene, candidate)) for guard in GUARDS if guard.__name__ in ignored)
    return tuple(Verdict(name, observed) for name, observed in said if observed)


def _ignored(scene: Scene, candidate: Place) -> frozenset[str]:
    return overridden(scene.snapshot) if candidate.rolled else frozenset()
