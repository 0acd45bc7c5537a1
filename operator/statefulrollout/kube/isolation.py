"""Since when nobody is sent to a pod any more, as far as EndpointSlices tell.

EndpointSlices carry no times. After a restart of the operator the wait begins anew: memory only ever shortens it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from statefulrollout.core.snapshot import PodView
from statefulrollout.kube import paths, views
from statefulrollout.kube.client import Kube

Clock = Callable[[], float]


class Isolation:
    """Remembers since when no EndpointSlice has shown a pod as serving."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._since: dict[str, float] = {}

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock()

    async def observe(
        self, kube: Kube, namespace: str, pods: Sequence[PodView], serving: frozenset[str] | None = None
    ) -> Mapping[str, float]:
        """Look at the EndpointSlices where a pod is on its way out, and cannot become ready again.

        `serving` is what was seen in them just now; they are read where nobody has looked.
        """
        now = self._clock()
        leaving = {pod.uid for pod in pods if leaves_service(pod) and pod.is_written_off(now)}
        if serving is None and leaving - self._since.keys():
            serving = await fetch_serving(kube, namespace)
            now = self._clock()
        self._since = {uid: self._since.get(uid, now) for uid in leaving - (serving or frozenset())}
        return self._since


def leaves_service(pod: PodView) -> bool:
    """Whether its gate was closed so that it may leave."""
    return pod.gated and pod.facts is not None and bool(pod.facts.wanted)


async def fetch_serving(kube: Kube, namespace: str) -> frozenset[str]:
    """UIDs of the pods that an EndpointSlice shows as serving. Raises what every read raises."""
    return views.serving_endpoints_of(await kube.list_all(paths.endpointslices(namespace)))
