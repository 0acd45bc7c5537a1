"""The operator's Prometheus metrics: few, each the answer to a question somebody asks at night.

Whoever does the thing counts it. Names end in their unit, labels have few values: never the name
of an object or a message. `docs/` and the alerts refer to these names.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from statefulrollout.kube.paths import resource_of

# A second series for the creation time of each counter, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

LEADER = Gauge("statefulrollout_leader", "1 on the replica that holds the Lease and moves pods, 0 on a standby.")

API_REQUESTS = Counter(
    "statefulrollout_api_requests_total",
    "Requests to the API server; code is the HTTP status, or 'none' where no answer came.",
    ["verb", "resource", "code"],
)

API_RECEIVED = Counter(
    "statefulrollout_api_received_bytes_total",
    "Bytes of the API server's answers and of its watch events, without headers.",
    ["verb", "resource"],
)

RELISTS = Counter(
    "statefulrollout_reflector_relists_total",
    "Times a watch had to start over with a full list; more than a few an hour means that watches break.",
    ["resource"],
)

QUEUE_DEPTH = Gauge("statefulrollout_queue_depth", "Rollouts that wait for a worker.")

RECONCILES = Counter(
    "statefulrollout_reconciles_total",
    "Passes over one rollout; result is 'ok', 'refused' (API server), 'unavailable', 'timeout' or 'bug'.",
    ["result"],
)

RECONCILE_SECONDS = Histogram(
    "statefulrollout_reconcile_seconds",
    "Duration of one pass over one rollout.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)

WEBHOOK_REVIEWS = Counter(
    "statefulrollout_webhook_reviews_total",
    "Pods judged at creation; decision is 'injected', 'present', 'not_targeted', 'no_leader' or 'malformed'.",
    ["decision"],
)

EVICTION_REVIEWS = Counter(
    "statefulrollout_eviction_reviews_total",
    "Requests to evict a pod; decision is 'passed', 'held', 'not_targeted' or 'unjudged'.",
    ["decision"],
)

EVENTS_DROPPED = Counter(
    "statefulrollout_events_dropped_total", "Kubernetes events not written: too many for one object, or refused."
)

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def count_request(method: str, path: str, params: Mapping[str, str] | None, code: str) -> None:
    """Count one request; `code` is the HTTP status of its answer, or `none`."""
    API_REQUESTS.labels(*_labels_of(method, path, params), code).inc()


def count_received(method: str, path: str, params: Mapping[str, str] | None, size: int) -> None:
    """Count so many bytes of an answer."""
    API_RECEIVED.labels(*_labels_of(method, path, params)).inc(size)


def _labels_of(method: str, path: str, params: Mapping[str, str] | None) -> tuple[str, str]:
    """The verb as Kubernetes calls it, and the resource."""
    resource, is_object = resource_of(path)
    if method == "GET":
        return "watch" if params and "watch" in params else "get" if is_object else "list", resource
    return _VERBS[method], resource
