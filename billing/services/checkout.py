"""Buying: from a wish to an order, to the store's page, and back."""

from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.selectors import has_verified_email
from billing import selectors
from billing.errors import EmailNotVerified, NotOurs, Quarantined
from billing.models import Order, Pack, Plan, Store, StoreCustomer, StorePrice, Subscription
from billing.services import inbox
from billing.services.at_store import at_store
from billing.stores.base import StoreError, UnknownObject
from billing.stores.stripe import outgoing
from billing.stores.stripe.connection import Connection, connect
from common.errors import Conflict, Invalid, NotFound, Unavailable

_MAX_URL = 1000
# How long somebody whose subscription ended unpaid cannot buy a plan for a day.
_UNPAID_IS_REMEMBERED = timedelta(days=30)


def begin_checkout(
    *,
    user_id: UUID,
    pack: str = "",
    plan: str = "",
    success_url: str = "",
    cancel_url: str = "",
    promotion_code: str = "",
) -> outgoing.Checkout:
    """Open the store's page for a pack or a plan (its slug).

    Nothing is granted here: that happens when the store says that it was paid. Raises EmailNotVerified,
    Invalid (unknown thing, foreign URL, unknown code), Conflict (there is a plan already), ShopClosed,
    Unavailable (the store does not answer; asking again is safe).
    """
    connection = connect()
    urls = (
        checked_return_url("success_url", success_url, _bought_url()),
        checked_return_url("cancel_url", cancel_url, _wallet_url()),
    )
    _check_may_buy(user_id)
    promotion_id = _promotion(connection, promotion_code)
    order = _new_order(connection, user_id, pack, plan)
    try:
        return _open_page(connection, order, urls, promotion_id)
    except BaseException:
        _give_up(order)
        raise


def begin_payment(*, user_id: UUID, pack: str) -> tuple[outgoing.PaymentSheet, str]:
    """A payment sheet for a pack on a phone; answers what the sheet needs and the customer's id.

    Raises as begin_checkout, and Conflict where tax is to be added: the store only adds it on its own page.
    """
    connection = connect()
    _check_may_buy(user_id)
    if settings.STRIPE_TAX_ENABLED:
        raise Conflict(_("Buy this in the browser, where the tax for your country can be added."))
    order = _new_order(connection, user_id, pack, "")
    try:
        customer_id = ensure_customer(connection, user_id)
        sheet = at_store(lambda: outgoing.create_payment_sheet(connection, order, customer_id=customer_id))
    except BaseException:
        _give_up(order)
        raise
    Order.objects.filter(id=order.id).update(intent_id=sheet.intent_id)
    return sheet, customer_id


def confirm_checkout(*, user_id: UUID, session_id: str) -> Order:
    """Look at once whether a checkout was paid, for somebody who comes back before the webhook.

    Raises NotFound for a checkout of somebody else.
    """
    order = Order.objects.filter(user_id=user_id, session_id=session_id).exclude(session_id="").first()
    if order is None:
        raise NotFound
    if order.state == Order.State.OPEN:
        try:
            inbox.apply_told(inbox.ask_stripe("checkout.session.completed", session_id))
        except (StoreError, NotOurs, Quarantined, Unavailable):
            # The webhook will tell.
            return order
        order.refresh_from_db()
    return order


def ensure_customer(connection: Connection, user_id: UUID) -> str:
    """Who the user is at the store, made there on the first wish to buy."""
    known = StoreCustomer.objects.filter(user_id=user_id, store=connection.store).first()
    if known is not None:
        return known.external_id
    email = User.objects.values_list("email", flat=True).get(id=user_id) or ""
    external_id = at_store(lambda: outgoing.create_customer(connection, user_id=user_id, email=email))
    StoreCustomer.objects.bulk_create(
        [StoreCustomer(user_id=user_id, store=connection.store, external_id=external_id)],
        ignore_conflicts=True,
    )
    return StoreCustomer.objects.get(user_id=user_id, store=connection.store).external_id


