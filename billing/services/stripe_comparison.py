"""Stripe's lists of payments, refunds, disputes and subscriptions held against ours; the test shop's too."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from billing.models import Dispute, Payment, Refund, Store, Subscription
from billing.services import replays
from billing.services.comparison import BATCH, MARGIN, Comparison, Seen, batches, money
from billing.stores.base import DisputeStanding, PaymentFacts, Standing, StoreError, SubscriptionFacts
from billing.stores.stripe import facts as stripe_facts
from billing.stores.stripe import outgoing
from billing.stores.stripe.connection import Connection

_PERIODS_AGREE = timedelta(seconds=1)
_DISPUTES = {"won": DisputeStanding.WON, "lost": DisputeStanding.LOST}


def compare(shop: Connection, found: Comparison) -> None:
    """Hold everything of ours at `shop` against our rows, both ways. Raises StoreError."""
    with Seen() as seen:
        _compare_intents(shop, found, seen)
        _compare_invoices(shop, found, seen)
        _compare_unseen_payments(shop, found, seen)
    with Seen() as seen:
        _compare_refunds(shop, found, seen)
        _compare_disputes(shop, found, seen)
        _compare_unseen_refunds(shop, found, seen)
    with Seen() as seen:
        _compare_subscriptions(shop, found, seen)
        _compare_unseen_subscriptions(shop, found, seen)


@dataclass(frozen=True, slots=True)
class _Paid:
    external_id: str
    amount: int
    currency: str
    paid_at: datetime


def _compare_intents(shop: Connection, found: Comparison, seen: Seen) -> None:
    rows = outgoing.list_intents(shop, since=found.since)
    ours = (
        _Paid(row["id"], row.get("amount_received") or 0, row["currency"].upper(), _moment(row["created"]))
        for row in rows
        if row["status"] == "succeeded" and stripe_facts.ORDER in (row.get("metadata") or {})
    )
    _compare_payments(shop.store, ours, found, seen)


def _compare_invoices(shop: Connection, found: Comparison, seen: Seen) -> None:
    rows = outgoing.list_paid_invoices(shop, since=found.since)
    ours = (
        _Paid(row["id"], row["amount_paid"], row["currency"].upper(), _paid_at(row))
        for row in rows
        if stripe_facts.USER in _subscription_metadata(row)
    )
    _compare_payments(shop.store, ours, found, seen)


def _compare_payments(store: Store, rows: Iterable[_Paid], found: Comparison, seen: Seen) -> None:
    for batch in batches(rows):
        seen.add(row.external_id for row in batch)
        found.count("payments", len(batch))
        known = Payment.objects.filter(store=store, external_id__in=[row.external_id for row in batch])
        booked = {payment.external_id: payment for payment in known}
        for row in batch:
            _compare_payment(row, booked.get(row.external_id), found)


def _compare_payment(theirs: _Paid, ours: Payment | None, found: Comparison) -> None:
    if ours is None:
        if theirs.paid_at < found.settled:
            found.differ(
                "payment_missing",
                theirs.external_id,
                ours=None,
                theirs=money(theirs.amount, theirs.currency),
                amount=theirs.amount,
                currency=theirs.currency,
            )
    elif (ours.amount, ours.currency) != (theirs.amount, theirs.currency):
        found.differ(
            "payment_differs",
            f"payment:{ours.id}",
            ours=money(ours.amount, ours.currency),
            theirs=money(theirs.amount, theirs.currency),
            amount=ours.amount - theirs.amount,
            currency=theirs.currency,
        )


def _compare_unseen_payments(shop: Connection, found: Comparison, seen: Seen) -> None:
    """Ours that were not on the store's lists: old ones paid late, and what the store never had."""
    ours = Payment.objects.filter(
        store=shop.store, paid_at__gte=found.since + MARGIN, paid_at__lt=found.settled
    ).filter(seen.is_unseen("billing_payment"))
    for payment in ours.order_by("id").iterator(BATCH):
        try:
            told = replays.facts_about(shop, payment.external_id).payments
        except StoreError as error:
            if error.is_passing:
                raise
            told = []
        if not any(_agrees(payment, fact) for fact in told):
            found.differ(
                "payment_not_at_store",
                f"payment:{payment.id}",
                ours=money(payment.amount, payment.currency),
                theirs=None,
                amount=payment.amount,
                currency=payment.currency,
            )


def _agrees(payment: Payment, fact: PaymentFacts) -> bool:
    return (fact.external_id, fact.amount, fact.currency) == (
        payment.external_id,
        payment.amount,
        payment.currency,
    )


def _compare_refunds(shop: Connection, found: Comparison, seen: Seen) -> None:
    rows = (
        row
        for row in outgoing.list_refunds(shop, since=found.since)
        if row["status"] in ("succeeded", "pending") and row.get("payment_intent")
    )
    for batch in batches(rows):
        seen.add(row["id"] for row in batch)
        found.count("refunds", len(batch))
        known = Refund.objects.filter(payment__store=shop.store, external_id__in=[row["id"] for row in batch])
        booked = {refund.external_id: refund for refund in known}
        for row in batch:
            ours = booked.get(row["id"])
            if ours is None:
                # A bank takes days for some; they are booked when they took place.
                if row["status"] == "succeeded":
                    _note_missing_return(shop, found, row, "refund_missing")
            elif ours.amount != row["amount"]:
                found.differ(
                    "refund_differs",
                    f"refund:{ours.id}",
                    ours=money(ours.amount, row["currency"].upper()),
                    theirs=money(row["amount"], row["currency"].upper()),
                    amount=ours.amount - row["amount"],
                    currency=row["currency"].upper(),
                )


