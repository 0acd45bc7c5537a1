"""Raw objects in, views out: the only file that knows where Kubernetes keeps what.

Nothing is guessed: a field that is missing becomes the value that the core judges as "not known". Times become
seconds since the epoch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from statefulrollout.api import names
from statefulrollout.core.snapshot import (
    BudgetView,
    ContainerView,
    Facts,
    PodCondition,
    PodView,
    Restart,
    ServiceView,
    StatefulSetView,
)

Json = Mapping[str, Any]

HOSTNAME_LABEL = "kubernetes.io/hostname"


def seconds_of(timestamp: str | None) -> float | None:
    """An RFC 3339 time as seconds since the epoch."""
    return None if not timestamp else datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def belongs_to(item: Json, uid: str) -> bool:
    """Whether the owner with this UID controls the object."""
    owner = controller_of(item["metadata"])
    return owner is not None and owner["uid"] == uid


def controller_of(metadata: Json) -> Json | None:
    """The owner reference of the object's controller."""
    return next((owner for owner in metadata.get("ownerReferences") or () if owner.get("controller")), None)


def stateful_set_over(metadata: Json) -> str | None:
    """Name of the StatefulSet that controls the object; None where none does."""
    owner = controller_of(metadata)
    ours = owner is not None and owner["kind"] == "StatefulSet" and owner["apiVersion"].startswith("apps/")
    return str(owner["name"]) if owner is not None and ours else None


def selector_of(label_selector: Json) -> str:
    """A `LabelSelector` in the form of the `labelSelector` parameter."""
    parts = [f"{key}={value}" for key, value in (label_selector.get("matchLabels") or {}).items()]
    for rule in label_selector.get("matchExpressions") or ():
        key, operator, values = rule["key"], rule["operator"], ",".join(rule.get("values") or ())
        parts.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[operator]
        )
    return ",".join(parts)


