"""What Apple says of purchases we know, held against ours.

Apple lists nothing by day: a purchase neither the app nor Apple ever told of is not found by this, unless it
renews a plan we know.
"""

from billing.models import Payment, Store, Subscription
from billing.services.comparison import BATCH, Comparison, Seen, batches, money
from billing.stores.app_store import adapter
from billing.stores.base import PaymentFacts, Standing, SubscriptionFacts, UnknownObject

_STORE = Store.APP_STORE


def compare(found: Comparison) -> None:
    """Ask about every running plan and every payment of the window. Raises StoreError."""
    with Seen() as seen:
        _compare_subscriptions(found, seen)
        _compare_other_payments(found, seen)


def _compare_subscriptions(found: Comparison, seen: Seen) -> None:
    running = Subscription.objects.filter(store=_STORE, synced_at__lt=found.settled)
    rows = running.exclude(standing=Standing.ENDED).exclude(external_id__startswith="lifetime:")
    for row in rows.order_by("id").iterator(BATCH):
        found.count("subscriptions")
        try:
            theirs, paid = adapter.fetch_subscription(row.external_id.partition(":")[0])
        except UnknownObject:
            found.differ(
                "subscription_not_at_store", f"subscription:{row.id}", ours=row.standing, theirs=None
            )
            continue
        _compare_subscription(row, theirs, found)
        _compare_payments([fact for fact in paid if _is_of_the_window(fact, found)], found, seen)


def _compare_subscription(ours: Subscription, theirs: SubscriptionFacts, found: Comparison) -> None:
    said = (str(theirs.standing), theirs.plan, theirs.ends_at_period_end)
    if (ours.standing, ours.plan_id, ours.ends_at_period_end) != said:
        found.differ(
            "subscription_differs",
            f"subscription:{ours.id}",
            ours=f"{ours.standing} {ours.plan_id}",
            theirs=f"{theirs.standing} {theirs.plan}",
        )


def _compare_other_payments(found: Comparison, seen: Seen) -> None:
    """Packs, and plans that are over."""
    ours = Payment.objects.filter(store=_STORE, paid_at__gte=found.since, paid_at__lt=found.settled)
    rest = ours.filter(seen.is_unseen("billing_payment")).order_by("id")
    for payment in rest.iterator(BATCH):
        try:
            theirs = adapter.fetch_thing(payment.external_id)
        except UnknownObject:
            found.count("payments")
            found.differ(
                "payment_not_at_store",
                f"payment:{payment.id}",
                ours=money(payment.amount, payment.currency),
                theirs=None,
                amount=payment.amount,
                currency=payment.currency,
            )
        else:
            _compare_payments([theirs], found, seen)


def _compare_payments(told: list[PaymentFacts], found: Comparison, seen: Seen) -> None:
    for batch in batches(told):
        ids = [fact.external_id for fact in batch]
        seen.add(ids)
        found.count("payments", len(batch))
        known = Payment.objects.filter(store=_STORE, external_id__in=ids)
        booked = {payment.external_id: payment for payment in known}
        for fact in batch:
            _compare_payment(booked.get(fact.external_id), fact, found)


def _compare_payment(ours: Payment | None, theirs: PaymentFacts, found: Comparison) -> None:
    returned = min(sum(refund.amount for refund in theirs.refunds), theirs.amount)
    if ours is None:
        kind, row, booked, said = "payment_missing", theirs.external_id, 0, theirs.amount
    elif ours.amount != theirs.amount:
        kind, row, booked, said = "payment_differs", f"payment:{ours.id}", ours.amount, theirs.amount
    elif ours.returned != returned:
        kind, row, booked, said = "refund_differs", f"payment:{ours.id}", ours.returned, returned
    else:
        return
    currency = ours.currency if ours is not None else theirs.currency
    found.differ(
        kind,
        row,
        ours=None if ours is None else money(booked, currency),
        theirs=money(said, currency),
        amount=booked - said,
        currency=currency,
    )


def _is_of_the_window(fact: PaymentFacts, found: Comparison) -> bool:
    return fact.paid_at is not None and found.since <= fact.paid_at < found.settled
