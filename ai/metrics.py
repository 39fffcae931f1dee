from prometheus_client import Counter, Gauge, Histogram

CALLS = Counter("parlor_provider_calls", "Model calls by how they ended.", ["provider", "status"])
ERRORS = Counter("parlor_provider_errors", "Failed tries at model providers.", ["provider", "kind"])
FIRST_TOKEN_SECONDS = Histogram(
    "parlor_provider_first_token_seconds",
    "From the request to the provider's first text, retries included.",
    ["provider"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64),
)
IN_FLIGHT = Gauge("parlor_provider_calls_in_flight", "Model calls under way in this process.")
COST = Counter("parlor_provider_cost_usd", "What model calls cost, in US dollars.", ["provider"])
