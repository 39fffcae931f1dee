"""Prometheus metrics of the ledger."""

from prometheus_client import Counter, Gauge, Histogram

from common.credits import MICRO

CHARGED = Counter("parlor_wallet_charged_credits", "Credits charged to wallets.")
WRITTEN_OFF = Counter("parlor_wallet_writeoff_credits", "Credits of work that nobody paid for.")
VIOLATIONS = Counter("parlor_ledger_invariant_violations", "Rows found by the ledger check.")
HOLDS_OPEN = Gauge("parlor_holds_open", "Holds that are neither captured nor given back.")
OLDEST_HOLD = Gauge("parlor_hold_age_seconds_max", "Age of the oldest open hold.")
EVENTS = Counter("parlor_webhook_events", "Events of stores by what became of them.", ["store", "result"])
EVENT_LAG = Histogram(
    "parlor_webhook_lag_seconds",
    "From when an event was kept to when it was applied.",
    buckets=(0.1, 0.5, 1, 5, 30, 120, 600, 3600, 86400),
)
DIFFERENCE = Gauge(
    "parlor_reconciliation_difference_minor_units", "Difference of the last reconciliation.", ["currency"]
)
WAITING = Gauge("parlor_webhook_waiting", "Events of stores that are kept and not applied yet.")
OLDEST_WAITING = Gauge("parlor_webhook_waiting_seconds_max", "Age of the oldest event that waits.")
QUARANTINED = Gauge("parlor_webhook_quarantined", "Events of stores that staff must look at.")
FROZEN = Gauge("parlor_wallet_frozen_credits", "Credits set aside while a bank decides.")
APPROVALS = Gauge("parlor_approvals_waiting", "What staff want to do and a second person must approve.")
RECONCILED = Gauge("parlor_reconciliation_clean", "1 where the last reconciliation was clean, else 0.")
DEBT = Gauge("parlor_wallet_debt_credits", "Credits that were spent and then refunded.")


def count_charge(charged: int, written_off: int) -> None:
    CHARGED.inc(charged / MICRO)
    if written_off:
        WRITTEN_OFF.inc(written_off / MICRO)