def selects(label_selector: Json | None, labels: Mapping[str, str]) -> bool:
    """Whether a `LabelSelector` matches; None matches nothing, an empty one everything."""
    if label_selector is None:
        return False
    if any(labels.get(key) != value for key, value in (label_selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(rule, labels) for rule in label_selector.get("matchExpressions") or ())


def _holds(rule: Json, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(rule["key"]), rule.get("values") or ()
    match rule["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None


def stateful_set_of(raw: Json) -> StatefulSetView:
    """Read a StatefulSet."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    owner = controller_of(metadata)
    containers = spec["template"]["spec"].get("containers") or ()
    named, numbered = _ports_of(containers)
    return StatefulSetView(
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        observed_generation=status.get("observedGeneration", 0),
        replicas=spec.get("replicas", 1),
        start_ordinal=(spec.get("ordinals") or {}).get("start", 0),
        current_revision=status.get("currentRevision", ""),
        update_revision=status.get("updateRevision", ""),
        ordered=spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady",
        update_strategy=spec.get("updateStrategy") or {},
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        version=metadata.get("resourceVersion", ""),
        containers=frozenset(container["name"] for container in containers),
        ports=named,
        numbered_ports=numbered,
        port_numbers=port_numbers_of(spec["template"]["spec"]),
        selector=spec["selector"],
        controller=f"{owner['kind']}/{owner['name']}" if owner else "",
        strategy_writers=tuple(sorted(set(_writers_of(metadata.get("managedFields") or ())))),
    )


def _writers_of(managed_fields: Iterable[Json]) -> Iterable[str]:
    """Who else wrote the partition; at its creation a StatefulSet's creator has, by default."""
    for entry in managed_fields:
        owned = ((entry.get("fieldsV1") or {}).get("f:spec") or {}).get("f:updateStrategy") or {}
        partition = "f:partition" in (owned.get("f:rollingUpdate") or {})
        if partition and entry.get("manager") != names.FIELD_MANAGER:
            yield entry.get("manager") or "unknown"


def _ports_of(containers: Iterable[Json]) -> tuple[dict[str, frozenset[str]], dict[int, frozenset[str]]]:
    named: dict[str, frozenset[str]] = {}
    numbered: dict[int, frozenset[str]] = {}
    for container in containers:
        for port in container.get("ports") or ():
            number = port["containerPort"]
            numbered[number] = numbered.get(number, frozenset()) | {container["name"]}
            if port.get("name"):
                named[port["name"]] = named.get(port["name"], frozenset()) | {container["name"]}
    return named, numbered


def pod_of(raw: Json) -> PodView:
    """Read a pod of a StatefulSet."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    labels = metadata.get("labels") or {}
    conditions = {
        condition["type"]: PodCondition(
            status=condition.get("status") == "True",
            since=seconds_of(condition.get("lastTransitionTime")) or 0.0,
            reason=condition.get("reason") or "",
        )
        for condition in status.get("conditions") or ()
    }
    return PodView(
        name=metadata["name"],
        uid=metadata["uid"],
        ordinal=_ordinal_of(metadata["name"]),
        revision=labels.get(names.REVISION_LABEL, ""),
        created=seconds_of(metadata.get("creationTimestamp")) or 0.0,
        version=metadata.get("resourceVersion", ""),
        ip=status.get("podIP") or "",
        node=spec.get("nodeName") or "",
        phase=status.get("phase") or "Pending",
        deleting_since=seconds_of(metadata.get("deletionTimestamp")),
        labels=labels,
        fenced=labels.get(names.FENCED_LABEL) == "true",
        gated=any(gate.get("conditionType") == names.SERVING for gate in spec.get("readinessGates") or ()),
        conditions=conditions,
        facts=facts_of((metadata.get("annotations") or {}).get(names.FACTS_ANNOTATION)),
        containers=tuple(_container_of(container) for container in status.get("containerStatuses") or ()),
        ports=port_numbers_of(spec),
        unschedulable=_unschedulable(status),
        claims=tuple(_claims_of(spec)),
        eviction_asked=_time_in((metadata.get("annotations") or {}).get(names.EVICTION_ANNOTATION)),
    )


def _time_in(text: str | None) -> float | None:
    try:
        return seconds_of(text)
    except ValueError:
        return None


def _claims_of(pod_spec: Json) -> Iterator[str]:
    for volume in pod_spec.get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            yield claim["claimName"]


def port_numbers_of(pod_spec: Json) -> dict[str, int]:
    """Names of the ports that a pod declares, and their numbers."""
    return {
        port["name"]: port["containerPort"]
        for container in pod_spec.get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("name")
    }


def _ordinal_of(name: str) -> int:
    tail = name.rpartition("-")[2]
    return int(tail) if tail.isdigit() else -1


def _unschedulable(status: Json) -> str:
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return f"not scheduled: {condition.get('message', '')}"
    return ""


def _container_of(raw: Json) -> ContainerView:
    state, last = raw.get("state") or {}, raw.get("lastState") or {}
    waiting, running = state.get("waiting") or {}, state.get("running") or {}
    ended = state.get("terminated") or last.get("terminated") or {}
    return ContainerView(
        name=raw["name"],
        id=raw.get("containerID") or "",
        running="running" in state,
        since=seconds_of(running.get("startedAt")) or 0.0,
        ready=bool(raw.get("ready")),
        restarts=raw.get("restartCount", 0),
        waiting_reason=waiting.get("reason") or "",
        waiting_message=waiting.get("message") or "",
        exit_code=ended.get("exitCode"),
    )


def facts_of(annotation: str | None) -> Facts | None:
    """Read the facts annotation; what cannot be read is no fact."""
    if not annotation:
        return None
    try:
        raw = json.loads(annotation)
        containers = {str(name): str(identity) for name, identity in raw["containers"].items()}
        restart = _restart_of(raw["restart"]) if raw.get("restart") else None
        return Facts(
            wanted=str(raw["wanted"]),
            containers=containers,
            stuck=bool(raw["stuck"]),
            returning=bool(raw.get("returning")),
            restart=restart,
            withdrawn=str(raw.get("withdrawn", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _restart_of(raw: Json) -> Restart:
    return Restart({str(name): str(identity) for name, identity in raw["containers"].items()}, float(raw["at"]))


def annotation_of(facts: Facts) -> str:
    """Write the facts annotation."""
    content: dict[str, object] = {"wanted": facts.wanted, "containers": dict(facts.containers), "stuck": facts.stuck}
    if facts.returning:
        content["returning"] = True
    if facts.restart:
        content["restart"] = {"containers": dict(facts.restart.containers), "at": facts.restart.at}
    if facts.withdrawn:
        content["withdrawn"] = facts.withdrawn
    return json.dumps(content, separators=(",", ":"), sort_keys=True)


def is_anchored(volume: Json, node: str) -> bool:
    """Whether a PersistentVolume can be mounted on this node alone.

    Every term of its node affinity names just this node: by `kubernetes.io/hostname`, or by a label of the driver's own
    whose value is the node's name.
    """
    required = ((volume["spec"].get("nodeAffinity") or {}).get("required")) or {}
    terms = required.get("nodeSelectorTerms") or ()
    return bool(terms) and all(_names_only(term, node) for term in terms)


def _names_only(term: Json, node: str) -> bool:
    requirements = [*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ())]
    return any(
        each["operator"] == "In"
        and len(each["values"]) == 1
        and (each["key"] == HOSTNAME_LABEL or each["values"] == [node])
        for each in requirements
    )


def template_of(controller_revision: Json) -> Json:
    """The pod template that a ControllerRevision of a StatefulSet keeps."""
    template: Json = controller_revision["data"]["spec"]["template"]
    return {name: value for name, value in template.items() if name != "$patch"}


def budget_of(raw: Json, pods: Iterable[PodView]) -> BudgetView:
    """Read a PodDisruptionBudget as far as it concerns these pods."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    selector = raw["spec"].get("selector")
    return BudgetView(
        name=metadata["name"],
        disruptions_allowed=status.get("disruptionsAllowed", 0),
        pods=frozenset(pod.uid for pod in pods if selects(selector, pod.labels)),
        observed=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
    )


def service_of(raw: Json, port_numbers: Mapping[str, int] | None = None) -> ServiceView:
    """Read a Service that a call names.

    A headless one is reached by its DNS name, which leads to the pods themselves and so to their ports;
    `port_numbers` are those that the pods declare, for a target port that is a name.
    """
    metadata, spec = raw["metadata"], raw["spec"]
    address = spec.get("clusterIP") or ""
    headless = address in ("", "None")
    ports: dict[str, int] = {}
    for port in spec.get("ports") or ():
        aim = port.get("targetPort", port["port"]) if headless else port["port"]
        number = (port_numbers or {}).get(aim) if isinstance(aim, str) else aim
        if number is not None:
            ports[port.get("name") or str(port["port"])] = number
    return ServiceView(
        name=metadata["name"],
        host=f"{metadata['name']}.{metadata['namespace']}.svc" if headless else address,
        ports=ports,
        selects_pods=bool(spec.get("selector")),
    )


def serving_endpoints_of(slices: Iterable[Json]) -> frozenset[str]:
    """UIDs of the pods that an EndpointSlice shows as serving.

    `serving` follows the pod's readiness even where a Service publishes not-ready addresses, `ready` does not.
    """
    return frozenset(
        endpoint["targetRef"]["uid"]
        for endpoint_slice in slices
        for endpoint in endpoint_slice.get("endpoints") or ()
        if (endpoint.get("targetRef") or {}).get("kind") == "Pod"
        and (endpoint.get("conditions") or {}).get("serving", True) is not False
    )
