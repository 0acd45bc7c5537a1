"""Who disturbs a rollout: one function for each deed. None waits; what lasts a while ends by itself.

Users change their minds, the operator dies, the network is slow, the application misbehaves, the cluster loses a node.
`MISCHIEF` is the list of them all, with the arguments that each takes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

import aiohttp

from statefulrollout.api import names
from statefulrollout.errors import ApiError
from tests.simulation.drains import ASK_SECONDS, Drain, ask_for_eviction_of
from tests.simulation.scenario import Scenario
from tests.simulation.stories.story import Value
from tests.simulation.world.apiserver import USER
from tests.simulation.world.application import Reaction, Silence
from tests.simulation.world.network import Silent
from tests.simulation.world.refusals import refused
from tests.simulation.world.rest import Request
from tests.simulation.world.world import NAME, NAMESPACE

LIE = 200
"""A scripted success: nothing was done for it."""
DRAIN_ATTEMPTS = 6

# Users.


def roll_out(scenario: Scenario, version: int) -> None:
    """Another template, or an earlier one again."""
    scenario.user.roll_out(f"kvstore:{version}")


def roll_out_badly(scenario: Scenario, fault: str) -> None:
    """A template whose pods do not become ready, or not for long."""
    behaviour: dict[str, object] = {"crash_after": 3.0} if fault == "crash_after" else {fault: True}
    scenario.user.roll_out(f"kvstore:{fault}", **behaviour)


def scale(scenario: Scenario, replicas: int) -> None:
    """More pods, or fewer."""
    scenario.user.scale(replicas)


def pause(scenario: Scenario, paused: int) -> None:
    """Pause, or go on."""
    _patch_rollout(scenario, {"paused": bool(paused)})


def abort(scenario: Scenario, wanted: int) -> None:
    """Give the wanted revision up, or go on with it."""
    found = scenario.world.server.find(names.PLURAL, NAMESPACE, NAME)
    if found and found["spec"]["strategy"].get("reversible", True):
        _patch_rollout(scenario, {"abort": {"revision": scenario.wanted} if wanted else None})


def promote(scenario: Scenario, step: int) -> None:
    """Go on from a step."""
    _patch_rollout(scenario, {"promote": {"revision": scenario.wanted, "step": step}})


def retry(scenario: Scenario, nonce: int) -> None:
    """Try the wanted revision again, if it has failed; it is not given up any more."""
    _patch_rollout(scenario, {"abort": None, "retry": {"revision": scenario.wanted, "nonce": nonce}})


def override(scenario: Scenario, guard: str) -> None:
    """Pass a guard over in the present rollout."""
    _patch_rollout(scenario, {"override": {"revision": scenario.wanted, "guards": [guard]}})


def lead(scenario: Scenario, ordinal: int) -> None:
    """Another pod is the leader."""
    scenario.user.lead(ordinal)


def change_strategy(scenario: Scenario, limit: int) -> None:
    """Another budget."""
    _patch_rollout(scenario, {"strategy": {"maxUnavailable": limit}})


def write_partition(scenario: Scenario, partition: int, limit: int) -> None:
    """A deployment tool writes the StatefulSet's update strategy."""
    rolling = {"partition": partition, "maxUnavailable": limit}
    scenario.user.set_strategy({"type": "RollingUpdate", "rollingUpdate": rolling})


def delete_pod(scenario: Scenario, ordinal: int, grace: int) -> None:
    """`kubectl delete pod`, with force where the grace is 0."""
    if scenario.world.server.find("pods", NAMESPACE, f"{NAME}-{ordinal}"):
        scenario.user.delete_pod(ordinal, grace=grace)


def evict_pod(scenario: Scenario, ordinal: int) -> None:
    """What `kubectl drain` does to one pod."""
    pod = scenario.world.server.find("pods", NAMESPACE, f"{NAME}-{ordinal}")
    if pod is not None:
        with contextlib.suppress(ApiError):
            ask_for_eviction_of(scenario.world, pod)


def drain_node(scenario: Scenario, number: int) -> None:
    """`kubectl drain`: a node is cordoned, and its pods evicted, those that are refused again later."""
    node = scenario.world.kubelet.nodes[number % len(scenario.world.kubelet.nodes)]
    drain = Drain(scenario, node)
    for attempt in range(DRAIN_ATTEMPTS):
        _later(scenario, ASK_SECONDS * attempt, f"{node} is drained", drain.ask)


