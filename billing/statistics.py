"""Credits and money for the operators' dashboards.

Amounts of credits are microcredits, of money smallest units by currency: currencies are never added up.
Every figure is a constant number of statements, whatever there is to count.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Aggregate, Count, DurationField, Exists, F, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from billing.models import (
    Approval,
    LedgerCheck,
    LedgerTransaction,
    Payment,
    Plan,
    Reconciliation,
    Refund,
    Store,
    StoreEvent,
    Subscription,
    SubscriptionEvent,
    Wallet,
)
from billing.stores import modes

State = Subscription.State
LAST = timedelta(days=30)
# Trials that were begun within this time and are over.
TRIALS = timedelta(days=60)
_LAG_OVER = timedelta(days=7)
# A period's price times this, over that, is a month's.
_MONTHS: dict[str, tuple[int, int]] = {
    Plan.Period.DAY: (365, 12),
    Plan.Period.MONTH: (1, 1),
    Plan.Period.YEAR: (1, 12),
}

Money = dict[str, int]


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What people could still spend and did not get for the day only; what they owe; what is set aside."""

    bonus: int
    purchased: int
    debt: int = 0
    frozen: int = 0
    debtors: int = 0

    @property
    def total(self) -> int:
        return self.bonus + self.purchased


@dataclass(slots=True)
class Revenue:
    """Paid less what went back, taxes included, by currency; and by store and currency."""

    today: Money = field(default_factory=dict)
    month: Money = field(default_factory=dict)
    returned: Money = field(default_factory=dict)
    by_store: dict[tuple[str, str], int] = field(default_factory=dict)
    payers: int = 0


@dataclass(frozen=True, slots=True)
class Recurring:
    """Monthly recurring revenue by tier and currency, in smallest units, and how many pay it."""

    by_tier: dict[tuple[str, str], int]
    total: Money
    subscribers: int


@dataclass(frozen=True, slots=True)
class Part:
    """So many of so many."""

    count: int
    of: int

    @property
    def percent(self) -> float | None:
        return round(100 * self.count / self.of, 1) if self.of else None


@dataclass(frozen=True, slots=True)
class Webhooks:
    """How fast events of stores are applied, in seconds, and what is not applied."""

    p50: float | None
    p95: float | None
    waiting: int
    failed: int
    quarantined: int


class _Percentile(Aggregate):
    function = "PERCENTILE_CONT"
    template = "%(function)s(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DurationField()


def outstanding_credits() -> Outstanding:
    sums = Wallet.objects.aggregate(
        bonus=Sum("bonus_balance"),
        purchased=Sum("purchased_balance"),
        owed=Sum("debt"),
        set_aside=Sum("frozen"),
        debtors=Count("pk", filter=Q(debt__gt=0)),
    )
    return Outstanding(
        bonus=sums["bonus"] or 0,
        purchased=sums["purchased"] or 0,
        debt=sums["owed"] or 0,
        frozen=sums["set_aside"] or 0,
        debtors=sums["debtors"],
    )


def charged_by_day(since: datetime) -> dict[date, int]:
    rows = (
        LedgerTransaction.objects.filter(kind=LedgerTransaction.Kind.CHARGE, id__gte=_first_id(since))
        .annotate(day=TruncDate("created_at"))
        .values("day")
        .annotate(amount=Sum("amount"))
    )
    return {row["day"]: -row["amount"] for row in rows}


def revenue(now: datetime) -> Revenue:
    """Of the operator's day so far, and of the last 30 days; what went back counts on the day it did."""
    today, since = now.replace(hour=0, minute=0, second=0, microsecond=0), now - LAST
    found = Revenue()
    paid = _payments().filter(paid_at__gte=since, paid_at__lt=now).values("store", "currency")
    for row in paid.annotate(month=Sum("amount"), day=Sum("amount", filter=Q(paid_at__gte=today))):
        _count_revenue(found, row["store"], row["currency"], row["day"], row["month"])
    back = _refunds().filter(refunded_at__gte=since, refunded_at__lt=now)
    went = back.values("payment__store", "payment__currency")
    for line in went.annotate(month=Sum("counted"), day=Sum("counted", filter=Q(refunded_at__gte=today))):
        currency = line["payment__currency"]
        found.returned[currency] = found.returned.get(currency, 0) + line["month"]
        _count_revenue(found, line["payment__store"], currency, -(line["day"] or 0), -line["month"])
    found.payers = (
        _payments()
        .filter(paid_at__gte=since, paid_at__lt=now, amount__gt=0)
        .aggregate(people=Count("user", distinct=True))["people"]
    )
    return found


def revenue_by_day(since: datetime) -> dict[str, dict[date, int]]:
    """Net, by currency and the operator's day."""
    found: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    paid = _payments().filter(paid_at__gte=since).annotate(day=TruncDate("paid_at"))
    for row in paid.values("day", "currency").annotate(amount=Sum("amount")):
        found[row["currency"]][row["day"]] += row["amount"]
    back = _refunds().filter(refunded_at__gte=since).annotate(day=TruncDate("refunded_at"))
    for line in back.values("day", "payment__currency").annotate(amount=Sum("counted")):
        found[line["payment__currency"]][line["day"]] -= line["amount"]
    return {currency: dict(days) for currency, days in sorted(found.items())}


