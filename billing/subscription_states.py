"""The one state machine of subscriptions: from what a store says and the time it is to state and right.

It is a function of these alone, so it does not matter in which order, or how often, a store tells us things.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from billing.models import Subscription
from billing.stores.base import Standing

State = Subscription.State

# How long somebody whose renewal failed, or whose store keeps silent, goes on as before.
GRACE = timedelta(days=3)
# A store may take this long to tell of a renewal before we call it unpaid.
SILENCE = timedelta(hours=6)
# Silence of a store beyond this ends a subscription.
GIVEN_UP = timedelta(days=30)
FOR_LIFE = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Position:
    """`entitled_until` is None where the tier is not given; `due_at` is when to look again."""

    state: State
    entitled_until: datetime | None
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Period:
    """A paid period; without an end it is for life."""

    start: datetime | None
    end: datetime | None

    @property
    def grace(self) -> timedelta:
        """No longer than what was paid for."""
        return min(GRACE, self.end - self.start) if self.start and self.end else GRACE


def derive(
    *,
    standing: str,
    period: Period,
    ends_at_period_end: bool,
    past_due_since: datetime | None,
    now: datetime,
) -> Position:
    """Where a subscription stands at `now`."""
    match standing:
        case Standing.TRIALING | Standing.ACTIVE:
            return _running(standing, period, ends_at_period_end, now)
        case Standing.PAST_DUE:
            return _unpaid(past_due_since or period.end or now, period.grace, now)
        case Standing.ON_HOLD:
            return Position(State.ON_HOLD, None, None)
        case Standing.PENDING:
            return Position(State.PENDING, None, None)
    return Position(State.EXPIRED, None, None)


def _running(standing: str, period: Period, ends_at_period_end: bool, now: datetime) -> Position:
    state = State.TRIALING if standing == Standing.TRIALING else State.ACTIVE
    end, grace = period.end, period.grace
    if end is None:
        return Position(state, FOR_LIFE, None)
    if ends_at_period_end:
        if now < end:
            return Position(State.CANCELLED, end, end)
        return Position(State.EXPIRED, None, None)
    # The store's word of the renewal may be late; the right lasts through the grace time unasked.
    if now < end:
        return Position(state, end + grace, end)
    if now < end + min(SILENCE, grace):
        return Position(state, end + grace, end + min(SILENCE, grace))
    return _unpaid(end, grace, now)


def _unpaid(since: datetime, grace: timedelta, now: datetime) -> Position:
    if now < since + grace:
        return Position(State.GRACE, since + grace, since + grace)
    if now < since + GIVEN_UP:
        return Position(State.ON_HOLD, None, since + GIVEN_UP)
    return Position(State.EXPIRED, None, None)