def ensure_price(
    connection: Connection, *, slug: str, name: str, amount: int, currency: str, period: str
) -> str:
    """The store's price for something on sale; another amount is another price, and old ones go on."""
    known = StorePrice.objects.filter(
        store=connection.store, slug=slug, period=period, amount=amount, currency=currency
    ).first()
    if known is not None:
        return known.external_id
    external_id = at_store(
        lambda: outgoing.create_price(
            connection, slug=slug, name=name, amount=amount, currency=currency, period=period
        )
    )
    row = StorePrice(
        store=connection.store,
        slug=slug,
        period=period,
        amount=amount,
        currency=currency,
        external_id=external_id,
    )
    StorePrice.objects.bulk_create([row], ignore_conflicts=True)
    return external_id


def price_of_plan(connection: Connection, plan: Plan) -> str:
    return ensure_price(
        connection,
        slug=plan.slug,
        name=plan.name,
        amount=plan.price,
        currency=plan.currency,
        period=plan.period,
    )


def expire_open_orders(*, before: object) -> int:
    """Close orders nobody can pay any more, whose checkout was never made or whose end we never heard of."""
    return Order.objects.filter(state=Order.State.OPEN, created_at__lt=before).update(
        state=Order.State.EXPIRED, ended_at=timezone.now()
    )


def is_in_the_way(current: Subscription, store: Store, plan: Plan) -> bool:
    """Whether buying `plan` at `store` would leave somebody with two that are paid.

    A plan for life may be bought while a smaller or equal one runs, which then ends with its period; and
    beside one for life any plan of a higher tier.
    """
    is_held_here = current.state == Subscription.State.ON_HOLD and current.store == store
    if current.store == Store.GIVEN or not (current.is_entitled or is_held_here):
        return False
    if current.is_entitled and current.period_end is None:
        return plan.tier.position <= current.tier.position
    return plan.period != Plan.Period.LIFETIME


def checked_return_url(field: str, url: str, default: str) -> str:
    """Where the store sends people back to: pages of ours, or an app's own scheme the operator named.

    `default` where no `url` was given. Raises Invalid for `field`.
    """
    if not url:
        return default
    parts = urlsplit(url)
    is_ours = f"{parts.scheme}://{parts.netloc}" in settings.ALLOWED_ORIGINS
    is_app = parts.scheme in settings.BILLING_RETURN_SCHEMES
    if len(url) > _MAX_URL or not (is_ours or is_app):
        raise Invalid.field(field, "invalid", _("People can only be sent back to this site or its apps."))
    return url


def _check_may_buy(user_id: UUID) -> None:
    if not has_verified_email(user_id):
        raise EmailNotVerified


def _new_order(connection: Connection, user_id: UUID, pack_slug: str, plan_slug: str) -> Order:
    if bool(pack_slug) == bool(plan_slug):
        raise Invalid.field("pack", "required", _("Name either a pack or a plan."))
    if pack_slug:
        return _pack_order(connection.store, user_id, pack_slug)
    return _plan_order(connection, user_id, plan_slug)


def _pack_order(store: Store, user_id: UUID, slug: str) -> Order:
    pack = Pack.objects.filter(slug=slug, is_active=True).first()
    if pack is None:
        raise Invalid.field("pack", "does_not_exist", _("This pack is not on sale."))
    return Order.objects.create(
        user_id=user_id,
        store=store,
        pack=pack,
        name=pack.name,
        credits=pack.credits,
        price=pack.price,
        currency=pack.currency,
    )


