"""Since when nobody is sent to a pod any more, as far as EndpointSlices tell.

EndpointSlices carry no times. After a restart of the operator the wait begins anew: memory only ever shortens it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from statefulrollout.core.snapshot import PodView
from statefulrollout.kube import paths, views
from statefulrollout.kube.client import Kube, newest

Clock = Callable[[], float]


class Isolation:
    """Remembers since when no EndpointSlice has shown a pod as serving."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._since: dict[str, float] = {}

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock()

    async def observe(self, kube: Kube, namespace: str, pods: Sequence[PodView]) -> Mapping[str, float]:
        """Look at the EndpointSlices where a pod is on its way out, and cannot become ready again.

        They may come from a cache of the API server, if it has seen what we have seen of these pods: whatever it shows
        was so after they were written off. Raises what every read raises.
        """
        now = self._clock()
        leaving = {pod.uid: pod.version for pod in pods if _leaves_service(pod) and pod.is_written_off(now)}
        serving: frozenset[str] = frozenset()
        if leaving.keys() - self._since.keys():
            slices = await kube.list_all(paths.endpointslices(namespace), since=newest(*leaving.values()))
            serving, now = views.serving_endpoints_of(slices), self._clock()
        self._since = {uid: self._since.get(uid, now) for uid in leaving.keys() - serving}
        return self._since


def _leaves_service(pod: PodView) -> bool:
    """Whether its gate was closed so that it may leave."""
    return pod.gated and pod.facts is not None and bool(pod.facts.wanted)
