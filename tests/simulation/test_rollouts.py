"""Whole rollouts in simulated time: the real operator against a faithful cluster and an application with keys.

Every scenario is watched for every invariant all the time (`world/invariants.py`).
"""

from __future__ import annotations

import pytest

from statefulrollout.api import names
from statefulrollout.kube import pods, sources
from tests.simulation.scenario import a_scenario, gates, is_at, is_complete
from tests.simulation.stories.enemies import delay_controller, delay_lists, delay_watches
from tests.simulation.world.application import Silence
from tests.simulation.world.builders import a_budget
from tests.simulation.world.objects import is_true

POLICIES = pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
ONE_OR_TWO = pytest.mark.parametrize("limit", [1, 2, "40%"])


@POLICIES
@ONE_OR_TWO
async def test_a_rollout_completes_and_loses_nothing(policy: str, limit: int | str) -> None:
    scenario = await a_scenario(policy=policy, spec={"strategy": {"maxUnavailable": limit}})
    await scenario.roll_out()
    await scenario.until_complete()
    assert scenario.images() == ["kvstore:2"] * 5
    assert scenario.world.lost_keys == set()


async def test_a_disruption_budget_is_respected_and_the_drained_pod_still_goes() -> None:
    scenario = await a_scenario(budget=a_budget(maxUnavailable=1))
    await scenario.roll_out()
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def test_a_disruption_budget_that_allows_less_than_the_rollout_does_is_respected_too() -> None:
    scenario = await a_scenario(
        policy="Parallel", budget=a_budget(maxUnavailable=1), spec={"strategy": {"maxUnavailable": 3}}
    )
    await scenario.roll_out()
    most = 0

    def is_over() -> bool:
        nonlocal most
        most = max(most, gates(scenario.world).count(False))
        return is_complete(scenario.world)

    await scenario.world.run(until=is_over, limit_seconds=600)
    assert most == 1


async def test_a_disruption_budget_that_allows_nothing_is_named() -> None:
    scenario = await a_scenario(budget=a_budget(maxUnavailable=0))
    await scenario.roll_out()
    await scenario.world.run(limit_seconds=60)
    status = scenario.world.rollout()["status"]
    assert status["phase"] == "Waiting"
    assert "disruption_budgets_allow_it" in status["message"]
    assert all(gates(scenario.world))


@POLICIES
async def test_pausing_lets_the_pod_in_motion_finish_and_nothing_else_move(policy: str) -> None:
    scenario = await a_scenario(policy=policy)
    await scenario.roll_out()
    await scenario.until_stage("Draining", "kvstore-3")
    scenario.user.pause()
    await scenario.world.run(limit_seconds=120)
    assert scenario.images() == ["kvstore:1"] * 3 + ["kvstore:2"] * 2
    assert scenario.world.rollout()["status"]["phase"] == "Paused"
    assert scenario.world.rollout()["status"]["fence"] == "Hold"
    scenario.user.pause(False)
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


@pytest.mark.parametrize(
    "reactions", [(503, 503, 503), (500, 500), (Silence.HANG,), (Silence.REFUSE,)], ids=["503", "500", "hang", "refuse"]
)
async def test_a_drain_that_is_refused_for_a_while_is_asked_again(reactions: tuple[int | Silence, ...]) -> None:
    scenario = await a_scenario(replicas=3)
    scenario.world.application.script("drain", *reactions)
    await scenario.roll_out()
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def test_a_missing_drain_endpoint_stops_the_rollout_and_says_so() -> None:
    scenario = await a_scenario(replicas=3)
    scenario.world.application.script("drain", 404, forever=True)
    await scenario.roll_out()
    message = await scenario.until_condition(names.STALLED)
    assert "drain is misconfigured" in message
    assert "POST /drain on port admin of kvstore-2 answered 404" in message
    assert gates(scenario.world) == [True, True, False]
    scenario.world.application.heal()
    await scenario.until_complete()