def delete_rollout(scenario: Scenario, seconds: float) -> None:
    """The StatefulRollout is deleted, and applied again some time later."""
    world = scenario.world
    found = world.server.find(names.PLURAL, NAMESPACE, NAME)
    if found is None:
        return
    scenario.user.delete_rollout()

    def apply_again() -> None:
        if world.server.find(names.PLURAL, NAMESPACE, NAME) is None:
            world.server.create(names.PLURAL, NAMESPACE, {"metadata": {"name": NAME}, "spec": found["spec"]}, USER)

    _later(scenario, seconds, "the StatefulRollout is applied again", apply_again)


# The operator.


def burden(scenario: Scenario, load: int) -> None:
    """The application has so much to do from now on."""
    scenario.world.application.load = load


def kill_leader(scenario: Scenario) -> None:
    """SIGKILL to whoever leads; the kubelet starts it again."""
    scenario.operator.crash()


def crash_at_write(scenario: Scenario, number: int, when: str) -> None:
    """SIGKILL at one of the next writes: before it takes effect, after, or so that it takes effect late."""
    match when:
        case "before":
            scenario.operator.crash_before_call(number, writes_only=True)
        case "after":
            scenario.operator.crash_after_call(number, writes_only=True)
        case _:
            scenario.operator.crash_during_call(number, float(when), writes_only=True)


def freeze_leader(scenario: Scenario, seconds: float) -> None:
    """SIGSTOP to whoever leads, and SIGCONT later."""
    leader = scenario.operator.leader
    if leader is not None:
        leader.link.freeze()
        _later(scenario, seconds, f"{leader.name} is thawed", leader.link.thaw)


def replace_operator(scenario: Scenario) -> None:
    """SIGTERM to every replica: an upgrade of the operator."""
    scenario.operator.replace()


def stop_operator(scenario: Scenario, seconds: float) -> None:
    """No operator for a while."""
    scenario.operator.kill()
    _later(scenario, seconds, "operator starts", scenario.operator.start)


# The network and the API server.


def delay_watches(scenario: Scenario, delay: float, seconds: float) -> None:
    """Watch events arrive late."""
    for process in scenario.operator.processes.values():
        process.link.watch_seconds = delay
        _later(scenario, seconds, "watches are quick again", process.link.hurry)


def delay_lists(scenario: Scenario, delay: float, seconds: float) -> None:
    """The API server's cache lags behind what its watches tell."""
    for process in scenario.operator.processes.values():
        process.link.cache_seconds = delay
        _later(scenario, seconds, "the cache is quick again", process.link.hurry)


def repeat_watches(scenario: Scenario) -> None:
    """Every watch event arrives twice from now on."""
    for process in scenario.operator.processes.values():
        process.link.repeats = True


def break_watches(scenario: Scenario, forget: int) -> None:
    """Every watch breaks, and what was is forgotten or not."""
    if forget:
        scenario.world.network.forget()
    else:
        scenario.world.network.break_streams()


def refuse_requests(scenario: Scenario, status: int, count: int) -> None:
    """The API server refuses the next requests."""

    def refuse(_: Request) -> None:
        raise refused(status, "Simulated", "not now", 1.0 if status in (429, 503) else None)

    _for_the_next(scenario, scenario.world.network.before, count, refuse)


def lose_requests(scenario: Scenario, how: str, count: int) -> None:
    """The next requests get no answer; they take effect (`after`) or do not (`before`), quickly or in silence."""
    when, _, kind = how.partition(" ")

    def lose(_: Request) -> None:
        raise Silent if kind == "silent" else aiohttp.ServerDisconnectedError

    network = scenario.world.network
    _for_the_next(scenario, network.before if when == "before" else network.after, count, lose)


# The application and its pods.


def kill_container(scenario: Scenario, ordinal: int) -> None:
    """The application of a pod dies."""
    pod = scenario.world.server.find("pods", NAMESPACE, f"{NAME}-{ordinal}")
    if pod is not None and scenario.world.kubelet.is_running(pod):
        scenario.world.kubelet.kill_container(pod)


def ask_twice(scenario: Scenario, count: int) -> None:
    """The next requests to hooks arrive twice."""
    scenario.world.application.doubled += count


def misbehave(scenario: Scenario, hook: str, how: str, count: int) -> None:
    """The next requests to a hook are answered badly, or not at all."""
    reaction: Reaction = Silence(how) if how in ("hang", "refuse") else LIE if how == "lie" else int(how)
    scenario.world.application.script(hook, *[reaction] * count)


# The cluster.


def lose_node(scenario: Scenario, number: int, seconds: float) -> None:
    """A node loses its power, and is back later."""
    world = scenario.world
    node = world.kubelet.nodes[number % len(world.kubelet.nodes)]
    if node not in world.kubelet.down:
        world.nodes.lose(node)
        _later(scenario, seconds, f"{node} is back", lambda: world.nodes.restore(node))


