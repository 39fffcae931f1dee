"""The App Store: what the app or Apple tells of leads to what Apple has of it now, and that is written down.

A purchase belongs to the account it was made for, or else to the first one that shows it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import structlog
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from billing import database
from billing.errors import NotOurs, Quarantined
from billing.models import Pack, Payment, Plan, Store, StoreEvent, Subscription
from billing.services import inbox, renewals
from billing.services.payments import lifetime_id
from billing.services.purchases import OfSomebodyElse, Verified
from billing.stores.app_store import adapter, connection
from billing.stores.app_store.adapter import Notification, Purchase
from billing.stores.base import PaymentFacts, Standing, StoreError, SubscriptionFacts, UnknownObject
from common.errors import Invalid, NotFound, Unavailable

T = TypeVar("T")
logger = structlog.get_logger("parlor.billing")


@dataclass(frozen=True, slots=True)
class _Found:
    """One purchase as Apple has it: a thing bought once, or a plan with everything paid for it."""

    asked_at: datetime
    payments: list[PaymentFacts]
    plan: SubscriptionFacts | None = None

    @property
    def claimed_by(self) -> UUID | None:
        """Whom the app said it was for when it was bought."""
        return self.plan.user_id if self.plan is not None else self.payments[0].user_id


def verify_purchase(*, user_id: UUID, signed_transaction: str) -> Verified:
    """Give the user what they bought in the app; showing the same transaction again changes nothing.

    Raises Invalid (not signed by Apple, or nothing we sell), Conflict (it is somebody else's; nothing is
    written), NotFound where the App Store is not set up, Unavailable.
    """
    if not connection.is_configured():
        raise NotFound
    try:
        purchase = _at_apple(lambda: adapter.read_purchase(signed_transaction))
    except adapter.InvalidSignature as error:
        raise Invalid.field(
            "signed_transaction", "invalid", _("Apple did not sign this for our app.")
        ) from error
    found = _at_apple(lambda: _find(purchase))
    if {found.claimed_by, _holder(found)} - {user_id, None}:
        raise OfSomebodyElse
    try:
        return database.atomically(lambda: _give(user_id, found))
    except NotOurs as error:
        raise Invalid.field(
            "signed_transaction", "does_not_exist", _("There is no such plan or pack.")
        ) from error
    except Quarantined as error:
        raise OfSomebodyElse from error


def keep_notification(notification: Notification) -> None:
    """Keep what Apple told, to be applied after; what is not about a purchase is nothing to us."""
    purchase = notification.purchase
    if purchase is None:
        return
    inbox.keep_event(
        store=Store.APP_STORE,
        external_id=notification.external_id,
        kind=notification.kind,
        object_id=purchase.original_id,
        happened_at=notification.happened_at,
        payload={
            "transaction_id": purchase.transaction_id,
            "original_id": purchase.original_id,
            "product_id": purchase.product_id,
            "is_subscription": purchase.is_subscription,
        },
    )


def register() -> None:
    inbox.register_store(Store.APP_STORE, _ask)
    renewals.register_store(Store.APP_STORE, _ask_about_subscription)


def _ask(event: StoreEvent) -> inbox.Told:
    _check_configured()
    found = _find(Purchase(**event.payload))
    return _told(found, _owner(found))


def _ask_about_subscription(external_id: str) -> inbox.Told:
    _check_configured()
    found = _find_plan(external_id.partition(":")[0])
    return _told(found, _owner(found))


def _check_configured() -> None:
    if not connection.is_configured():
        raise StoreError("the App Store is not set up", is_passing=True)


def _find(purchase: Purchase) -> _Found:
    if purchase.is_subscription:
        return _find_plan(purchase.original_id)
    asked_at = database.clock()
    payment = adapter.fetch_thing(purchase.transaction_id)
    if Plan.objects.filter(slug=payment.pack, period=Plan.Period.LIFETIME).exists():
        payment = replace(payment, pack="", plan=payment.pack)
    if not payment.currency:
        # Had for a code, which costs nothing in any currency.
        goods = Pack.objects.filter(slug=payment.pack).first()
        payment = replace(payment, currency=goods.currency if goods is not None else "")
    return _Found(asked_at, [payment])


def _find_plan(original_id: str) -> _Found:
    asked_at = database.clock()
    plan, payments = adapter.fetch_subscription(original_id)
    row_id = _row_id(plan, payments)
    own = [replace(payment, subscription_id=row_id) for payment in payments]
    return _Found(asked_at, own, replace(plan, external_id=row_id))


def _row_id(plan: SubscriptionFacts, payments: list[PaymentFacts]) -> str:
    """Who subscribes again years later has the same id at Apple, but what ended stays ended with us."""
    last = _rows(plan.external_id).order_by("-id").first()
    if last is None:
        return plan.external_id
    is_over = last.standing == Standing.ENDED and plan.standing != Standing.ENDED
    began = plan.period_start
    if is_over and began is not None and (last.period_start is None or began > last.period_start):
        return f"{plan.external_id}:{began.timestamp():.0f}"
    if is_over and _is_paid_again(plan, payments):
        return f"{plan.external_id}:again:{_rows(plan.external_id).count()}"
    return last.external_id


def _is_paid_again(plan: SubscriptionFacts, payments: list[PaymentFacts]) -> bool:
    """Whether Apple took a refund back that ended it: in our books all of its present period came back."""
    present = [each for each in payments if each.period_start == plan.period_start]
    unrefunded = [each.external_id for each in present if not each.refunds]
    booked = Payment.objects.filter(store=Store.APP_STORE, external_id__in=unrefunded)
    return plan.standing == Standing.ACTIVE and booked.filter(amount__gt=0, returned=F("amount")).exists()


def _told(found: _Found, owner: UUID) -> inbox.Told:
    return inbox.Told(
        Store.APP_STORE,
        found.asked_at,
        subscriptions=[replace(found.plan, user_id=owner)] if found.plan is not None else [],
        payments=[replace(payment, user_id=owner) for payment in found.payments],
    )


def _give(user_id: UUID, found: _Found) -> Verified:
    inbox.apply_told(_told(found, user_id))
    if found.plan is not None:
        row = _subscription(found.plan.external_id)
        return Verified(row, is_pending=row is not None and row.state == Subscription.State.PENDING)
    payment = Payment.objects.get(store=Store.APP_STORE, external_id=found.payments[0].external_id)
    if payment.user_id != user_id:
        raise OfSomebodyElse
    return Verified(_subscription(lifetime_id(payment.external_id)), payment)


def _owner(found: _Found) -> UUID:
    """Whose a purchase is that Apple tells of. Raises NotOurs."""
    owner = found.claimed_by or _holder(found)
    if owner is None or not User.objects.filter(id=owner).exists():
        raise NotOurs("nobody of ours")
    return owner


def _holder(found: _Found) -> UUID | None:
    """By our books: apps need not say for whom they buy."""
    if found.plan is not None:
        rows = _rows(found.plan.external_id.partition(":")[0])
        return rows.order_by("-id").values_list("user_id", flat=True).first()
    payments = Payment.objects.filter(store=Store.APP_STORE, external_id=found.payments[0].external_id)
    return payments.values_list("user_id", flat=True).first()


def _rows(original_id: str) -> QuerySet[Subscription]:
    is_of_it = Q(external_id=original_id) | Q(external_id__startswith=f"{original_id}:")
    return Subscription.objects.filter(is_of_it, store=Store.APP_STORE)


def _subscription(external_id: str) -> Subscription | None:
    rows = Subscription.objects.select_related("plan", "tier", "next_plan")
    return rows.filter(store=Store.APP_STORE, external_id=external_id).first()


def _at_apple(operation: Callable[[], T]) -> T:
    """Apple's answers, as the user may hear them."""
    try:
        return operation()
    except UnknownObject as error:
        raise Invalid.field(
            "signed_transaction", "does_not_exist", _("The App Store does not know this purchase.")
        ) from error
    except StoreError as error:
        logger.warning("app_store_said_no", error=str(error), is_passing=error.is_passing)
        raise Unavailable(_("The store does not answer. Please try again."), retry_after=5) from error