async def test_a_stalled_membership_stops_the_rollout_until_it_moves_again() -> None:
    scenario = await a_scenario(replicas=3, spec={"membership": {"stallSeconds": 20}})
    scenario.world.application.script("members", 202, forever=True)
    await scenario.roll_out()
    message = await scenario.until_condition(names.STALLED)
    assert "membership" in message
    assert "progress 1" in message
    assert sorted(scenario.images()) == ["kvstore:1"] * 3
    scenario.world.application.heal()
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def test_a_drain_past_its_deadline_is_passed_over_where_the_user_says_proceed() -> None:
    drain = {"deadlineSeconds": 10, "onTimeout": "Proceed"}
    scenario = await a_scenario(replicas=3, spec={"drain": drain})
    scenario.world.application.script("drain", 202, forever=True)
    await scenario.roll_out()
    await scenario.until_complete()
    assert "passed over" in scenario.world.history.transcript()


@POLICIES
async def test_a_template_changed_back_in_the_middle_returns_what_was_moved(policy: str) -> None:
    scenario = await a_scenario(policy=policy)
    await scenario.roll_out("kvstore:2")
    await scenario.until_stage("Draining", "kvstore-3")
    await scenario.roll_out("kvstore:1")
    await scenario.until_complete()
    assert scenario.images() == ["kvstore:1"] * 5
    assert scenario.world.lost_keys == set()


@POLICIES
async def test_a_template_changed_again_in_the_middle_is_followed(policy: str) -> None:
    scenario = await a_scenario(policy=policy)
    await scenario.roll_out("kvstore:2")
    await scenario.until_stage("Migrating", "kvstore-3")
    await scenario.roll_out("kvstore:3")
    await scenario.until_complete()
    assert scenario.images() == ["kvstore:3"] * 5
    assert scenario.world.lost_keys == set()


@POLICIES
async def test_scaling_down_drains_the_condemned_pods(policy: str) -> None:
    scenario = await a_scenario(policy=policy)
    scenario.user.scale(3)
    await scenario.world.run(until=lambda: len(scenario.world.pods()) == 3, limit_seconds=300)
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


@POLICIES
async def test_scaling_down_and_up_in_the_middle_of_a_rollout_loses_nothing(policy: str) -> None:
    scenario = await a_scenario(policy=policy)
    await scenario.roll_out()
    await scenario.until_stage("Draining", "kvstore-3")
    scenario.user.scale(3)
    await scenario.world.run(until=lambda: len(scenario.world.pods()) == 3, limit_seconds=300)
    scenario.user.scale(6)
    await scenario.world.run(until=lambda: len(scenario.world.pods()) == 6, limit_seconds=300)
    await scenario.until_complete()
    assert scenario.images() == ["kvstore:2"] * 6
    assert scenario.world.lost_keys == set()