def cordon(scenario: Scenario, number: int) -> None:
    """A node takes no new pods from now on."""
    nodes = scenario.world.kubelet.nodes
    scenario.user.cordon(nodes[number % len(nodes)])


def delay_controller(scenario: Scenario, seconds: float) -> None:
    """The StatefulSet controller hears of nothing for a while."""
    controller = scenario.world.stateful_set_controller
    for informer in (controller.pods, controller.sets):
        informer.hold()
        _later(scenario, seconds, "the controller hears again", informer.resume)


def delay_endpoints(scenario: Scenario, lag: float) -> None:
    """EndpointSlices follow the pods that late from now on."""
    scenario.world.endpoints.lag = lag


def delay_kubelet(scenario: Scenario, lag: float) -> None:
    """What the kubelet says of a pod's gates is that old from now on."""
    scenario.world.kubelet.lag = lag


def lose_webhook(scenario: Scenario, seconds: float) -> None:
    """Pods are created, and evicted, without asking the operator for a while."""
    webhooks = scenario.world.webhook, scenario.world.evictions

    def switch(up: bool) -> None:
        for webhook in webhooks:
            webhook.up = up

    switch(False)
    _later(scenario, seconds, "the webhook is back", lambda: switch(True))


def _later(scenario: Scenario, seconds: float, what: str, action: Callable[[], None]) -> None:
    scenario.later.append(scenario.world.timeline.after(seconds, what, action))


def _patch_rollout(scenario: Scenario, spec: Mapping[str, object]) -> None:
    if scenario.world.server.find(names.PLURAL, NAMESPACE, NAME):
        scenario.user.patch(names.PLURAL, {"spec": spec})


def _for_the_next(
    scenario: Scenario, scripts: list[Callable[[Request], None]], count: int, deed: Callable[[Request], None]
) -> None:
    left = count

    def script(request: Request) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            scripts.remove(script)
        deed(request)

    scripts.append(script)


BAD = ("crash", "bad_image", "never_ready", "crash_after")
HOOKS = ("drain", "members", "migrate", "restore", "health", "role", "load", "prepare")
REACTIONS = ("503", "202", "500", "404", "hang", "refuse", "lie")
SECONDS = (1.0, 5.0, 20.0, 60.0, 300.0)

MISCHIEF: Mapping[Callable[..., None], tuple[tuple[Value, ...], ...]] = {
    roll_out: ((2, 1, 3),),
    kill_container: ((0, 1, 2, 3),),
    delete_pod: ((0, 1, 2, 3), (30, 1, 0)),
    scale: ((3, 2, 1, 4, 5, 0),),
    pause: ((1, 0),),
    abort: ((1, 0),),
    promote: ((1, 2),),
    retry: ((1, 2),),
    override: (
        (
            "pace_is_respected",
            "application_checks_pass",
            "earlier_roles_have_arrived",
            "remaining_capacity_carries_the_load",
            "rollout_is_prepared",
        ),
    ),
    lead: ((0, 1, 2),),
    burden: ((0, 15, 25, 35),),
    kill_leader: (),
    crash_at_write: (tuple(range(1, 13)), ("before", "after", "0.5", "3.0", "30.0")),
    freeze_leader: (SECONDS,),
    replace_operator: (),
    stop_operator: (SECONDS,),
    roll_out_badly: (BAD,),
    ask_twice: ((1, 5),),
    drain_node: ((0, 1, 2),),
    misbehave: (HOOKS, REACTIONS, (1, 3, 20)),
    change_strategy: ((1, 2, 3),),
    write_partition: ((0, 1, 2), (1, 3)),
    evict_pod: ((0, 1, 2, 3),),
    delete_rollout: (SECONDS,),
    delay_watches: (SECONDS, SECONDS),
    delay_lists: (SECONDS, SECONDS),
    repeat_watches: (),
    break_watches: ((0, 1),),
    refuse_requests: ((503, 429, 500, 403), (1, 3, 10)),
    lose_requests: (("before reset", "after reset", "before silent", "after silent"), (1, 3)),
    cordon: ((0, 1, 2),),
    lose_node: ((0, 1, 2), SECONDS),
    delay_controller: (SECONDS,),
    delay_endpoints: ((0.1, 1.0, 5.0),),
    delay_kubelet: ((0.5, 2.0, 5.0),),
    lose_webhook: (SECONDS,),
}
"""Every deed, and for each of its arguments the values that it may have, the mildest first."""
DEEDS: Mapping[str, Callable[..., None]] = {deed.__name__: deed for deed in MISCHIEF}
