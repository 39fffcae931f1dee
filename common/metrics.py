"""Prometheus metrics shared by every app; an app's own stand in its `metrics.py`. No user ids in labels."""

from prometheus_client import Counter, Gauge, Histogram

HTTP_SECONDS = Histogram(
    "parlor_http_request_duration_seconds",
    "Time to answer an HTTP request (a stream: until its headers).",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
DENIED = Counter("parlor_authz_denied", "Requests refused with 401, 403 or 404 by the API.", ["status"])
OUTBOX_PENDING = Gauge("parlor_outbox_pending", "Outbox messages waiting to be handled.")
OUTBOX_OLDEST = Gauge("parlor_outbox_oldest_seconds", "Age of the oldest waiting outbox message.")