@POLICIES
@pytest.mark.parametrize("operator_up", [True, False], ids=["operator up", "operator down"])
async def test_partition_zero_written_by_somebody_else_deletes_nothing_undrained(
    policy: str, operator_up: bool
) -> None:
    scenario = await a_scenario(policy=policy)
    if not operator_up:
        scenario.operator.kill()
    await scenario.roll_out()
    scenario.user.set_strategy({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    await scenario.world.run(limit_seconds=60)
    if not operator_up:
        assert scenario.images() == ["kvstore:1"] * 5
        scenario.operator.start()
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


@pytest.mark.parametrize("deletion", ["Freeze", "Release"])
@pytest.mark.parametrize("stage", ["Isolating", "Draining", "Migrating", "Starting", "Soaking"])
async def test_deleting_the_rollout_in_the_middle_strands_nobody(deletion: str, stage: str) -> None:
    scenario = await a_scenario(policy="Parallel", spec={"deletionPolicy": deletion})
    await scenario.roll_out()
    await scenario.until_stage(stage, "kvstore-3")
    moved = scenario.images().count("kvstore:2")
    scenario.user.delete_rollout()
    await scenario.world.run(limit_seconds=120)
    world = scenario.world
    assert all(gates(world))
    assert all(is_true(pod, "Ready") for pod in world.pods())
    assert not any(names.FENCED_LABEL in pod["metadata"]["labels"] for pod in world.pods())
    if deletion == "Release":
        assert scenario.images() == ["kvstore:2"] * 5
    else:
        assert scenario.images().count("kvstore:2") <= moved + 1
        assert world.lost_keys == set()


@pytest.mark.parametrize("deletion", ["Freeze", "Release"])
async def test_pods_are_freed_without_a_sweep_where_the_controller_is_slow(
    deletion: str,
) -> None:
    scenario = await a_scenario(policy="Parallel", spec={"deletionPolicy": deletion})
    await scenario.roll_out()
    await scenario.until_stage("Draining", "kvstore-3")
    delay_controller(scenario, 5)
    scenario.user.delete_rollout()
    await scenario.world.run(limit_seconds=5)
    await scenario.until_free(limit_seconds=2)


async def test_a_pod_created_while_the_webhook_does_not_answer_is_noticed_without_a_sweep() -> None:
    scenario = await a_scenario(replicas=3)
    await scenario.roll_out()
    await scenario.until_stage("Released", "kvstore-2")
    scenario.world.webhook.up = False
    delay_controller(scenario, 5.0)
    await scenario.world.run(until=lambda: is_at(scenario.world, "Soaking", "kvstore-2"), limit_seconds=10)
    assert scenario.world.pod(2)["spec"].get("readinessGates") is None
    await scenario.until_complete(limit_seconds=120)


async def test_pods_created_while_the_operator_is_down_become_ready() -> None:
    scenario = await a_scenario(replicas=3)
    scenario.operator.kill()
    scenario.world.webhook.up = False
    scenario.user.scale(5)
    await scenario.world.run(
        until=lambda: len(scenario.world.pods()) == 5 and all(is_true(p, "Ready") for p in scenario.world.pods()),
        limit_seconds=60,
    )
    scenario.world.webhook.up = True
    scenario.operator.start()
    await scenario.world.run(limit_seconds=5)
    await scenario.until_complete()
    await scenario.roll_out()
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


@pytest.mark.parametrize(
    "stage", ["Isolating", "Draining", "Migrating", "Released", "Starting", "Restoring", "Soaking"]
)
async def test_the_operator_killed_at_a_stage_goes_on_where_it_was(stage: str) -> None:
    scenario = await a_scenario(replicas=3)
    await scenario.roll_out()
    await scenario.until_stage(stage)
    scenario.operator.kill()
    await scenario.world.run(limit_seconds=20)
    scenario.operator.start()
    await scenario.until_complete()
    assert scenario.images() == ["kvstore:2"] * 3
    assert scenario.world.lost_keys == set()


async def test_a_hook_added_later_takes_no_pod_out_of_service() -> None:
    scenario = await a_scenario(replicas=3, spec={"drain": None, "membership": None})
    restore = {"apply": {"http": {"port": "admin", "path": "/restore"}}}
    scenario.user.patch(names.PLURAL, {"spec": {"restore": restore}})
    await scenario.world.run(limit_seconds=30)
    assert "serving=False" not in scenario.world.history.transcript()
    assert is_complete(scenario.world)


async def test_a_set_without_hooks_is_rolled_behind_its_fence() -> None:
    scenario = await a_scenario(spec={"drain": None, "membership": None})
    await scenario.roll_out()
    await scenario.world.run(until=lambda: "kvstore:2" in scenario.images(), limit_seconds=30)
    scenario.user.pause()
    await scenario.world.run(limit_seconds=20)
    assert scenario.world.rollout()["status"]["fence"] == "Hold"
    scenario.world.stateful_set_controller.sets.hold()
    scenario.user.pause(False)
    await scenario.world.run(limit_seconds=5)
    assert scenario.images() == ["kvstore:1"] * 4 + ["kvstore:2"]
    scenario.world.stateful_set_controller.sets.resume()
    await scenario.until_complete()


async def test_a_pod_waits_for_slow_endpoints() -> None:
    scenario = await a_scenario(replicas=3)
    scenario.world.endpoints.lag = 10.0
    await scenario.roll_out()
    await scenario.until_complete()
    assert scenario.world.lost_keys == set()


async def test_endpoints_from_before_a_pod_was_shown_do_not_say_that_it_is_shown_no_more() -> None:
    scenario = await a_scenario(replicas=3, spec={"drain": None, "membership": None, "strategy": {"soakSeconds": 0}})
    scenario.world.endpoints.lag = 2.0
    delay_lists(scenario, 60.0, seconds=120)
    await scenario.roll_out()
    await scenario.until_complete(limit_seconds=300)


@pytest.mark.parametrize("deletion", ["Freeze", "Release"])
async def test_where_the_cluster_adds_defaults_to_the_strategy_it_is_set_once(deletion: str) -> None:
    scenario = await a_scenario(replicas=3, several_at_once=True, spec={"deletionPolicy": deletion})
    await scenario.roll_out()
    await scenario.until_complete()
    generation = scenario.world.stateful_set()["metadata"]["generation"]
    scenario.user.delete_rollout()
    await scenario.world.run(limit_seconds=30)
    seen = len(scenario.world.network.seen)
    await scenario.world.run(limit_seconds=30)
    written = {request.plural for request in scenario.world.network.seen[seen:] if request.writes}
    assert "statefulsets" not in written
    assert scenario.world.stateful_set()["metadata"]["generation"] == generation + (deletion == "Release")


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
async def test_the_last_pod_of_all_that_need_not_leave_after_all_has_no_peers_to_tell(policy: str) -> None:
    undo = {"http": {"port": "admin", "path": "/migrate", "method": "DELETE"}, "target": "Peers"}
    migrate = {"apply": {"http": {"port": "admin", "path": "/migrate"}}, "undo": undo}
    scenario = await a_scenario(replicas=2, policy=policy, spec={"migrate": migrate})
    scenario.user.scale(0)
    await scenario.until_stage("Migrating", "kvstore-0")
    scenario.user.scale(2)
    await scenario.until_complete()
    assert gates(scenario.world) == [True, True]


async def test_a_pod_that_was_long_out_of_service_is_a_member_from_the_moment_it_serves() -> None:
    membership = {"unknownAfterSeconds": 5}
    restore = {"apply": {"http": {"port": "admin", "path": "/restore"}}}
    scenario = await a_scenario(replicas=3, policy="Parallel", spec={"membership": membership, "restore": restore})
    world = scenario.world
    world.kubelet.lag = 0.5
    world.application.script("restore", *[202] * 20)
    await scenario.roll_out()
    await world.run(until=lambda: "kvstore:2" in scenario.images(), limit_seconds=60)
    world.history.lines.clear()
    await world.run(until=lambda: "PodServing" in world.history.transcript(), limit_seconds=120)
    world.history.lines.clear()
    await world.run(limit_seconds=2)
    assert "ledger membership" not in world.history.transcript()
    await scenario.until_complete()


@pytest.mark.parametrize("large", [0, pods.LARGE])
async def test_a_pod_is_chosen_by_how_the_others_are_now_however_late_their_changes_are_heard_of(
    large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "LARGE", large)
    scenario = await a_scenario(policy="Parallel", spec={"strategy": {"maxUnavailable": 1, "soakSeconds": 4}})
    await scenario.roll_out()
    await scenario.until_stage("Soaking", "kvstore-4")
    delay_watches(scenario, 60.0, seconds=4.5)
    delay_lists(scenario, 60.0, seconds=4.5)
    await scenario.world.run(limit_seconds=3)
    scenario.world.kubelet.kill_container(scenario.world.pod(0))
    await scenario.world.run(limit_seconds=1.4)
    assert gates(scenario.world)[3]
    await scenario.until_complete()


async def test_nobody_is_chosen_any_more_after_a_pause_however_late_that_is_heard_of() -> None:
    scenario = await a_scenario(policy="Parallel", spec={"strategy": {"maxUnavailable": 1, "soakSeconds": 4}})
    await scenario.roll_out()
    await scenario.until_stage("Soaking", "kvstore-4")
    delay_watches(scenario, 60.0, seconds=20)
    await scenario.world.run(limit_seconds=3)
    scenario.user.pause()
    await scenario.world.run(limit_seconds=10)
    assert all(gates(scenario.world))
    scenario.user.pause(False)
    await scenario.until_complete()


@pytest.mark.parametrize("large", [0, pods.LARGE])
@pytest.mark.parametrize("news", [0, sources.MOST_NEWS])
async def test_where_the_api_servers_cache_lags_no_write_meets_what_was_written_before(
    news: int, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MOST_NEWS", news)
    monkeypatch.setattr(pods, "LARGE", large)
    scenario = await a_scenario(policy="Parallel")
    delay_watches(scenario, 0.2, seconds=120)
    delay_lists(scenario, 60.0, seconds=120)
    await scenario.roll_out()
    await scenario.until_complete(limit_seconds=300)
    assert 409 not in {request.status for request in scenario.world.network.seen}
