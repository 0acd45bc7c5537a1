"""The mistakes: each a change of the operator's code, and the test of the simulation that must notice it.

They are the mistakes that engines like this one have made, or that a later change could make. A line here whose old
text is not found exactly once fails: it has to be brought up to date.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One mistake: in `file` (below operator/statefulrollout), `old` becomes `new`; `test` (a node id) must fail."""

    name: str
    file: str
    old: str
    new: str
    test: str


LEADERS = "test_leaders.py::"
ROLLOUTS = "test_rollouts.py::"
FAILURES = "test_failures.py::"
EVICTIONS = "test_evictions.py::"
ORDERING = "test_ordering.py::"
WAYS_BACK = "test_ways_back.py::"
PACING = "test_pacing.py::"
IN_PLACE = "test_inplace.py::"
PLAYS = "test_golden.py::test_a_play_goes_as_it_always_has"
COMPLETES = ROLLOUTS + "test_a_rollout_completes_and_loses_nothing"

MUTANTS = (
    Mutant(
        "a pod is removed by its name alone",
        "kube/act.py",
        'judged = {"uid": pod.uid, "resourceVersion": self._version_of(pod)}',
        "judged: dict[str, str] = {}",
        COMPLETES,
    ),
    Mutant(
        "a pod is marked whatever has become of it since it was judged",
        "kube/act.py",
        '{"uid": pod.uid, "resourceVersion": pod.version}',
        '{"uid": pod.uid}',
        LEADERS + "test_a_release_that_arrives_late_does_not_take_a_pod_that_was_called_back",
    ),
    Mutant(
        "a pod is chosen by what is known of the others",
        "kube/survey.py",
        '    memory.known.version = ""\n    latest, ',
        "    latest, ",
        ROLLOUTS + "test_a_pod_is_chosen_by_how_the_others_are_now_however_late_their_changes_are_heard_of",
    ),
    Mutant(
        "a pod that was listed is as it was known, whatever its version",
        "kube/pods.py",
        "if versions.get(pod.name) == (pod.uid, pod.version)]",
        "if pod.name in versions]",
        ROLLOUTS + "test_a_pod_is_chosen_by_how_the_others_are_now_however_late_their_changes_are_heard_of",
    ),
    Mutant(
        "a pod is chosen for what was asked for before",
        "kube/survey.py",
        " or not _is_still(ours, seen.rollout):",
        ":",
        ROLLOUTS + "test_nobody_is_chosen_any_more_after_a_pause_however_late_that_is_heard_of",
    ),
    Mutant(
        "pods may be older than what was written to them",
        "reconcile.py",
        "known.version = newest(version, actor.wrote)",
        "known.version = version",
        ROLLOUTS + "test_where_the_api_servers_cache_lags_no_write_meets_what_was_written_before",
    ),
    Mutant(
        "pods may be older than what was heard of them",
        "kube/pods.py",
        'since = newest(known.version, heard.version) if known.version else ""',
        "since = known.version",
        ROLLOUTS + "test_where_the_api_servers_cache_lags_no_write_meets_what_was_written_before",
    ),
    Mutant(
        "a pod is as it was, whatever was heard of it",
        "kube/pods.py",
        "return int(shown) > int(pod.version)",
        "return False",
        ROLLOUTS + "test_a_set_without_hooks_is_rolled_behind_its_fence",
    ),
    Mutant(
        "a pod that nobody has shown is not asked for",
        "kube/pods.py",
        "    # It shall be there: if it came without the label of the lid, no watch shows it.\n    return True\n",
        "    return False\n",
        ROLLOUTS + "test_a_pod_created_while_the_webhook_does_not_answer_is_noticed_without_a_sweep",
    ),
    Mutant(
        "a pod goes back without being told so first",
        "core/arrival.py",
        "if place.pod.facts is not None and not place.pod.facts.returning:",
        "if place.pod.facts is None:",
        LEADERS + "test_a_release_that_arrives_late_does_not_take_a_pod_that_was_called_back",
    ),
    Mutant(
        "a choice is not written down before it is carried out",
        "core/remembering.py",
        "    if gone <= before:\n",
        "    if gone is not None:\n",
        LEADERS + "test_a_choice_that_arrives_late_is_counted_by_the_next_leader",
    ),
    Mutant(
        "a choice of another leader is not counted",
        "core/plan.py",
        "chosen_before(snapshot) | shut",
        "shut",
        LEADERS + "test_a_choice_that_arrives_late_is_counted_by_the_next_leader",
    ),
    Mutant(
        "an evicted pod is removed by the operator itself",
        "core/departure.py",
        "    if place.evicted:\n        return ()\n",
        "",
        EVICTIONS + "test_who_asks_is_told_to_ask_again_until_the_pod_is_released",
    ),
    Mutant(
        "pods in motion are not protected while the operator is down",
        "core/departure.py",
        "Motion.IN_MOTION if is_under_the_floor(stand.snapshot, place.pod) else Motion.AT_REST",
        "Motion.AT_REST",
        EVICTIONS + "test_with_the_operator_down_nobody_evicts_a_pod_in_the_midst_of_its_migration",
    ),
    Mutant(
        "what protects pods in motion goes with the StatefulRollout",
        "kube/act.py",
        '"uid": action.ledger_uid,',
        '"uid": self.regarding["uid"],',
        EVICTIONS + "test_with_the_operator_down_nobody_evicts_a_pod_in_the_midst_of_its_migration",
    ),
    Mutant(
        "a pod at rest may be evicted behind our back while another is in motion",
        "core/floor.py",
        "if at_rest and target.replicas > 1",
        "if target.replicas > 1",
        EVICTIONS + "test_without_an_operator_no_pod_is_evicted_beside_one_in_motion",
    ),
    Mutant(
        "of a pod that was deleted outright nothing is moved",
        "core/departure.py",
        "if hook is None or handed_over or not",
        "if hook or handed_over or not",
        "test_deaths.py::test_a_pod_that_takes_its_time_to_stop_has_moved_its_state_by_then",
    ),
    Mutant(
        "an eviction is wanted for ever",
        "core/evicting.py",
        "abs(now - pod.eviction_asked) < PATIENCE_SECONDS",
        "True",
        EVICTIONS + "test_who_stops_asking_leaves_nothing_half_done",
    ),
    Mutant(
        "an eviction passes before the pod is released",
        "core/evicting.py",
        "passes=pod.released",
        "passes=True",
        EVICTIONS + "test_a_drained_node_gives_its_pods_up_one_by_one_and_nothing_is_lost",
    ),
    Mutant(
        "a pod that has just been let into service seems to be on a dead node",
        "core/membership.py",
        "    return max(unready, opened or 0.0)\n",
        "    return unready\n",
        ROLLOUTS + "test_a_pod_that_was_long_out_of_service_is_a_member_from_the_moment_it_serves",
    ),
    Mutant(
        "a cordoned node is forgotten",
        "kube/anchors.py",
        'if (node.get("spec") or {}).get("unschedulable")}',
        "if node is None}",
        FAILURES + "test_no_pod_goes_whose_volume_is_on_a_cordoned_node_and_the_others_do",
    ),
    Mutant(
        "a choice is never withdrawn",
        "core/plan.py",
        "*(_withdrawn(scene, moving, leaving) if target.observed else ()),",
        "",
        ORDERING + "test_nobody_waits_for_a_pod_whose_departure_was_lost_and_that_stays_after_all",
    ),
    Mutant(
        "a replica acts without asking whether it leads",
        "kube/act.py",
        "        self.leader_check()\n        try:\n",
        "        try:\n",
        LEADERS + "test_a_leader_frozen_between_reading_and_writing_writes_nothing_when_it_is_thawed",
    ),
    Mutant(
        "a Lease is taken from a holder who renews it",
        "kube/leader.py",
        "        elif holder and self._clock() < self._seen_until:\n            return None\n",
        "",
        LEADERS + "test_a_killed_leader_is_followed_by_the_standby",
    ),
    Mutant(
        "pods are read from the API server's cache",
        "kube/pods.py",
        "params=params, since=since, accept=accept)",
        'params={**params, "resourceVersion": "0"}, accept=accept)',
        ROLLOUTS + "test_a_pod_is_chosen_by_how_the_others_are_now_however_late_their_changes_are_heard_of",
    ),
    Mutant(
        "a pod that soaks counts as available",
        "core/stages.py",
        "return self.stage in (Stage.SERVING, Stage.UPDATED) and self.soaked",
        "return self.stage in (Stage.SERVING, Stage.UPDATED, Stage.SOAKING)",
        COMPLETES,
    ),
    Mutant(
        "the budget is not asked",
        "core/guards.py",
        "    if away + (candidate.pod.ordinal not in scene.away) <= scene.limit:\n",
        "    if scene:\n",
        COMPLETES,
    ),
    Mutant(
        "a pod that was just chosen does not count as away",
        "core/scene.py",
        "return self._hand_on(scene, away)",
        "return self._hand_on(scene, self.away)",
        COMPLETES,
    ),
    Mutant(
        "a pause is overlooked",
        "core/guards.py",
        'return "spec.paused is true" if scene.snapshot.rollout.spec.paused and candidate.rolled else ""',
        'return ""',
        ROLLOUTS + "test_pausing_lets_the_pod_in_motion_finish_and_nothing_else_move",
    ),
    Mutant(
        "what was begun is not undone",
        "core/arrival.py",
        "    asks = _undoes_of(snapshot, place)\n",
        "    asks: tuple[Ask, ...] = ()\n",
        "test_golden.py::test_a_play_goes_as_it_always_has[a template changed back in the middle]",
    ),
    Mutant(
        "nobody waits until the controller has seen the fence",
        "core/plan.py",
        "fence_stands=kind_of(target.update_strategy) is fence and target.observed,",
        "fence_stands=True,",
        ROLLOUTS + "test_a_set_without_hooks_is_rolled_behind_its_fence",
    ),
    Mutant(
        "a revision is accepted before its last pod has soaked",
        "core/fence.py",
        "place.stage is Stage.UPDATED for place in wanted",
        "place.stage in (Stage.UPDATED, Stage.SOAKING) for place in wanted",
        COMPLETES,
    ),
    Mutant(
        "a drain counts for another container than the one that was drained",
        "core/stages.py",
        "(facts.stuck or _is_still_who_was_drained(snapshot, pod))",
        "True",
        FAILURES + "test_a_container_that_restarts_while_drained_is_drained_again",
    ),
    Mutant(
        "after an update in place the old container counts for the new revision",
        "core/stages.py",
        "return Stage.RESTORING if pod.containers_ready and not pod.awaits_restart else Stage.STARTING",
        "return Stage.RESTORING if pod.containers_ready else Stage.STARTING",
        IN_PLACE + "test_another_image_restarts_the_containers_and_keeps_the_pods",
    ),
    Mutant(
        "a pod is what it was, whatever has become of it",
        "kube/pods.py",
        'if before and (before.uid, before.version) == (metadata["uid"], metadata.get("resourceVersion")):',
        "if before:",
        ROLLOUTS + "test_a_pod_is_chosen_by_how_the_others_are_now_however_late_their_changes_are_heard_of",
    ),
    Mutant(
        "a pod is chosen before anybody has looked at its surroundings",
        "core/plan.py",
        "if verdict is None and not scene.snapshot.surveyed:",
        "if verdict is None and scene is None:",
        ROLLOUTS + "test_a_disruption_budget_that_allows_less_than_the_rollout_does_is_respected_too",
    ),
    Mutant(
        "a pod is drained while traffic is still sent to it",
        "kube/isolation.py",
        "for uid in leaving.keys() - serving}",
        "for uid in leaving.keys()}",
        ROLLOUTS + "test_a_pod_waits_for_slow_endpoints",
    ),
    Mutant(
        "EndpointSlices are older than the pods that they must not show",
        "kube/isolation.py",
        "newest(*leaving.values())",
        '"1"',
        ROLLOUTS + "test_endpoints_from_before_a_pod_was_shown_do_not_say_that_it_is_shown_no_more",
    ),
    Mutant(
        "a pod is let go before the members have settled without it",
        "core/departure.py",
        "    if stand.membership is None or (",
        "    if place.pod.uid or (",
        COMPLETES,
    ),
    Mutant(
        "a membership keeps its generation when its members change",
        "core/membership.py",
        "generation=max(last.generation + 1, seen + 1, int(now * 1000)),",
        "generation=max(last.generation, seen + 1, 1),",
        COMPLETES,
    ),
    Mutant(
        "all let their state go although nobody is left to take it",
        "core/declaring.py",
        "        held = roster.leaving and not may_all_leave(snapshot)\n",
        "        held = False\n",
        FAILURES + "test_with_nobody_left_to_take_over_no_pod_is_released",
    ),
    Mutant(
        "a failed revision is forgotten at once",
        "core/guards.py",
        'return f"revision {revision} has failed" if has_failed(scene.snapshot, revision) else ""',
        'return ""',
        FAILURES + "test_a_failed_revision_takes_no_further_pod_when_there_is_room_again",
    ),
    Mutant(
        "a broken pod is waited for like any other",
        "core/guards.py",
        "for guard in GUARDS_OF_STUCK_PODS if candidate.stuck else GUARDS:",
        "for guard in GUARDS:",
        FAILURES + "test_a_fix_gets_through_although_another_pod_is_away",
    ),
    Mutant(
        "a closed gate keeps a missing ordinal missing",
        "core/stages.py",
        "return any(ordinal not in present for ordinal in target.ordinals)",
        "return False",
        FAILURES + "test_a_pod_that_drains_for_ever_does_not_keep_another_from_coming_back",
    ),
    Mutant(
        "the pods of a deleted StatefulRollout stay behind their gates",
        "core/farewell.py",
        "marks = tuple(_set_free(pod) for pod in pods if pod.uid not in pending and _bears_our_marks(pod))",
        "marks = ()",
        ROLLOUTS + "test_deleting_the_rollout_in_the_middle_strands_nobody",
    ),
    Mutant(
        "complete is said while a pod is on its way out",
        "core/status.py",
        "    at_rest = not rolling and not moving and not missing and not evicted\n"
        "    if at_rest and all(place.pod.ready for place in plan.places):\n",
        "    if not rolling and not missing:\n",
        "test_golden.py::test_a_play_goes_as_it_always_has[a template changed back in the middle]",
    ),
    Mutant(
        "the fence turns at once where a revision is given up",
        "core/fence.py",
        "return FenceKind.HOLD if counted and kept else FenceKind.FORWARD",
        "return FenceKind.HOLD",
        WAYS_BACK + "test_a_revision_that_a_check_fails_when_its_last_pod_soaks_goes_back",
    ),
    Mutant(
        "a pod that is not ready is taken for one that cannot become ready",
        "core/snapshot.py",
        "(dark is not None and dark >= closed)",
        "True",
        WAYS_BACK + "test_a_check_that_fails_while_the_kubelet_is_about_to_call_the_last_pod_ready",
    ),
    Mutant(
        "a pod is let go before the fence has turned",
        "core/departure.py",
        "if stand.turns and place.pod.gated and not place.condemned:",
        "if False:",
        WAYS_BACK + "test_the_user_gives_a_revision_up_and_goes_on_with_it",
    ),
    Mutant(
        "the last gate opens on the way back",
        "core/arrival.py",
        "if _would_complete(stand, place):",
        "if False:",
        WAYS_BACK + "test_a_pause_on_the_way_back_does_not_let_the_last_pod_into_service",
    ),
    Mutant(
        "a rest ends that only the user may end",
        "core/pacing.py",
        "        return math.inf\n",
        "        return 0.0\n",
        PACING + "test_a_canary_waits_to_be_promoted_and_the_next_step_for_its_time",
    ),
    Mutant(
        "a window never closes",
        "core/pacing.py",
        "return start if start <= now else None",
        "return start",
        PACING + "test_pods_leave_only_while_a_window_is_open",
    ),
)
