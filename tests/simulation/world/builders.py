"""Worlds and their objects for tests: everything has a default, tests name what matters to them."""

from __future__ import annotations

from typing import Any

from statefulrollout.api import names
from statefulrollout.core.ordering import ZONE_LABEL
from tests.simulation.world.apiserver import USER
from tests.simulation.world.objects import Json, is_true, merge_patched, strategic_merge_patched, timestamp
from tests.simulation.world.podtemplate import UNREACHABLE_PARTITION
from tests.simulation.world.volumes import CLASS
from tests.simulation.world.world import NAME, NAMESPACE, World

LABELS = {"app": NAME}
HOLD: Json = {"type": "RollingUpdate", "rollingUpdate": {"partition": UNREACHABLE_PARTITION}}
"""The update strategy under which pods come back at the current revision."""
SPEC: Json = {
    "targetRef": {"name": NAME},
    "strategy": {"soakSeconds": 2},
    "drain": {"apply": {"http": {"port": "admin", "path": "/drain"}}, "propagationSeconds": 1},
    "membership": {"apply": {"http": {"port": "admin", "path": "/members"}, "target": "AnyPeer"}},
}


def by_command(tree: Any) -> Any:
    """The same spec, as a patch of `SPEC`, with a command in the container for every HTTP request."""
    if isinstance(tree, list):
        return [without_nulls(by_command(entry)) for entry in tree]
    if not isinstance(tree, dict):
        return tree.replace("status == 200", "exitCode == 0") if isinstance(tree, str) else tree
    given = {name: by_command(value) for name, value in tree.items() if name != "http"}
    if "http" not in tree:
        return given
    words = ["ctl", tree["http"].get("method", "POST"), tree["http"]["path"]]
    return {**given, "http": None, "exec": {"container": NAME, "command": words}}


def without_nulls(tree: Any) -> Any:
    """What a patch with these nulls leaves: inside a list they would stay."""
    if not isinstance(tree, dict):
        return tree
    return {name: without_nulls(value) for name, value in tree.items() if value is not None}


def a_template(image: str = "kvstore:1", **behaviour: Any) -> Json:
    """A pod template; `behaviour` are the fields of `kubelet.Behaviour`."""
    notes = {f"sim/{name.replace('_', '-')}": str(value).lower() for name, value in behaviour.items()}
    ports = [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 8081}]
    container = {"name": "kvstore", "image": image, "ports": ports}
    return {
        "metadata": {"labels": LABELS, "annotations": notes},
        "spec": {"terminationGracePeriodSeconds": 30, "containers": [container]},
    }


def a_stateful_set(replicas: int = 5, policy: str = "OrderedReady", **spec: Any) -> Json:
    """A StatefulSet; `spec` overrides its fields."""
    return {
        "metadata": {"name": NAME, "labels": LABELS},
        "spec": {
            "replicas": replicas,
            "podManagementPolicy": policy,
            "serviceName": NAME,
            "selector": {"matchLabels": LABELS},
            "template": a_template(),
            **spec,
        },
    }


LOCAL_VOLUMES: Json = {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": CLASS}}]}
"""Fields of a StatefulSet whose pods can come back on their own node alone."""


def a_service(name: str = NAME) -> Json:
    """A Service that selects the pods."""
    ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "admin", "port": 81, "targetPort": 8081}]
    return {"metadata": {"name": name}, "spec": {"selector": LABELS, "ports": ports}}


def a_budget(**spec: Any) -> Json:
    """A PodDisruptionBudget that selects the pods; one of them may be missing unless told otherwise."""
    return {
        "metadata": {"name": NAME},
        "spec": {"selector": {"matchLabels": LABELS}, **(spec or {"maxUnavailable": 1})},
    }


async def a_world(
    replicas: int = 5,
    policy: str = "OrderedReady",
    spec: Json | None = None,
    *,
    targeted: bool = True,
    keys: int = 100,
    seed: int | None = None,
    budget: Json | None = None,
    stateful_set: Json | None = None,
    several_at_once: bool = False,
) -> World:
    """A cluster whose pods all run and serve, with a Service, and keys in their memory.

    Args:
        replicas: pods of the StatefulSet.
        policy: its `podManagementPolicy`.
        spec: merged (RFC 7386) into the StatefulRollout's default spec: null takes a field away.
        targeted: whether there is a StatefulRollout, and pods are gated from the start.
        keys: how many are written before the test begins.
        seed: makes the order of events random.
        budget: a PodDisruptionBudget.
        stateful_set: fields of its spec.
        several_at_once: the feature gate MaxUnavailableStatefulSet.
    """
    world = World(seed)
    world.server.several_at_once = several_at_once
    create = world.server.create
    for node in world.kubelet.nodes:
        create("nodes", "", {"metadata": {"name": node, "labels": {ZONE_LABEL: f"zone-{node[-1]}"}}, "spec": {}}, USER)
    create("services", NAMESPACE, a_service(), USER)
    if targeted:
        body = {"metadata": {"name": NAME}, "spec": merge_patched(SPEC, spec or {})}
        create(names.PLURAL, NAMESPACE, body, USER)
    create("statefulsets", NAMESPACE, a_stateful_set(replicas, policy, **(stateful_set or {})), USER)
    if budget is not None:
        create("poddisruptionbudgets", NAMESPACE, budget, USER)
    await world.run(until=lambda: _all_serve(world, replicas))
    await world.run(limit_seconds=5)
    world.application.write_keys(keys)
    world.history.lines.clear()
    return world


