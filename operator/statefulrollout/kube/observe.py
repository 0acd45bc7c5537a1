"""Makes one snapshot of everything that one rollout rests on, as the API server tells it.

What is costly is read only where it is needed: EndpointSlices while a pod is being
isolated, claims where the set deletes them, templates and zones where the strategy asks for them; and what only the
choice of a pod looks at (`survey.py`) once one may go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from statefulrollout.api.v1alpha1 import OrderBy, PodUpdate, Spec
from statefulrollout.api.walk import calls_of
from statefulrollout.core.asks import Report
from statefulrollout.core.evicting import is_evicted
from statefulrollout.core.ordering import ZONE_LABEL
from statefulrollout.core.snapshot import PodView, ServiceView, Snapshot, StatefulSetView
from statefulrollout.core.validation import Problem
from statefulrollout.errors import NotFound
from statefulrollout.kube import paths, views
from statefulrollout.kube.budgets import list_budgets
from statefulrollout.kube.client import Kube
from statefulrollout.kube.memory import Memory
from statefulrollout.kube.survey import survey, with_budgets
from statefulrollout.kube.workload import Rollouts, Workload, dependencies_of, rollout_of, spec_of
from statefulrollout.kube.zones import Zones


async def observe(
    kube: Kube,
    rollouts: Rollouts,
    workload: Workload,
    reports: Mapping[str, Report],
    memory: Memory,
) -> Snapshot | tuple[Problem, ...] | None:
    """Make a snapshot for the rollout that rolls the workload, or say why its spec cannot be read.

    Its surroundings are unknown where pods are to leave: see `survey`, also for None.
    """
    raw = rollouts.ours[0]
    spec = spec_of(raw)
    if not isinstance(spec, Spec):
        return spec
    namespace = raw["metadata"]["namespace"]
    isolated, services = await asyncio.gather(
        memory.isolation.observe(kube, namespace, workload.pods),
        _fetch_services(kube, namespace, spec, workload.target),
    )
    seen = Snapshot(
        rollout=rollout_of(raw, spec),
        target=workload.target,
        pods=workload.pods,
        ledger=workload.ledger,
        reports=reports,
        isolated=isolated,
        services=services,
        dependencies={each["metadata"]["name"]: dependencies_of(each) for each in rollouts.all},
        surveyed=False,
    )
    target = workload.target
    if target is None:
        return seen
    if _rests(target, workload.pods, memory.isolation.now()):
        memory.known.pods = {}
        if memory.floor.stands(target):
            return seen
        return with_budgets(seen, target, await list_budgets(kube, namespace), memory)
    zones, templates = await asyncio.gather(
        _fetch_zones(memory.zones, spec, workload), _fetch_templates(kube, namespace, spec, workload)
    )
    seen = replace(seen, zones=zones, templates=templates)
    return await survey(kube, seen, rollouts, memory) if memory.floor.is_due() else seen


def _rests(target: StatefulSetView, pods: Sequence[PodView], now: float) -> bool:
    """Whether no pod is to leave, nor may have to."""
    return all(
        pod.revision == target.current_revision == target.update_revision
        and pod.ordinal in target.ordinals
        and not is_evicted(pod, now)
        for pod in pods
    )


async def _fetch_zones(zones: Zones, spec: Spec, workload: Workload) -> Mapping[str, str]:
    order = spec.strategy.order
    if order.by is not OrderBy.ZONE:
        return {}
    return await zones.of({pod.node for pod in workload.pods}, order.topology_key or ZONE_LABEL)


async def _fetch_templates(
    kube: Kube, namespace: str, spec: Spec, workload: Workload
) -> Mapping[str, Mapping[str, Any]]:
    """The pod templates of the set's revisions, where a pod may be updated in place."""
    target = workload.target
    if spec.strategy.pod_update is PodUpdate.RECREATE or target is None:
        return {}
    selector = {"labelSelector": views.selector_of(workload.raw["spec"]["selector"])}
    listed = await kube.list_all(paths.controllerrevisions(namespace), params=selector)
    return {raw["metadata"]["name"]: views.template_of(raw) for raw in listed if views.belongs_to(raw, target.uid)}


async def _fetch_services(
    kube: Kube, namespace: str, spec: Spec, target: StatefulSetView | None
) -> dict[str, ServiceView]:
    numbers = target.port_numbers if target else {}
    found: dict[str, ServiceView] = {}
    for name in sorted({call.service.name for _, call in calls_of(spec) if call.service}):
        try:
            found[name] = views.service_of(await kube.call("GET", paths.services(namespace, name)), numbers)
        except NotFound:
            continue
    return found
