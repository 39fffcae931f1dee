"""Prometheus metrics of the ledger."""

from prometheus_client import Counter, Gauge

from common.credits import MICRO

CHARGED = Counter("parlor_wallet_charged_credits", "Credits charged to wallets.")
WRITTEN_OFF = Counter("parlor_wallet_writeoff_credits", "Credits of work that nobody paid for.")
VIOLATIONS = Counter("parlor_ledger_invariant_violations", "Rows found by the ledger check.")
HOLDS_OPEN = Gauge("parlor_holds_open", "Holds that are neither captured nor given back.")
OLDEST_HOLD = Gauge("parlor_hold_age_seconds_max", "Age of the oldest open hold.")


def count_charge(charged: int, written_off: int) -> None:
    CHARGED.inc(charged / MICRO)
    if written_off:
        WRITTEN_OFF.inc(written_off / MICRO)