def _plan_order(connection: Connection, user_id: UUID, slug: str) -> Order:
    plan = Plan.objects.select_related("tier").filter(slug=slug, is_active=True).first()
    if plan is None:
        raise Invalid.field("plan", "does_not_exist", _("This plan is not on sale."))
    bought = selectors.list_bought_subscriptions(user_id)
    if any(is_in_the_way(row, connection.store, plan) for row in bought):
        raise Conflict(_("You have a plan already. Change it instead."))
    _check_last_one_was_paid(user_id, plan)
    _close_open_plan_order(connection, user_id)
    order = Order(
        user_id=user_id,
        store=connection.store,
        plan=plan,
        name=plan.name,
        credits=plan.bonus_credits,
        price=plan.price,
        currency=plan.currency,
        trial_days=plan.trial_days if not selectors.had_subscription(user_id) else 0,
    )
    Order.objects.bulk_create([order], ignore_conflicts=True)
    if not Order.objects.filter(id=order.id).exists():
        raise _overtaken()
    return order


def _check_last_one_was_paid(user_id: UUID, plan: Plan) -> None:
    """The grace time of a plan for a day is as long as what was paid; it shall not be had again and again."""
    since = timezone.now() - _UNPAID_IS_REMEMBERED
    if plan.period == Plan.Period.DAY and selectors.had_unpaid_end_since(user_id, since):
        raise Conflict(_("Your last plan ended unpaid. For now, choose one for a month or longer."))


def _close_open_plan_order(connection: Connection, user_id: UUID) -> None:
    """Two open checkouts for plans could both be paid, so the earlier one is closed at the store first."""
    order = Order.objects.filter(user_id=user_id, state=Order.State.OPEN, plan__isnull=False).first()
    if order is None:
        return
    if order.session_id and order.store == connection.store:
        try:
            outgoing.expire_checkout(connection, order.session_id)
        except UnknownObject:
            pass
        except StoreError as error:
            if error.is_passing:
                raise Unavailable(_("The store does not answer. Please try again."), retry_after=5) from error
            # It is over already: paid, most likely.
            inbox.apply_told(inbox.ask_stripe("checkout.session.completed", order.session_id))
            order.refresh_from_db()
            if order.state == Order.State.PAID or selectors.had_subscription_since(user_id, order.created_at):
                raise Conflict(_("You have a plan already. Change it instead.")) from error
    if not _give_up(order):
        order.refresh_from_db()
        if order.state in (Order.State.OPEN, Order.State.PAID):
            raise _overtaken()


def _open_page(
    connection: Connection, order: Order, urls: tuple[str, str], promotion_id: str
) -> outgoing.Checkout:
    customer_id = ensure_customer(connection, order.user_id)
    price_id = ensure_price(
        connection,
        slug=order.pack_id or order.plan_id or "",
        name=order.name,
        amount=order.price,
        currency=order.currency,
        period=order.plan.period if order.plan is not None else "",
    )
    page = at_store(
        lambda: outgoing.create_checkout(
            connection,
            order,
            customer_id=customer_id,
            price_id=price_id,
            success_url=urls[0],
            cancel_url=urls[1],
            promotion_id=promotion_id,
        )
    )
    if not Order.objects.filter(id=order.id, state=Order.State.OPEN).update(session_id=page.session_id):
        # A rival took its place while the store was asked; nobody shall pay both.
        at_store(lambda: outgoing.expire_checkout(connection, page.session_id))
        raise _overtaken()
    return page


def _promotion(connection: Connection, code: str) -> str:
    if not code:
        return ""
    promotion_id = at_store(lambda: outgoing.find_promotion(connection, code))
    if not promotion_id:
        raise Invalid.field("promotion_code", "does_not_exist", _("This code is not valid."))
    return promotion_id


def _give_up(order: Order) -> bool:
    """False where it ended otherwise, or got its checkout, since it was read."""
    as_read = Order.objects.filter(id=order.id, state=Order.State.OPEN, session_id=order.session_id)
    return bool(as_read.update(state=Order.State.EXPIRED, ended_at=timezone.now()))


def _overtaken() -> Conflict:
    return Conflict(_("Another checkout was opened a moment ago."), retry_after=1)


def _bought_url() -> str:
    return f"{settings.PUBLIC_URL}{reverse('billing:bought')}?session_id={{CHECKOUT_SESSION_ID}}"


def _wallet_url() -> str:
    return f"{settings.PUBLIC_URL}{reverse('billing:wallet')}"
