"""Every string that crosses the wire, once.

Groups, labels, annotations, condition types and reasons are an interface: users grep for them, admission
policies match them, and an older operator must recognise what a newer one wrote. Nothing else in the project
spells one of them out.
"""

GROUP = "statefulrollout.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "StatefulRollout"
PLURAL = "statefulrollouts"
LEDGER_KIND = "StatefulRolloutLedger"
LEDGER_PLURAL = "statefulrolloutledgers"
FIELD_MANAGER = "statefulrollout"

FENCED_LABEL = f"{GROUP}/fenced"
"""On every pod under the lid: the StatefulSet controller may delete it only once it is released."""

IN_MOTION_LABEL = f"{GROUP}/in-motion"
"""On a pod on its way out, or back in: the name of its StatefulSet. Nobody may evict it, not even while we are down."""

FACTS_ANNOTATION = f"{GROUP}/facts"
"""Binds a pod's conditions to the wanted revision and the container IDs they were true for (JSON)."""

EVICTION_ANNOTATION = f"{GROUP}/eviction-asked-at"
"""When somebody last asked for the pod's eviction and was told to wait (RFC 3339)."""

SERVING = f"{GROUP}/serving"
"""The readiness gate: False takes the pod out of every Service before anything else happens to it."""
DRAINED = f"{GROUP}/drained"
MIGRATED = f"{GROUP}/migrated"
RELEASED = f"{GROUP}/released"
"""The lid's key: True lets the pod be deleted."""
POD_CONDITIONS = (SERVING, DRAINED, MIGRATED, RELEASED)

REVISION_LABEL = "controller-revision-hash"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"

HOOKS_API_VERSION = f"hooks.{GROUP}/v1"

READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"
PAUSED = "Paused"
DEGRADED = "Degraded"
OVERRIDDEN = "Overridden"
CONDITIONS = (READY, RECONCILING, STALLED, PAUSED, DEGRADED, OVERRIDDEN)
