"""What every store tells Parlor, in words of our own.

An adapter fetches the present truth about one object from its store and answers it as facts. Nothing else
knows a store's own words, so the rules of `billing.services` are the same for all of them.
Money is in the currency's smallest unit, times are aware datetimes.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Standing(StrEnum):
    """How a subscription stands at its store, whatever the store calls it."""

    PENDING = "pending"  # begun, nothing paid yet
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"  # a renewal failed and is tried again
    ON_HOLD = "on_hold"  # paused, or given up trying for now
    ENDED = "ended"


class PaymentStanding(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"


class DisputeStanding(StrEnum):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """One subscription at its store, as it is now."""

    external_id: str
    standing: Standing
    # The plan's slug; empty where the store's product is none of ours.
    plan: str
    user_id: UUID | None
    customer_id: str = ""
    # What the store charges for a period.
    price: int = 0
    currency: str = ""
    started_at: datetime | None = None
    period_start: datetime | None = None
    # None: for life.
    period_end: datetime | None = None
    ends_at_period_end: bool = False
    past_due_since: datetime | None = None
    ended_at: datetime | None = None
    # The plan that follows at the period's end.
    next_plan: str = ""
    # The subscription this one took the place of (Google Play's linkedPurchaseToken).
    replaces: str = ""
    is_live: bool = True


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    external_id: str
    standing: DisputeStanding
    amount: int
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """A refund that took place; those that failed are not told."""

    external_id: str
    amount: int
    refunded_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """Money for one thing (a pack, or one period of a plan), with all that came back of it."""

    # What is unique at the store: the payment intent, the invoice of a subscription, the order.
    external_id: str
    standing: PaymentStanding
    user_id: UUID | None
    # Exactly one of the two; empty where the store's product is none of ours.
    pack: str = ""
    plan: str = ""
    # Our own order, where the store carried its id.
    order_id: UUID | None = None
    subscription_id: str = ""
    customer_id: str = ""
    amount: int = 0
    tax: int = 0
    currency: str = ""
    # What was paid in this period for the plan before discounts and taxes, but after credit for unused time.
    earned: int = 0
    quantity: int = 1
    paid_at: datetime | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    refunds: tuple[RefundFacts, ...] = ()
    disputes: tuple[DisputeFacts, ...] = ()
    # Where the store shows its own document.
    document_url: str = ""
    is_live: bool = True


class StoreError(Exception):
    """A store did not answer as it should; `is_passing` says whether asking again makes sense."""

    def __init__(self, message: str, *, is_passing: bool) -> None:
        super().__init__(message)
        self.is_passing = is_passing


class UnknownObject(StoreError):
    """The store has no such object."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_passing=False)
