"""What we ask Stripe to do. Every call that makes something carries a key of our own stable ids, so that one
whose answer was lost can be made again: it has one effect, however often it is sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.conf import settings

from billing.models import Order, Plan
from billing.stores.base import StoreError
from billing.stores.stripe import facts
from billing.stores.stripe.connection import Connection, call, listed

_INTERVALS = {Plan.Period.DAY: "day", Plan.Period.MONTH: "month", Plan.Period.YEAR: "year"}


@dataclass(frozen=True, slots=True)
class Checkout:
    session_id: str
    url: str


@dataclass(frozen=True, slots=True)
class PaymentSheet:
    """What a mobile payment sheet needs."""

    intent_id: str
    client_secret: str
    ephemeral_key: str


@dataclass(frozen=True, slots=True)
class ChangePreview:
    """What changing a plan now would charge (`due`), in smallest units; `credit` is for unused paid time.

    `prorated_at` is 0 where nothing unused is counted, since a trial ends by the change.
    """

    due: int
    credit: int
    currency: str
    prorated_at: int


@dataclass(frozen=True, slots=True)
class Invoice:
    number: str
    amount: int
    currency: str
    status: str
    created_at: datetime | None
    url: str
    pdf_url: str


def create_customer(connection: Connection, *, user_id: UUID, email: str) -> str:
    customer = call(
        lambda: connection.api.customers.create(
            {"email": email, "metadata": {facts.USER: str(user_id)}},
            # With another address it is another wish: Stripe refuses a key that comes with new words.
            {"idempotency_key": f"customer:{user_id}:{sha256(email.encode()).hexdigest()[:16]}"},
        )
    )
    return str(customer["id"])


def delete_customer(connection: Connection, customer_id: str) -> None:
    """Forget somebody at Stripe, which also ends their subscriptions at once."""
    call(lambda: connection.api.customers.delete(customer_id))


def create_price(
    connection: Connection, *, slug: str, name: str, amount: int, currency: str, period: str
) -> str:
    """A price for a pack (`period` empty) or a plan as it is on sale now."""
    key = f"price:{slug}:{period}:{amount}:{currency}"
    interval = _INTERVALS.get(Plan.Period(period)) if period else None
    product = call(
        lambda: connection.api.products.create(
            {"name": name, "metadata": {"parlor_slug": slug}}, {"idempotency_key": f"product:{key}"}
        )
    )
    params: dict[str, Any] = {
        "product": product["id"],
        "unit_amount": amount,
        "currency": currency.lower(),
        "metadata": {facts.PLAN if period else facts.PACK: slug},
        "tax_behavior": "exclusive",
    }
    if interval:
        params["recurring"] = {"interval": interval}
    return str(call(lambda: connection.api.prices.create(params, {"idempotency_key": key}))["id"])


def create_checkout(
    connection: Connection,
    order: Order,
    *,
    customer_id: str,
    price_id: str,
    success_url: str,
    cancel_url: str,
    promotion_id: str = "",
) -> Checkout:
    """Stripe's own page for an order. The same order gets the same page."""
    is_subscription = order.plan is not None and order.plan.period != Plan.Period.LIFETIME
    metadata = _metadata(order)
    params: dict[str, Any] = {
        "mode": "subscription" if is_subscription else "payment",
        "customer": customer_id,
        "client_reference_id": str(order.user_id),
        "line_items": [{"price": price_id, "quantity": 1}],
        "success_url": success_url,
        "cancel_url": cancel_url,
        "metadata": metadata,
    }
    if is_subscription:
        params["subscription_data"] = {"metadata": metadata}
        if order.trial_days:
            params["subscription_data"]["trial_period_days"] = order.trial_days
    else:
        params["payment_intent_data"] = {"metadata": metadata, "description": order.name}
    if promotion_id:
        params["discounts"] = [{"promotion_code": promotion_id}]
    else:
        params["allow_promotion_codes"] = True
    if settings.STRIPE_TAX_ENABLED:
        params["automatic_tax"] = {"enabled": True}
        params["customer_update"] = {"address": "auto"}
    session = call(
        lambda: connection.api.checkout.sessions.create(params, {"idempotency_key": f"checkout:{order.id}"})
    )
    return Checkout(session["id"], session["url"])


def checkout_url(connection: Connection, session_id: str) -> str:
    """Where an open checkout goes on; empty when it is over."""
    session = call(lambda: connection.api.checkout.sessions.retrieve(session_id))
    return str(session.get("url") or "") if session["status"] == "open" else ""


def expire_checkout(connection: Connection, session_id: str) -> None:
    """Close a checkout so that nothing can be paid in it. Raises StoreError when it was completed."""
    call(lambda: connection.api.checkout.sessions.expire(session_id))


