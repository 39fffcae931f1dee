"""Google Play: what the app or Google tells of leads to what Google has of it now, and that is written down.

A token belongs to the account it was bought for, or else to the first one that shows it.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import structlog
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from billing import database
from billing.errors import NotOurs, Quarantined
from billing.models import Pack, Payment, Plan, Refund, Store, StoreEvent, Subscription
from billing.services import inbox, renewals
from billing.services.payments import lifetime_id
from billing.services.purchases import OfSomebodyElse, Verified
from billing.stores import google_play
from billing.stores.base import (
    PaymentFacts,
    PaymentStanding,
    RefundFacts,
    Standing,
    StoreError,
    UnknownObject,
)
from billing.stores.google_play import PlayProduct, PlaySubscription
from billing.stores.google_play_push import Notification
from common import jobs
from common.errors import Invalid, NotFound, Unavailable
from common.models import OutboxMessage

T = TypeVar("T")
logger = structlog.get_logger("parlor.billing")

ACKNOWLEDGE = "billing.acknowledge_google_play"
# Google gives the money back for what is not acknowledged by then.
_ACKNOWLEDGED_WITHIN = timedelta(days=3)
# How many renewals nobody told us of are looked for at once.
_MOST_MISSED = 60
_LONGEST_CHAIN = 5
# A voided purchase that Google was asked for, not told of by a push.
_LISTED = "voided.list"
_GIVEN = (Standing.ACTIVE, Standing.TRIALING)


@dataclass(frozen=True, slots=True)
class _Found:
    """One purchase as Google has it: a plan with the payments of its orders, or a thing bought once."""

    asked_at: datetime
    token: str
    plan: PlaySubscription | None = None
    thing: PlayProduct | None = None
    payments: list[PaymentFacts] = field(default_factory=list)

    @property
    def facts(self) -> PlaySubscription | PlayProduct:
        found = self.plan or self.thing
        assert found is not None
        return found


def verify_purchase(*, user_id: UUID, product_id: str, purchase_token: str) -> Verified:
    """Give the user what they bought in the app; showing the same token again changes nothing.

    Raises Invalid (unknown product or token, a tester's purchase, or one that was never paid), Conflict (it
    is somebody else's; nothing is written), NotFound where Google Play is not set up, Unavailable.
    """
    if not google_play.is_configured():
        raise NotFound
    is_plan = _is_subscription(product_id)
    if not is_plan and not _is_sold_once(product_id):
        raise Invalid.field("product_id", "does_not_exist", _("There is no such plan or pack."))
    if is_plan:
        found = _at_google(lambda: _find_plan(purchase_token))
    else:
        found = _at_google(lambda: _find_thing(product_id, purchase_token))
    _check_may_have(user_id, product_id, found)
    told = _at_google(lambda: _told(found, user_id))
    try:
        return database.atomically(lambda: _give(user_id, found, told))
    except NotOurs as error:
        raise Invalid.field("product_id", "does_not_exist", _("There is no such plan or pack.")) from error
    except Quarantined as error:
        raise OfSomebodyElse from error


def keep_notification(notification: Notification) -> None:
    """Keep what Google pushed, to be applied after; its tests, and kinds made up later, are nothing to us."""
    if notification.kind in ("test", "other"):
        return
    inbox.keep_event(
        store=Store.GOOGLE_PLAY,
        external_id=notification.message_id,
        kind=f"{notification.kind}.{notification.notification_type}",
        object_id=(notification.order_id or notification.purchase_token)[:500],
        happened_at=notification.event_time,
        payload={
            "purchase_token": notification.purchase_token,
            "product_id": notification.product_id,
            "order_id": notification.order_id,
            "is_whole": notification.is_whole,
        },
    )


def acknowledge(*, product_id: str, purchase_token: str, kind: str) -> None:
    """Tell Google that a "plan", "thing" or "pack" was given. May be repeated. Raises StoreError."""
    calls = {
        "plan": google_play.acknowledge_subscription,
        "thing": google_play.acknowledge_product,
        "pack": google_play.consume_product,
    }
    try:
        calls[kind](product_id=product_id, purchase_token=purchase_token)
    except StoreError as error:
        if error.is_passing or _to_acknowledge(_find(kind == "plan", product_id, purchase_token)):
            raise


def look_for_voided(*, now: datetime | None = None) -> int:
    """Keep, as if Google had pushed them, the voided purchases of the thirty days it remembers.

    Answers how many were new; looking twice changes nothing.
    """
    if not google_play.is_configured():
        return 0
    start = (now or timezone.now()) - timedelta(days=30)
    try:
        return sum(_keep_voided(each) for each in google_play.list_voided(start=start))
    except StoreError as error:
        logger.warning("voided_purchases_not_listed", error=str(error))
        return 0


def retry_acknowledgements(*, now: datetime | None = None) -> int:
    """Try those again that were given up while Google was away; answers how many."""
    failed = OutboxMessage.objects.filter(
        task=ACKNOWLEDGE,
        state=OutboxMessage.State.FAILED,
        created_at__gt=(now or timezone.now()) - _ACKNOWLEDGED_WITHIN,
    )
    return sum(jobs.retry_failed_message(message_id) for message_id in failed.values_list("id", flat=True))


def register() -> None:
    inbox.register_store(Store.GOOGLE_PLAY, _ask)
    renewals.register_store(Store.GOOGLE_PLAY, _ask_about_subscription)


def _ask(event: StoreEvent) -> inbox.Told:
    _check_configured()
    payload = event.payload
    kind = event.kind.partition(".")[0]
    if kind == "voided":
        is_whole = payload["is_whole"] and _is_voided(event)
        found = _find_voided(payload["order_id"], is_whole=is_whole)
    else:
        is_plan = kind == "subscription"
        found = _find(is_plan, payload["product_id"], payload["purchase_token"])
    return _told(found, _owner(found))


def _is_voided(event: StoreEvent) -> bool:
    """What Google's list had is so; what was pushed must be on it, unless the order itself says it."""
    return event.kind == _LISTED or google_play.is_voided(order_id=event.payload["order_id"])


def _ask_about_subscription(external_id: str) -> inbox.Told:
    _check_configured()
    found = _find_plan(external_id)
    return _told(found, _owner(found))


def _check_configured() -> None:
    if not google_play.is_configured():
        raise StoreError("Google Play is not set up", is_passing=True)


def _find(is_plan: bool, product_id: str, token: str) -> _Found:
    return _find_plan(token) if is_plan else _find_thing(product_id, token)


def _find_plan(token: str, *, order_id: str = "", is_voided: bool = False) -> _Found:
    """A subscription with its latest orders, those nobody told us of, and the one that is asked for."""
    asked_at = database.clock()
    plan, payments = google_play.fetch_subscription(purchase_token=token)
    fetched = {payment.external_id: payment for payment in payments}
    if order_id:
        fetched[order_id] = google_play.fetch_plan_payment(
            order_id=order_id, subscription=plan, is_voided=is_voided
        )
    for missed in _missed_orders(set(fetched)):
        try:
            fetched[missed] = google_play.fetch_plan_payment(order_id=missed, subscription=plan)
        except UnknownObject:
            continue
    return _Found(asked_at, token, plan=plan, payments=list(fetched.values()))


def _missed_orders(fetched: set[str]) -> list[str]:
    """A purchase tells its latest order only, and a push may be lost: earlier orders without a payment."""
    earlier = [each for order_id in sorted(fetched) for each in google_play.earlier_orders(order_id)]
    payments = Payment.objects.filter(store=Store.GOOGLE_PLAY, external_id__in=earlier)
    known = fetched | set(payments.values_list("external_id", flat=True))
    return [each for each in dict.fromkeys(earlier) if each not in known][:_MOST_MISSED]


def _find_thing(product_id: str, token: str) -> _Found:
    asked_at = database.clock()
    thing = google_play.fetch_product(product_id=product_id, purchase_token=token)
    for_life = Plan.objects.filter(slug=product_id, period=Plan.Period.LIFETIME).first()
    if for_life is not None:
        thing = replace(thing, pack="", plan=product_id)
    if not thing.currency:
        # Had for a promotion code, which costs nothing in any currency.
        goods = for_life or Pack.objects.filter(slug=product_id).first()
        thing = replace(thing, currency=goods.currency if goods is not None else "")
    return _Found(asked_at, token, thing=thing, payments=[thing])


def _find_voided(order_id: str, *, is_whole: bool) -> _Found:
    goods = google_play.fetch_goods(order_id=order_id)
    if goods.is_subscription:
        return _find_plan(goods.purchase_token, order_id=order_id, is_voided=is_whole)
    return _find_thing(goods.product_id, goods.purchase_token)


def _told(found: _Found, owner: UUID) -> inbox.Told:
    """Everything a purchase leads to, as the owner's. Raises NotOurs for testers' purchases."""
    if not found.facts.is_live and not settings.GOOGLE_PLAY_TEST_PURCHASES:
        raise NotOurs("a tester's purchase")
    chain = [*_predecessors(found, owner), found]
    return inbox.Told(
        Store.GOOGLE_PLAY,
        found.asked_at,
        subscriptions=[replace(each.plan, user_id=owner) for each in chain if each.plan is not None],
        payments=[
            replace(_with_known_void(payment), user_id=owner) for each in chain for payment in each.payments
        ],
        afterwards=_to_acknowledge(found),
    )


def _with_known_void(payment: PaymentFacts) -> PaymentFacts:
    """What was voided stays so, but an order need not say it, and the list forgets it after thirty days."""
    told = {refund.external_id for refund in payment.refunds}
    known = Refund.objects.filter(
        payment__store=Store.GOOGLE_PLAY,
        payment__external_id=payment.external_id,
        external_id=google_play.whole_refund_id(payment.external_id),
    ).exclude(external_id__in=told)
    kept = tuple(RefundFacts(each.external_id, each.amount, each.refunded_at) for each in known)
    return replace(payment, refunds=(*payment.refunds, *kept)) if kept else payment


def _predecessors(found: _Found, owner: UUID) -> list[_Found]:
    """The subscriptions this one took the place of that nobody told us of yet; earliest first."""
    chain: list[_Found] = []
    token = found.plan.replaces if found.plan is not None else ""
    while token and len(chain) < _LONGEST_CHAIN and _subscription(token) is None:
        try:
            before = _find_plan(token)
        except UnknownObject:
            break
        assert before.plan is not None
        if before.plan.user_id not in (None, owner) or before.plan.is_live != found.facts.is_live:
            break
        chain.insert(0, before)
        token = before.plan.replaces
    return chain


def _to_acknowledge(found: _Found) -> list[tuple[str, dict[str, Any]]]:
    plan, thing = found.plan, found.thing
    if plan is not None:
        is_due, kind = not plan.is_acknowledged and plan.standing in _GIVEN, "plan"
    else:
        assert thing is not None
        kind = "thing" if thing.plan else "pack"
        is_done = thing.is_acknowledged if thing.plan else thing.is_consumed
        is_due = thing.standing == PaymentStanding.PAID and not thing.refunds and not is_done
    if not is_due:
        return []
    # Once an hour at most, however often it is heard of meanwhile.
    digest = hashlib.sha256(found.token.encode()).hexdigest()
    arguments = {"product_id": found.facts.product_id, "purchase_token": found.token, "kind": kind}
    return [(ACKNOWLEDGE, {"key": f"{digest}:{found.asked_at:%Y%m%d%H}", **arguments})]


def _owner(found: _Found) -> UUID:
    """Whose a purchase is that Google tells of. Raises NotOurs."""
    owner = found.facts.user_id or _holder(found)
    if owner is None or not User.objects.filter(id=owner).exists():
        raise NotOurs("nobody of ours")
    return owner


def _holder(found: _Found) -> UUID | None:
    """By our books. Google does not say of every purchase whose it is."""
    if found.plan is None:
        payment = Payment.objects.filter(store=Store.GOOGLE_PLAY, external_id=found.facts.external_id)
        return payment.values_list("user_id", flat=True).first()
    row = _subscription(found.token)
    if row is None and found.plan.user_id is None and found.plan.replaces:
        row = _subscription(found.plan.replaces)
    return row.user_id if row is not None else None


def _check_may_have(user_id: UUID, product_id: str, found: _Found) -> None:
    if {found.facts.user_id, _holder(found)} - {user_id, None}:
        raise OfSomebodyElse
    if not found.facts.is_live and not settings.GOOGLE_PLAY_TEST_PURCHASES:
        raise Invalid.field("purchase_token", "test_purchase", _("Testers' purchases do not count here."))
    if found.plan is not None and product_id not in (found.plan.product_id, found.plan.next_plan):
        raise Invalid.field("product_id", "invalid", _("Something else was bought with this token."))
    if found.thing is not None and found.thing.standing == PaymentStanding.FAILED:
        raise Invalid.field("purchase_token", "not_paid", _("This was not paid."))


def _give(user_id: UUID, found: _Found, told: inbox.Told) -> Verified:
    if found.thing is not None and found.thing.standing == PaymentStanding.PENDING:
        return Verified(is_pending=True)
    inbox.apply_told(told)
    if found.plan is not None:
        row = _subscription(found.token)
        assert row is not None
        return Verified(row, is_pending=row.state == Subscription.State.PENDING)
    payment = Payment.objects.get(store=Store.GOOGLE_PLAY, external_id=found.facts.external_id)
    if payment.user_id != user_id:
        raise OfSomebodyElse
    return Verified(_subscription(lifetime_id(payment.external_id)), payment)


def _subscription(external_id: str) -> Subscription | None:
    rows = Subscription.objects.select_related("plan", "tier", "next_plan")
    return rows.filter(store=Store.GOOGLE_PLAY, external_id=external_id).first()


def _is_subscription(product_id: str) -> bool:
    return Plan.objects.filter(slug=product_id).exclude(period=Plan.Period.LIFETIME).exists()


def _is_for_life(product_id: str) -> bool:
    return Plan.objects.filter(slug=product_id, period=Plan.Period.LIFETIME).exists()


def _is_sold_once(product_id: str) -> bool:
    return Pack.objects.filter(slug=product_id).exists() or _is_for_life(product_id)


def _keep_voided(voided: google_play.Voided) -> bool:
    external_id = f"voided:{voided.order_id}:{voided.voided_at.timestamp():.3f}"[:255]
    known = StoreEvent.objects.filter(store=Store.GOOGLE_PLAY, external_id=external_id)
    if not voided.order_id or known.exists():
        return False
    return inbox.keep_event(
        store=Store.GOOGLE_PLAY,
        external_id=external_id,
        kind=_LISTED,
        object_id=voided.order_id[:500],
        happened_at=voided.voided_at,
        payload={"order_id": voided.order_id, "is_whole": voided.quantity is None},
    )


def _at_google(operation: Callable[[], T]) -> T:
    """Google's answers, as the user may hear them."""
    try:
        return operation()
    except UnknownObject as error:
        raise Invalid.field(
            "purchase_token", "does_not_exist", _("Google Play does not know this purchase.")
        ) from error
    except StoreError as error:
        logger.warning("google_play_said_no", error=str(error), is_passing=error.is_passing)
        raise Unavailable(_("The store does not answer. Please try again."), retry_after=5) from error
