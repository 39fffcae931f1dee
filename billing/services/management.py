"""What people do with a subscription they have: end it, keep it, change it, look at its papers."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import models, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing import database, selectors
from billing.errors import NotOurs, PaymentRefused, Quarantined
from billing.models import STRIPE_LIKE, Plan, Store, StoreCustomer, Subscription, SubscriptionEvent
from billing.services import inbox
from billing.services.at_store import at_store
from billing.services.checkout import checked_return_url, is_in_the_way, price_of_plan
from billing.stores.base import Standing, StoreError
from billing.stores.stripe import facts, outgoing
from billing.stores.stripe.connection import Connection, connect
from common.errors import Conflict, Invalid, NotFound, Unavailable

_PERIODS = [Plan.Period.DAY, Plan.Period.MONTH, Plan.Period.YEAR, Plan.Period.LIFETIME]


# How long the price of a change, as it was shown, can be had. The store counts unused time from a moment we
# name, and from one far ahead there would be next to nothing to pay.
_SHOWN_FOR = timedelta(hours=1)


class Way(models.TextChoices):
    """How a plan is come by: bought, or changed to now or after the paid period."""

    BUY = "buy", _("buy")
    NOW = "now", _("change now")
    AT_PERIOD_END = "at_period_end", _("change when the period is over")


@dataclass(frozen=True, slots=True)
class Change:
    """What changing to `plan` would do: `is_immediate` with `due` to pay now (smallest units), or later.

    `ends_trial` is whether time that is free, of a trial or given by staff, is lost by it.
    """

    plan: Plan
    is_immediate: bool
    due: int
    credit: int
    currency: str
    prorated_at: int
    ends_trial: bool = False


def cancel(*, user_id: UUID, at_period_end: bool = True) -> Subscription:
    """End the user's subscription with the paid period, or at once. Repeating it changes nothing.

    Raises NotFound without a subscription, Conflict where another store has it, Unavailable.
    """
    connection, row = _own(user_id)
    if at_period_end:
        at_store(
            lambda: outgoing.set_cancellation(connection, subscription_id=row.external_id, at_period_end=True)
        )
    else:
        at_store(lambda: outgoing.cancel_now(connection, subscription_id=row.external_id))
    return _sync(connection, row)


def resume(*, user_id: UUID) -> Subscription:
    """Take back a cancellation, or a change that was to come. Raises as cancel."""
    connection, row = _own(user_id)
    at_store(
        lambda: outgoing.set_cancellation(connection, subscription_id=row.external_id, at_period_end=False)
    )
    return _sync(connection, row)


def end_at_store(*, subscription_id: UUID) -> None:
    """Tell the store that a subscription we ended is over, so that it charges nothing more.

    Harmless when repeated. Raises Unavailable.
    """
    row = Subscription.objects.get(id=subscription_id)
    connection = connect()
    if row.store != connection.store or row.external_id.startswith("lifetime:"):
        return
    try:
        outgoing.cancel_now(connection, subscription_id=row.external_id)
    except StoreError as error:
        if error.is_passing:
            raise Unavailable(_("The store does not answer. Please try again."), retry_after=5) from error


def end_beside_lifetime(*, user_id: UUID) -> None:
    """Let smaller plans end with their period once one for life was bought. Harmless when repeated.

    Raises Unavailable; asking again is safe.
    """
    rows = selectors.list_subscriptions(user_id).exclude(standing=Standing.ENDED)
    for_life = [row for row in rows if row.period_end is None and row.store != Store.GIVEN]
    highest = max((row.tier.position for row in for_life), default=-1)
    connection = connect()
    for row in rows:
        is_here = row.store == connection.store and row.period_end is not None
        if is_here and not row.ends_at_period_end and row.tier.position <= highest:
            at_store(
                partial(
                    outgoing.set_cancellation,
                    connection,
                    subscription_id=row.external_id,
                    at_period_end=True,
                )
            )
            sync_subscription(connection, row.external_id)


def preview_change(*, user_id: UUID, plan: str) -> Change:
    """What `change` would do and cost now. Raises as change."""
    connection, row = _own(user_id)
    target = _target(row, plan)
    if not is_upgrade(row, target):
        return Change(target, is_immediate=False, due=0, credit=0, currency=target.currency, prorated_at=0)
    _check_is_paid(row)
    price_id = price_of_plan(connection, target)
    preview = at_store(
        lambda: outgoing.preview_change(connection, subscription_id=row.external_id, price_id=price_id)
    )
    return Change(
        target,
        is_immediate=True,
        due=preview.due,
        credit=preview.credit,
        currency=preview.currency,
        prorated_at=preview.prorated_at,
        ends_trial=row.standing == Standing.TRIALING,
    )


def change(*, user_id: UUID, plan: str, prorated_at: int = 0) -> Subscription:
    """Change to another plan: a better one at once, for the difference; a smaller one after the period.

    A trial ends with a change to a better one, which is charged whole. `prorated_at` (Unix seconds, of the
    preview) makes the charge the one that was shown. Raises NotFound without a subscription, Invalid for an
    unknown plan, Conflict for the same plan, another store's subscription, or one that is not paid,
    PaymentRefused (the plan stays as it was), Unavailable.
    """
    connection, row = _own(user_id)
    target = _target(row, plan)
    _check_shown_lately(row, prorated_at)
    price_id = price_of_plan(connection, target)
    if is_upgrade(row, target):
        _check_is_paid(row)
        _change_now(connection, row, target, price_id, prorated_at)
    else:
        at_store(
            lambda: outgoing.change_at_period_end(
                connection, subscription_id=row.external_id, price_id=price_id
            )
        )
    return _sync(connection, row)


def way_to(current: Subscription | None, plan: Plan) -> Way | None:
    """How somebody who has `current` gets `plan`; None where they have it or cannot."""
    if current is None or not is_in_the_way(current, Store(current.store), plan):
        return Way.BUY
    if plan.period == Plan.Period.LIFETIME:
        return None
    is_ours = current.store in STRIPE_LIKE and current.period_end is not None
    has_it = current.plan_id == plan.slug and current.next_plan_id is None
    if not is_ours or has_it or current.plan is None:
        return None
    if not is_upgrade(current, plan):
        return Way.AT_PERIOD_END
    return Way.NOW if _is_paid(current) else None


def is_upgrade(row: Subscription, target: Plan) -> bool:
    """A higher tier, or the same for longer. Anything else waits for the end of the period already paid."""
    assert row.plan is not None
    here = (row.plan.tier.position, _PERIODS.index(Plan.Period(row.plan.period)))
    there = (target.tier.position, _PERIODS.index(Plan.Period(target.period)))
    return there > here


def open_portal(*, user_id: UUID, return_url: str = "") -> str:
    """The store's own page for cards and papers.

    Raises Invalid for a foreign `return_url`, NotFound for who never bought, Unavailable.
    """
    connection = connect()
    here = f"{settings.PUBLIC_URL}{reverse('billing:plan')}"
    url = checked_return_url("return_url", return_url, here)
    customer_id = _customer(connection, user_id)
    return at_store(lambda: outgoing.create_portal(connection, customer_id=customer_id, return_url=url))


def list_invoices(*, user_id: UUID) -> list[outgoing.Invoice]:
    """The store's invoices, latest first; none for somebody who never bought. Raises Unavailable."""
    try:
        connection = connect()
        customer_id = _customer(connection, user_id)
    except (NotFound, Unavailable):
        return []
    return at_store(lambda: outgoing.list_invoices(connection, customer_id=customer_id))