def add_neighbour(world: World, name: str, replicas: int = 2, **fields: Any) -> None:
    """Another StatefulSet in the namespace with a StatefulRollout of its own, without hooks."""
    labels = {"app": name}
    spec = {"targetRef": {"name": name}, "strategy": {"soakSeconds": 2}, **fields}
    world.server.create(names.PLURAL, NAMESPACE, {"metadata": {"name": name}, "spec": spec}, USER)
    template = merge_patched(a_template(f"{name}:1"), {"metadata": {"labels": labels}})
    stateful_set = a_stateful_set(replicas, "Parallel", selector={"matchLabels": labels}, template=template)
    stateful_set["metadata"] = {"name": name, "labels": labels}
    world.server.create("statefulsets", NAMESPACE, stateful_set, USER)


def _all_serve(world: World, replicas: int) -> bool:
    """Open the gates of new pods, as an operator would have, and say whether all pods are ready."""
    pods = world.pods()
    for pod in pods:
        if pod["spec"].get("readinessGates") and not is_true(pod, names.SERVING):
            open_gate(world, pod)
    return len(pods) == replicas and all(is_true(pod, "Ready") for pod in pods)


def open_gate(world: World, pod: Json) -> None:
    """Let a pod serve."""
    now = timestamp(world.clock())
    condition = {"type": names.SERVING, "status": "True", "lastTransitionTime": now, "reason": "Test"}
    world.server.update(
        "pods", NAMESPACE, pod["metadata"]["name"],
        lambda old: dict(strategic_merge_patched(old, {"status": {"conditions": [condition]}})), USER, "status",
    )  # fmt: skip


class User:
    """What people do to their cluster."""

    def __init__(self, world: World) -> None:
        self._world = world

    def patch(self, plural: str, patch: Json, name: str = NAME) -> None:
        """A JSON merge patch."""
        self._world.server.update(plural, NAMESPACE, name, lambda old: dict(merge_patched(old, patch)), USER)

    def say(self, **spec: Any) -> None:
        """Change fields of the StatefulRollout's spec; None removes one."""
        self.patch(names.PLURAL, {"spec": spec})

    def lead(self, ordinal: int) -> None:
        """This pod leads now; the application's agent labels it as the leader, and every other as a follower."""
        self._world.application.leader = f"{NAME}-{ordinal}"
        for pod in self._world.pods():
            name = pod["metadata"]["name"]
            role = "leader" if name == f"{NAME}-{ordinal}" else "follower"
            self.patch("pods", {"metadata": {"labels": {"role": role}}}, name)

    def roll_out(self, image: str = "kvstore:2", **behaviour: Any) -> None:
        """Change the template."""

        def change(old: Json) -> Json:
            return {**old, "spec": {**old["spec"], "template": a_template(image, **behaviour)}}

        self._world.server.update("statefulsets", NAMESPACE, NAME, change, USER)

    def roll_out_neighbour(self, name: str, image: str) -> None:
        """Change the image of another StatefulSet."""
        containers = [{**a_template()["spec"]["containers"][0], "image": image}]
        self.patch("statefulsets", {"spec": {"template": {"spec": {"containers": containers}}}}, name)

    def scale(self, replicas: int) -> None:
        """Change the number of replicas."""
        self.patch("statefulsets", {"spec": {"replicas": replicas}})

    def cordon(self, node: str, unschedulable: bool = True) -> None:
        """Let no new pod on a node, or let pods on it again."""

        def change(old: Json) -> Json:
            return {**old, "spec": {"unschedulable": True} if unschedulable else {}}

        self._world.server.update("nodes", "", node, change, USER)

    def pause(self, paused: bool = True) -> None:
        """Pause the rollout, or let it go on."""
        self.patch(names.PLURAL, {"spec": {"paused": paused}})

    def set_strategy(self, strategy: Json) -> None:
        """Overwrite the StatefulSet's update strategy, as a deployment tool would."""

        def change(old: Json) -> Json:
            return {**old, "spec": {**old["spec"], "updateStrategy": strategy}}

        self._world.server.update("statefulsets", NAMESPACE, NAME, change, USER)

    def delete_pod(self, ordinal: int, *, grace: int | None = None) -> None:
        """Delete a pod; a grace of 0 is a forced deletion."""
        self._world.server.delete("pods", NAMESPACE, f"{NAME}-{ordinal}", USER, grace=grace)

    def delete_rollout(self) -> None:
        """Delete the StatefulRollout."""
        self._world.server.delete(names.PLURAL, NAMESPACE, NAME, USER)

    def kill_container(self, ordinal: int) -> None:
        """Kill the application's container of a pod."""
        self._world.kubelet.kill_container(self._world.pod(ordinal))