def create_payment_sheet(connection: Connection, order: Order, *, customer_id: str) -> PaymentSheet:
    intent = call(
        lambda: connection.api.payment_intents.create(
            {
                "amount": order.price,
                "currency": order.currency.lower(),
                "customer": customer_id,
                "metadata": _metadata(order),
                "description": order.name,
                "automatic_payment_methods": {"enabled": True},
            },
            {"idempotency_key": f"intent:{order.id}"},
        )
    )
    key = call(
        lambda: connection.api.ephemeral_keys.create(
            {"customer": customer_id}, {"stripe_version": settings.STRIPE_MOBILE_API_VERSION}
        )
    )
    return PaymentSheet(intent["id"], intent["client_secret"], key["secret"])


def create_portal(connection: Connection, *, customer_id: str, return_url: str) -> str:
    session = call(
        lambda: connection.api.billing_portal.sessions.create(
            {"customer": customer_id, "return_url": return_url}
        )
    )
    return str(session["url"])


def find_promotion(connection: Connection, code: str) -> str:
    """The id of a promotion code that can be used now, or an empty text."""
    params = {"code": code, "active": True, "limit": 1}
    return next((str(row["id"]) for row in listed(lambda: connection.api.promotion_codes.list(params))), "")


def preview_change(connection: Connection, *, subscription_id: str, price_id: str) -> ChangePreview:
    current = call(lambda: connection.api.subscriptions.retrieve(subscription_id))
    change = _immediate_change(current, price_id)
    invoice = call(
        lambda: connection.api.invoices.create_preview(
            {"subscription": subscription_id, "subscription_details": change}
        )
    )
    credit = -sum(line["amount"] for line in invoice["lines"]["data"] if line["amount"] < 0)
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    return ChangePreview(
        due=invoice["amount_due"],
        credit=credit,
        currency=invoice["currency"].upper(),
        prorated_at=0 if "trial_end" in change else details.get("subscription_proration_date") or 0,
    )


def change_now(
    connection: Connection, *, subscription_id: str, price_id: str, key: str, prorated_at: int = 0
) -> None:
    """Change the plan at once and charge the difference now; a trial ends by it and all is charged.

    Raises StoreError when the card is declined, or something is unpaid: the plan stays as it was then.
    """
    current = call(lambda: connection.api.subscriptions.retrieve(subscription_id))
    if current["status"] not in ("active", "trialing"):
        # The unused part of a period nobody paid for would be taken off.
        raise StoreError(f"{subscription_id} is {current['status']}", is_passing=False)
    planned = _planned_price(connection, current)
    release_schedule(connection, subscription_id)
    change = _immediate_change(current, price_id)
    is_trial = "trial_end" in change
    if _price_of(current) == price_id and not is_trial:
        # An earlier call had its effect, though its answer was lost.
        return
    params = change | {"payment_behavior": "error_if_incomplete", "cancel_at_period_end": False}
    if prorated_at and not is_trial:
        params["proration_date"] = prorated_at
    key = f"{key}:trial" if is_trial else key
    try:
        call(lambda: connection.api.subscriptions.update(subscription_id, params, {"idempotency_key": key}))
    except StoreError as error:
        if planned and not error.is_passing:
            change_at_period_end(connection, subscription_id=subscription_id, price_id=planned)
        raise


def _planned_price(connection: Connection, current: dict[str, Any]) -> str:
    """What a schedule changes it to; empty without one."""
    if not current.get("schedule"):
        return ""
    schedule = call(lambda: connection.api.subscription_schedules.retrieve(_id(current["schedule"])))
    return _id(schedule["phases"][-1]["items"][0]["price"])


def _immediate_change(current: dict[str, Any], price_id: str) -> dict[str, Any]:
    """A preview and the change itself ask for the same."""
    change: dict[str, Any] = {
        "items": [{"id": current["items"]["data"][0]["id"], "price": price_id}],
        "proration_behavior": "always_invoice",
    }
    if current["status"] == "trialing":
        # What is free is free for this plan only: else a better one would be had for nothing until then.
        change["trial_end"] = "now"
    return change


def _price_of(current: dict[str, Any]) -> str:
    return str(current["items"]["data"][0]["price"]["id"])


def change_at_period_end(connection: Connection, *, subscription_id: str, price_id: str) -> None:
    """Go on with another price when the paid period is over; the price of now takes back such a wish."""
    current = call(lambda: connection.api.subscriptions.retrieve(subscription_id))
    # An earlier schedule may have begun with a period that is over, so each change makes its own.
    release_schedule(connection, subscription_id)
    if current.get("cancel_at_period_end"):
        set_cancellation(connection, subscription_id=subscription_id, at_period_end=False)
    if _price_of(current) == price_id:
        return
    schedule = call(
        lambda: connection.api.subscription_schedules.create({"from_subscription": subscription_id})
    )
    present = schedule["phases"][0]
    first = {
        "items": [{"price": _id(present["items"][0]["price"]), "quantity": 1}],
        "start_date": present["start_date"],
        "end_date": present["end_date"],
    }
    if present.get("trial_end"):
        # Left out, a trial would end, and be charged, now.
        first["trial_end"] = present["trial_end"]
    phases = [first, {"items": [{"price": price_id, "quantity": 1}], "proration_behavior": "none"}]
    call(
        lambda: connection.api.subscription_schedules.update(
            schedule["id"], {"phases": phases, "end_behavior": "release", "proration_behavior": "none"}
        )
    )