def _note_missing_return(shop: Connection, found: Comparison, row: dict[str, Any], kind: str) -> None:
    """The store cannot say whose refund it is; its payment can."""
    if _moment(row["created"]) >= found.settled:
        return
    for payment in stripe_facts.about_intent(shop, row["payment_intent"]).payments:
        found.differ(
            kind,
            payment.external_id,
            ours=None,
            theirs=f"{row['id']}: {money(row['amount'], row['currency'].upper())}",
            amount=row["amount"],
            currency=row["currency"].upper(),
        )


def _compare_disputes(shop: Connection, found: Comparison, seen: Seen) -> None:
    rows = (
        row
        for row in outgoing.list_disputes(shop, since=found.since)
        if not row["status"].startswith("warning_") and row.get("payment_intent")
    )
    for batch in batches(rows):
        seen.add(row["id"] for row in batch)
        found.count("disputes", len(batch))
        known = Dispute.objects.filter(
            payment__store=shop.store, external_id__in=[row["id"] for row in batch]
        )
        booked = {dispute.external_id: dispute for dispute in known}
        for row in batch:
            ours, theirs = booked.get(row["id"]), _DISPUTES.get(row["status"], DisputeStanding.OPEN)
            if ours is None:
                _note_missing_return(shop, found, row, "dispute_missing")
            elif str(ours.state) != str(theirs):
                found.differ(
                    "dispute_differs",
                    f"dispute:{ours.id}",
                    ours=str(ours.state),
                    theirs=str(theirs),
                    amount=row["amount"],
                    currency=row["currency"].upper(),
                )


def _compare_unseen_refunds(shop: Connection, found: Comparison, seen: Seen) -> None:
    """Ours that the store does not list: it never had them, or took them back as failed."""
    ours = (
        Refund.objects.filter(
            payment__store=shop.store,
            kind=Refund.Kind.REFUND,
            refunded_at__gte=found.since + MARGIN,
            refunded_at__lt=found.settled,
        )
        .select_related("payment")
        .filter(seen.is_unseen("billing_refund"))
    )
    for refund in ours.order_by("id").iterator(BATCH):
        found.differ(
            "refund_not_at_store",
            f"refund:{refund.id}",
            ours=money(refund.amount, refund.payment.currency),
            theirs=None,
            amount=refund.amount,
            currency=refund.payment.currency,
        )


def _compare_subscriptions(shop: Connection, found: Comparison, seen: Seen) -> None:
    rows = (
        stripe_facts.read_subscription(shop, row)
        for row in outgoing.list_subscriptions(shop)
        if stripe_facts.USER in (row.get("metadata") or {})
    )
    for batch in batches(rows):
        seen.add(row.external_id for row in batch)
        found.count("subscriptions", len(batch))
        known = Subscription.objects.filter(
            store=shop.store, external_id__in=[row.external_id for row in batch]
        )
        kept = {row.external_id: row for row in known}
        for theirs in batch:
            _compare_subscription(theirs, kept.get(theirs.external_id), found)


def _compare_subscription(theirs: SubscriptionFacts, ours: Subscription | None, found: Comparison) -> None:
    if ours is None:
        started = theirs.started_at or found.now
        # One that ended before anything was paid left no trace here, and needs none.
        if theirs.standing not in (Standing.ENDED, Standing.PENDING) and started < found.settled:
            found.differ("subscription_missing", theirs.external_id, ours=None, theirs=_standing_of(theirs))
        return
    has_ended = theirs.standing == Standing.ENDED
    differs = ours.standing != theirs.standing or (
        not has_ended
        and (
            (ours.plan_id or "") != theirs.plan
            or ours.ends_at_period_end != theirs.ends_at_period_end
            or not _same_moment(ours.period_end, theirs.period_end)
        )
    )
    if differs and ours.synced_at < found.settled:
        found.differ(
            "subscription_differs",
            f"subscription:{ours.id}",
            ours=_describe(ours.standing, ours.plan_id, ours.period_end, ours.ends_at_period_end),
            theirs=_standing_of(theirs),
        )


def _compare_unseen_subscriptions(shop: Connection, found: Comparison, seen: Seen) -> None:
    ours = (
        Subscription.objects.filter(store=shop.store, synced_at__lt=found.settled)
        .exclude(standing=Standing.ENDED)
        .exclude(external_id__startswith="lifetime:")
        .filter(seen.is_unseen("billing_subscription"))
    )
    for row in ours.order_by("id").iterator(BATCH):
        found.differ(
            "subscription_not_at_store",
            f"subscription:{row.id}",
            ours=_describe(row.standing, row.plan_id, row.period_end, row.ends_at_period_end),
            theirs=None,
        )


def _standing_of(theirs: SubscriptionFacts) -> str:
    return _describe(theirs.standing, theirs.plan, theirs.period_end, theirs.ends_at_period_end)


def _describe(standing: str, plan: str | None, period_end: datetime | None, ends: bool) -> str:
    until = f" until {period_end:%Y-%m-%d %H:%M}" if period_end else ""
    return f"{standing} {plan or '-'}{until}{', then ends' if ends else ''}"


def _same_moment(ours: datetime | None, theirs: datetime | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return abs(ours - theirs) < _PERIODS_AGREE


def _paid_at(invoice: dict[str, Any]) -> datetime:
    return _moment((invoice.get("status_transitions") or {}).get("paid_at") or invoice["created"])


def _subscription_metadata(invoice: dict[str, Any]) -> dict[str, str]:
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    return details.get("metadata") or {}


def _moment(seconds: int) -> datetime:
    moment = stripe_facts.moment(seconds)
    assert moment is not None
    return moment
