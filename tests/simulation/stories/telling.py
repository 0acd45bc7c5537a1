"""Tells a story to its end: everybody does what they do, then all is mended, and it must come to a good end.

Every invariant is watched all the time. A good end is: complete (I7), nothing left open (I8, I9), and nobody stranded
(I14).
"""

from __future__ import annotations

from statefulrollout.api import names
from statefulrollout.kube.leader import LeaseTimes
from tests.simulation.scenario import Scenario
from tests.simulation.stories.enemies import DEEDS
from tests.simulation.stories.story import Story
from tests.simulation.world.apiserver import USER
from tests.simulation.world.builders import LOCAL_VOLUMES, SPEC, a_budget, a_world
from tests.simulation.world.objects import merge_patched
from tests.simulation.world.world import NAME, NAMESPACE

KEYS = 12
AFTERMATH_SECONDS = 30.0
PATIENCE_SECONDS = 7200.0
TIMES = LeaseTimes(duration=40.0, renew_deadline=30.0, retry=6.0)
"""Of the Lease: its renewals would be a third of all requests."""


async def tell(story: Story) -> Scenario:
    """Tell the story. Raises AssertionError where an invariant is broken or the end is not good."""
    world = await a_world(
        replicas=story.replicas,
        policy="OrderedReady" if story.ordered else "Parallel",
        spec=dict(story.spec),
        keys=KEYS,
        seed=story.order,
        several_at_once=story.several_at_once,
        budget=None if story.budget is None else a_budget(maxUnavailable=story.budget),
        stateful_set=LOCAL_VOLUMES if story.local else None,
    )
    scenario = Scenario(world, replicas=story.operators, bold=story.bold, times=TIMES)
    await scenario.until_complete()
    calm = tuple(world.network.before), tuple(world.network.after)
    for deed in story.deeds:
        await world.run(limit_seconds=deed.after)
        world.history.say(world.clock(), f"--- {deed}")
        DEEDS[deed.what](scenario, *deed.arguments)
    await world.run(limit_seconds=AFTERMATH_SECONDS)
    world.history.say(world.clock(), "--- all is mended")
    _mend(scenario, story, calm)
    await world.run(limit_seconds=1.0)
    await scenario.until_complete(PATIENCE_SECONDS)
    scenario.assert_settled()
    await scenario.assert_nobody_is_stranded()
    return scenario


def _mend(scenario: Scenario, story: Story, calm: tuple[tuple[object, ...], tuple[object, ...]]) -> None:
    world = scenario.world
    for event in scenario.later:
        event.cancelled = True
    for scripts, before in zip((world.network.before, world.network.after), calm, strict=True):
        scripts[:] = [script for script in scripts if script in before]
    for process in scenario.operator.processes.values():
        process.link.thaw()
        process.link.hurry()
    world.application.heal()
    world.application.doubled = 0
    world.webhook.up = world.evictions.up = True
    world.endpoints.lag = 0.1
    world.kubelet.lag = 0.0
    for node in list(world.kubelet.down):
        world.nodes.restore(node)
    for node in world.kubelet.nodes:
        scenario.user.cordon(node, False)
    for informer in (world.stateful_set_controller.pods, world.stateful_set_controller.sets):
        informer.resume()
    scenario.operator.start()
    wanted = merge_patched(SPEC, {**story.spec, "paused": False})
    if world.server.find(names.PLURAL, NAMESPACE, NAME) is None:
        world.server.create(names.PLURAL, NAMESPACE, {"metadata": {"name": NAME}, "spec": wanted}, USER)
    mended = {"maxUnavailable": 1, "unhealthyOutdated": "ReplaceIfStuck", "steps": [], "windows": []}
    scenario.user.patch(names.PLURAL, {"spec": {"paused": False, "abort": None, "strategy": mended}})
    scenario.user.scale(max(2, world.stateful_set()["spec"]["replicas"]))
    scenario.user.roll_out("kvstore:9")