def release_schedule(connection: Connection, subscription_id: str) -> None:
    """Forget a planned change; the subscription goes on as it is."""
    current = call(lambda: connection.api.subscriptions.retrieve(subscription_id))
    if current.get("schedule"):
        call(lambda: connection.api.subscription_schedules.release(_id(current["schedule"])))


def set_cancellation(connection: Connection, *, subscription_id: str, at_period_end: bool) -> None:
    """End the subscription with its paid period, or take that back."""
    release_schedule(connection, subscription_id)
    call(
        lambda: connection.api.subscriptions.update(subscription_id, {"cancel_at_period_end": at_period_end})
    )


def cancel_now(connection: Connection, *, subscription_id: str) -> None:
    release_schedule(connection, subscription_id)
    call(lambda: connection.api.subscriptions.cancel(subscription_id))


def extend(connection: Connection, *, subscription_id: str, until: datetime) -> None:
    """Move the next payment to `until`, without charging for the time between."""
    release_schedule(connection, subscription_id)
    call(
        lambda: connection.api.subscriptions.update(
            subscription_id, {"trial_end": int(until.timestamp()), "proration_behavior": "none"}
        )
    )


def refund(connection: Connection, *, payment_id: str, amount: int | None, key: str, reason: str) -> str:
    """Send money back for a payment intent, or the payment of an invoice; answers the refund's id.

    `amount` is in smallest units, None for all that is left.
    """
    intent_id = payment_id if payment_id.startswith("pi_") else _intent_of_invoice(connection, payment_id)
    params: dict[str, Any] = {"payment_intent": intent_id, "metadata": {"reason": reason[:400]}}
    if amount is not None:
        params["amount"] = amount
    return str(call(lambda: connection.api.refunds.create(params, {"idempotency_key": key}))["id"])


def list_invoices(connection: Connection, *, customer_id: str, limit: int = 24) -> list[Invoice]:
    answer = call(lambda: connection.api.invoices.list({"customer": customer_id, "limit": limit}))
    return [
        Invoice(
            number=row.get("number") or row["id"],
            amount=row["total"],
            currency=row["currency"].upper(),
            status=row.get("status") or "",
            created_at=facts.moment(row["created"]),
            url=row.get("hosted_invoice_url") or "",
            pdf_url=row.get("invoice_pdf") or "",
        )
        for row in answer["data"]
    ]


def list_intents(connection: Connection, *, since: datetime) -> Iterator[dict[str, Any]]:
    params = {"created": {"gte": int(since.timestamp())}, "limit": 100}
    return listed(lambda: connection.api.payment_intents.list(params))


def list_paid_invoices(connection: Connection, *, since: datetime) -> Iterator[dict[str, Any]]:
    params = {"created": {"gte": int(since.timestamp())}, "status": "paid", "limit": 100}
    return listed(lambda: connection.api.invoices.list(params))


def list_refunds(connection: Connection, *, since: datetime) -> Iterator[dict[str, Any]]:
    params = {"created": {"gte": int(since.timestamp())}, "limit": 100}
    return listed(lambda: connection.api.refunds.list(params))


def list_disputes(connection: Connection, *, since: datetime) -> Iterator[dict[str, Any]]:
    params = {"created": {"gte": int(since.timestamp())}, "limit": 100}
    return listed(lambda: connection.api.disputes.list(params))


def list_subscriptions(connection: Connection) -> Iterator[dict[str, Any]]:
    return listed(lambda: connection.api.subscriptions.list({"status": "all", "limit": 100}))


def list_events(connection: Connection, *, since: datetime) -> Iterator[dict[str, Any]]:
    """What Stripe told, or tried to, since a moment; it remembers thirty days."""
    params = {"created": {"gte": int(since.timestamp())}, "limit": 100}
    return listed(lambda: connection.api.events.list(params))


def account_id(connection: Connection) -> str:
    return str(call(connection.api.accounts.retrieve_current)["id"])


def _metadata(order: Order) -> dict[str, str]:
    metadata = {facts.USER: str(order.user_id), facts.ORDER: str(order.id)}
    if order.pack_id:
        metadata[facts.PACK] = order.pack_id
    if order.plan_id:
        metadata[facts.PLAN] = order.plan_id
    return metadata


def _intent_of_invoice(connection: Connection, invoice_id: str) -> str:
    rows = listed(lambda: connection.api.invoice_payments.list({"invoice": invoice_id, "limit": 10}))
    for row in rows:
        intent = row["payment"].get("payment_intent")
        if intent:
            return _id(intent)
    raise StoreError(f"{invoice_id} was paid without a payment that could go back", is_passing=False)


def _id(value: Any) -> str:
    return str(value["id"]) if isinstance(value, dict) else str(value)
