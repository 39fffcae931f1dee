"""Prometheus metrics of replies and sockets. No ids in labels."""

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

GENERATIONS = Counter("parlor_generation", "Replies by how they ended.", ["state"])
FIRST_TOKEN_SECONDS = Histogram(
    "parlor_stream_first_token_seconds", "From a reply's request to its first text.", buckets=_FAST
)
GAP_SECONDS = Histogram("parlor_stream_gap_seconds", "Longest pause inside a reply.", buckets=_FAST)
RESUMES = Counter(
    "parlor_stream_resume", "Readers that came back to a reply, by what served them.", ["result"]
)
SOCKETS = Gauge("parlor_ws_connections", "Open chat sockets.", multiprocess_mode="livesum")
SLOW_READERS = Counter("parlor_stream_slow_readers", "Sockets closed because they did not read.")
RUNNING = Gauge("parlor_generations_running", "Replies this process is making.", multiprocess_mode="livesum")
LOG_ERRORS = Counter("parlor_event_log_errors", "Failed exchanges with the event log.")
