"""Where the resources that the operator uses live in the API.

`pods("shop", "kvstore-3", "status")` is `/api/v1/namespaces/shop/pods/kvstore-3/status`; without a namespace it is
the list over all of them. No other file spells a path out, and `resource_of` reads one back for metrics.
"""

from __future__ import annotations

from dataclasses import dataclass

from statefulrollout.api import names


@dataclass(frozen=True)
class Resource:
    """A resource of one API group; calling it gives the path of a list, an object or a subresource."""

    root: str
    plural: str

    def __call__(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Path of the list (of one namespace, or of all), of the object `name`, or of its subresource."""
        scope = [] if namespace is None else ["namespaces", namespace]
        tail = [part for part in (name, subresource) if part is not None]
        return "/".join([self.root, *scope, self.plural, *tail])


nodes = Resource("/api/v1", "nodes")
pods = Resource("/api/v1", "pods")
services = Resource("/api/v1", "services")
secrets = Resource("/api/v1", "secrets")
persistentvolumes = Resource("/api/v1", "persistentvolumes")
persistentvolumeclaims = Resource("/api/v1", "persistentvolumeclaims")
statefulsets = Resource("/apis/apps/v1", "statefulsets")
controllerrevisions = Resource("/apis/apps/v1", "controllerrevisions")
endpointslices = Resource("/apis/discovery.k8s.io/v1", "endpointslices")
poddisruptionbudgets = Resource("/apis/policy/v1", "poddisruptionbudgets")
events = Resource("/apis/events.k8s.io/v1", "events")
leases = Resource("/apis/coordination.k8s.io/v1", "leases")
mutatingwebhookconfigurations = Resource("/apis/admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations")
validatingwebhookconfigurations = Resource("/apis/admissionregistration.k8s.io/v1", "validatingwebhookconfigurations")
statefulrollouts = Resource(f"/apis/{names.API_VERSION}", names.PLURAL)
statefulrolloutledgers = Resource(f"/apis/{names.API_VERSION}", names.LEDGER_PLURAL)


def resource_of(path: str) -> tuple[str, bool]:
    """Read a path back: the resource with its subresource (`pods/status`), and whether it names one object.

    A path that is not of a resource (`/version`) is its own name.
    """
    parts = path.strip("/").split("/")
    match parts:
        case ["api", _, *rest] | ["apis", _, _, *rest] if rest:
            if rest[0] == "namespaces" and len(rest) > 2:
                rest = rest[2:]
            return "/".join([rest[0], *rest[2:3]]), len(rest) > 1
        case _:
            return path, False