def recurring() -> Recurring:
    """What running subscriptions bring in a month: paid ones only, none that end or are for life."""
    running = _renewing().filter(state__in=[State.ACTIVE, State.GRACE])
    rows = running.values("tier__name", "currency", "plan__period").annotate(
        price=Sum("price"), count=Count("id")
    )
    by_tier: dict[tuple[str, str], int] = defaultdict(int)
    subscribers = 0
    for row in rows:
        times, over = _MONTHS[row["plan__period"]]
        by_tier[row["tier__name"], row["currency"]] += row["price"] * times // over
        subscribers += row["count"]
    total: Money = defaultdict(int)
    for (_tier, currency), amount in by_tier.items():
        total[currency] += amount
    return Recurring(dict(sorted(by_tier.items())), dict(total), subscribers)


def churn(now: datetime) -> Part:
    """Of the paying subscriptions that ran 30 days ago, those that ended since."""
    since = now - LAST
    paid = Payment.objects.filter(subscription=OuterRef("pk"), amount__gt=0, paid_at__lt=since)
    ran = _renewing().filter(Exists(paid), Q(ended_at=None) | Q(ended_at__gte=since), started_at__lt=since)
    # One that another took the place of did not end for its owner.
    ended = Q(ended_at__isnull=False, ended_at__lt=now, replaced_by=None)
    counts = ran.aggregate(all=Count("id"), ended=Count("id", filter=ended))
    return Part(counts["ended"], counts["all"])


def trials_paid(now: datetime) -> Part:
    """Of the trials begun in the last 60 days that are over, those that were paid for after."""
    begun = SubscriptionEvent.objects.filter(subscription=OuterRef("pk"), number=1, to_state=State.TRIALING)
    paid = Payment.objects.filter(subscription=OuterRef("pk"), amount__gt=0)
    over = (
        _renewing()
        .filter(Exists(begun), started_at__gte=now - TRIALS)
        .exclude(state=State.TRIALING)
        # A trial that was cancelled runs to its end.
        .exclude(state=State.CANCELLED, period_end__gt=now)
    )
    counts = over.aggregate(all=Count("id"), paid=Count("id", filter=Q(Exists(paid))))
    return Part(counts["paid"], counts["all"])


def webhooks(now: datetime) -> Webhooks:
    lag = StoreEvent.objects.filter(
        created_at__gte=now - _LAG_OVER, state=StoreEvent.State.APPLIED
    ).aggregate(
        p50=_Percentile(F("applied_at") - F("created_at"), fraction="0.5"),
        p95=_Percentile(F("applied_at") - F("created_at"), fraction="0.95"),
    )
    open_states = ["pending", "failed", "quarantined"]
    rows = StoreEvent.objects.filter(state__in=open_states).values("state").annotate(count=Count("id"))
    counts = {row["state"]: row["count"] for row in rows}
    return Webhooks(
        p50=_seconds(lag["p50"]),
        p95=_seconds(lag["p95"]),
        waiting=counts.get("pending", 0),
        failed=counts.get("failed", 0),
        quarantined=counts.get("quarantined", 0),
    )


def count_waiting_approvals() -> int:
    return Approval.objects.filter(state=Approval.State.WAITING).count()


def last_ledger_check() -> LedgerCheck | None:
    return LedgerCheck.objects.order_by("-created_at").first()


def last_reconciliation() -> Reconciliation | None:
    return Reconciliation.objects.defer("differences").order_by("-created_at").first()


def per_person(amounts: Mapping[str, int], people: int) -> Money:
    """Smallest units a person; nothing where there is nobody."""
    return {currency: amount // people for currency, amount in amounts.items()} if people else {}


def _count_revenue(found: Revenue, store: str, currency: str, day: int | None, month: int) -> None:
    found.today[currency] = found.today.get(currency, 0) + (day or 0)
    found.month[currency] = found.month.get(currency, 0) + month
    found.by_store[store, currency] = found.by_store.get((store, currency), 0) + month


def _payments() -> QuerySet[Payment]:
    return Payment.objects.exclude(store__in=_not_money())


def _refunds() -> QuerySet[Refund]:
    return Refund.objects.exclude(payment__store__in=_not_money())


def _renewing() -> QuerySet[Subscription]:
    """What was bought, but not for life."""
    bought = Subscription.objects.exclude(store__in=[Store.GIVEN, *_not_money()]).exclude(plan=None)
    return bought.exclude(plan__period=Plan.Period.LIFETIME)


def _not_money() -> Iterable[Store]:
    """What was bought in test shops counts only while nothing is sold for money."""
    return modes.worthless_stores()


def _seconds(lag: Any) -> float | None:
    return None if lag is None else round(lag.total_seconds(), 3)


def _first_id(moment: datetime) -> UUID:
    """The smallest id of that time: ids begin with their milliseconds, and they are indexed."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
