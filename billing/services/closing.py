"""Ending what a test shop sold, once an installation sells for money: nothing of it was ever paid."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db.models import F, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing import database
from billing.events import publish_wallet_changed
from billing.models import (
    TEST_STORES,
    Bucket,
    Dispute,
    LedgerTransaction,
    Payment,
    Refund,
    Store,
    Subscription,
    SubscriptionEvent,
    Wallet,
)
from billing.services import payments, subscriptions
from billing.stores import modes
from billing.stores.base import DisputeFacts, DisputeStanding, PaymentFacts, PaymentStanding, Standing
from common.errors import Conflict

REASON = "test shop closed"
# One for each payment: it is taken back once.
_RETURN_ID = "test-shop-closed"
# Earlier than anything a store was asked for, so that it contradicts nothing.
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TestBusiness:
    """What test shops sold that still gives something."""

    subscriptions: int
    payments: int

    def __bool__(self) -> bool:
        return bool(self.subscriptions or self.payments)


def test_business() -> TestBusiness:
    """What of test shops still gives something although this installation sells for money."""
    if not modes.sells_for_money():
        return TestBusiness(0, 0)
    giving = _subscriptions().filter(entitled_until__isnull=False)
    return TestBusiness(giving.count(), _payments().filter(credits__gt=F("credits_returned")).count())


def close_test_shops(*, dry_run: bool = False) -> TestBusiness:
    """End every subscription of the test shops and take back what is left of the credits they gave.

    What was spent stays spent: nobody owes anything, and nobody is written to. May be repeated; a `dry_run`
    only answers what would be ended and taken back. Raises Conflict while a test shop is in use.
    """
    if modes.store_in_use() in TEST_STORES:
        raise Conflict(_("The test shop is in use. Set the live key first."))
    found = TestBusiness(_subscriptions().count(), _payments().count())
    if not dry_run:
        for subscription_id in list(_subscriptions().order_by("id").values_list("id", flat=True)):
            subscriptions.end_now(
                subscription_id=subscription_id, cause=SubscriptionEvent.Cause.STAFF, reason=REASON
            )
        for payment_id in list(_payments().order_by("id").values_list("id", flat=True)):
            _take_back(payment_id)
    return found


def _subscriptions() -> QuerySet[Subscription]:
    return Subscription.objects.filter(store__in=TEST_STORES).exclude(standing=Standing.ENDED)


def _payments() -> QuerySet[Payment]:
    closed = Refund.objects.filter(external_id=_RETURN_ID)
    return Payment.objects.filter(store__in=TEST_STORES).exclude(id__in=closed.values("payment_id"))


def _take_back(payment_id: UUID) -> None:
    def work() -> None:
        payment = Payment.objects.select_for_update().get(id=payment_id)
        if payment.refunds.filter(external_id=_RETURN_ID).exists():
            return
        _release_disputed(payment)
        payment.refresh_from_db()
        _book(payment, _left(payment))

    database.atomically(work)


def _release_disputed(payment: Payment) -> None:
    """No bank decides any more; what was set aside is taken back like the rest."""
    disputes = payment.disputes.filter(state=Dispute.State.OPEN)
    over = tuple(
        DisputeFacts(each.external_id, DisputeStanding.WON, each.amount, each.opened_at) for each in disputes
    )
    if over:
        facts = PaymentFacts(payment.external_id, PaymentStanding.PAID, payment.user_id, disputes=over)
        payments.apply_facts(store=Store(payment.store), facts=facts, asked_at=_LONG_AGO)


def _left(payment: Payment) -> int:
    """How many of its credits were not spent: what cost nothing was spent before what cost money."""
    wallet = Wallet.objects.select_for_update(no_key=True).get(user_id=payment.user_id)
    if payment.bucket == Bucket.BONUS:
        free = wallet.bonus_balance - wallet.bonus_held
    else:
        free = wallet.purchased_balance - wallet.purchased_held
    return max(0, min(payment.credits - payment.credits_returned, free - _paid_for(payment)))


def _paid_for(payment: Payment) -> int:
    """What real payments put into the same bucket, which stays."""
    same = Payment.objects.filter(user_id=payment.user_id, bucket=payment.bucket)
    real = same.exclude(store__in=TEST_STORES)
    return real.aggregate(total=Sum(F("credits") - F("credits_returned")))["total"] or 0


def _book(payment: Payment, credits: int) -> None:
    amount = payment.amount - payment.returned
    tax = payment.tax - (payment.tax * payment.returned // payment.amount if payment.amount else 0)
    _outcome, _transaction, available, _owed = database.call(
        "billing_book_return",
        payment.user_id,
        payment.bucket,
        credits,
        str(LedgerTransaction.Kind.REFUND),
        f"{Refund.Kind.REFUND}:{payment.id}:{_RETURN_ID}",
        payment.reference,
        payment.name,
        payment.currency,
        amount,
        tax,
    )
    Refund.objects.create(
        payment=payment,
        external_id=_RETURN_ID,
        kind=Refund.Kind.REFUND,
        amount=amount,
        counted=amount,
        credits=credits,
        debt=0,
        refunded_at=timezone.now(),
    )
    payment.returned, payment.credits_returned = payment.amount, payment.credits_returned + credits
    payment.save(update_fields=["returned", "credits_returned"])
    publish_wallet_changed(payment.user_id, available)