def _own(user_id: UUID) -> tuple[Connection, Subscription]:
    row = selectors.get_bought_subscription(user_id)
    if row is None:
        raise NotFound(_("You have no plan."))
    if row.store in (Store.GOOGLE_PLAY, Store.APP_STORE):
        raise Conflict(_("You subscribed in the app; change it in the store of your phone."))
    if row.period_end is None:
        raise Conflict(_("Your plan is for life; there is nothing to change."))
    connection = connect()
    if row.store != connection.store:
        raise Conflict(_("This plan was bought in a shop that is closed now."))
    return connection, row


def _target(row: Subscription, slug: str) -> Plan:
    target = Plan.objects.select_related("tier").filter(slug=slug, is_active=True).first()
    if target is None or target.period == Plan.Period.LIFETIME:
        raise Invalid.field("plan", "does_not_exist", _("One cannot change to this plan."))
    if row.plan_id == target.slug and row.next_plan_id is None:
        raise Conflict(_("You have this plan."))
    return target


def _change_now(
    connection: Connection, row: Subscription, target: Plan, price_id: str, prorated_at: int
) -> None:
    # The number grows with every change and every refusal: the store answers a key as it did before, so a
    # card that was declined would stay declined, while two clicks at once shall have one effect.
    number = row.events.count()
    key = f"change:{row.id}:{number}:{target.slug}:{target.price}:{prorated_at}"
    try:
        at_store(
            lambda: outgoing.change_now(
                connection,
                subscription_id=row.external_id,
                price_id=price_id,
                key=key,
                prorated_at=prorated_at,
            )
        )
    except PaymentRefused:
        database.atomically(lambda: _note_refusal(row.id, number, target))
        raise


def _note_refusal(subscription_id: UUID, number: int, target: Plan) -> None:
    """A line in the history, once for all who were refused with the same key."""
    row = Subscription.objects.select_for_update(of=("self",)).get(id=subscription_id)
    if row.events.count() != number:
        return
    SubscriptionEvent.objects.create(
        subscription=row,
        number=number + 1,
        cause=SubscriptionEvent.Cause.USER,
        from_state=row.state,
        to_state=row.state,
        plan=row.plan_id or row.tier_id,
        period_end=row.period_end,
        changes={"refused_plan": [None, target.slug]},
        reason="payment refused",
    )


def _is_paid(row: Subscription) -> bool:
    return row.standing in (Standing.ACTIVE, Standing.TRIALING)


def _check_is_paid(row: Subscription) -> None:
    if not _is_paid(row):
        raise Conflict(_("The last payment failed. Update your card first, then change."))


def _check_shown_lately(row: Subscription, prorated_at: int) -> None:
    is_old = abs(timezone.now().timestamp() - prorated_at) > _SHOWN_FOR.total_seconds()
    # A trial's preview names no moment, so what was shown was not for a trial.
    if prorated_at and (is_old or row.standing == Standing.TRIALING):
        raise Invalid.field("prorated_at", "too_old", _("The price has changed since. Look at it again."))


def _customer(connection: Connection, user_id: UUID) -> str:
    known = StoreCustomer.objects.filter(user_id=user_id, store=connection.store).first()
    if known is None:
        raise NotFound(_("You have not bought anything here yet."))
    return known.external_id


def _sync(connection: Connection, row: Subscription) -> Subscription:
    """See at once what the store made of it; its webhooks say the same again."""
    sync_subscription(connection, row.external_id)
    row.refresh_from_db()
    return row


def sync_subscription(connection: Connection, external_id: str) -> None:
    """Ask the store about a subscription and write down the answer; else its webhook will tell."""
    asked_at = database.clock()
    try:
        found = facts.about_subscription(connection, external_id)
        with transaction.atomic():
            inbox.apply_told(inbox.Told(connection.store, asked_at, found.subscriptions, found.payments))
    except (StoreError, NotOurs, Quarantined):
        return
