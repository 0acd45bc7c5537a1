"""The operator's Prometheus metrics: few, each the answer to a question somebody asks at night.

Only declared here; whoever does the thing counts it. Names end in their unit, labels have few values: never the name
of an object or a message. `docs/` and the alerts refer to these names.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# A second series for the creation time of each counter, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

LEADER = Gauge("statefulrollout_leader", "1 on the replica that holds the Lease and moves pods, 0 on a standby.")

API_REQUESTS = Counter(
    "statefulrollout_api_requests_total",
    "Requests to the API server; code is the HTTP status, or 'none' where no answer came.",
    ["verb", "resource", "code"],
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
