"""What Stripe's objects say, as facts of `billing.stores.base`. Always asked anew: events are only hints.

Fields are those of API version 2026-10-28.endive.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from billing.stores.base import (
    DisputeFacts,
    DisputeStanding,
    PaymentFacts,
    PaymentStanding,
    RefundFacts,
    Standing,
    SubscriptionFacts,
)
from billing.stores.stripe.connection import Connection, call, listed
from common.ids import parse_uuid

# What we write on objects, so that they can be told apart from an operator's others.
USER, ORDER, PACK, PLAN = "parlor_user", "parlor_order", "parlor_pack", "parlor_plan"

_STANDINGS = {
    "incomplete": Standing.PENDING,
    "trialing": Standing.TRIALING,
    "active": Standing.ACTIVE,
    "past_due": Standing.PAST_DUE,
    "unpaid": Standing.ON_HOLD,
    "paused": Standing.ON_HOLD,
    "canceled": Standing.ENDED,
    "incomplete_expired": Standing.ENDED,
}
_INVOICE_PARTS = ["payments", "lines"]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything an event leads to. Subscriptions come before their payments."""

    subscriptions: list[SubscriptionFacts] = field(default_factory=list)
    payments: list[PaymentFacts] = field(default_factory=list)
    # Our orders whose checkout is over without a payment.
    expired_orders: list[UUID] = field(default_factory=list)


def about(connection: Connection, kind: str, object_id: str) -> Facts:
    """What is true now of the object an event of `kind` tells of. Raises StoreError."""
    family = kind.rpartition(".")[0]
    if family.startswith("checkout.session"):
        return about_checkout(connection, object_id)
    if family == "payment_intent":
        return about_intent(connection, object_id)
    if family == "invoice":
        return about_invoice(connection, object_id)
    if family.startswith("customer.subscription"):
        return about_subscription(connection, object_id)
    if family.startswith("subscription_schedule"):
        schedule = call(lambda: connection.api.subscription_schedules.retrieve(object_id))
        owner = schedule.get("subscription") or schedule.get("released_subscription")
        return about_subscription(connection, _id(owner)) if owner else Facts()
    if family.startswith(("charge", "refund")):
        return about_intent(connection, _intent_of(connection, family, object_id))
    return Facts()


def about_checkout(connection: Connection, session_id: str) -> Facts:
    session = call(lambda: connection.api.checkout.sessions.retrieve(session_id))
    order_id = parse_uuid(session.get("metadata", {}).get(ORDER))
    if order_id is None:
        return Facts()
    if session["status"] == "expired":
        return Facts(expired_orders=[order_id])
    if session.get("subscription"):
        return about_subscription(connection, _id(session["subscription"]))
    if session["status"] != "complete" or session["mode"] != "payment":
        return Facts()
    return Facts(payments=[_session_payment(connection, session)])


def about_intent(connection: Connection, intent_id: str) -> Facts:
    """A payment by its intent: of an invoice, of a checkout, or of a payment sheet."""
    if not intent_id:
        return Facts()
    payment = {"type": "payment_intent", "payment_intent": intent_id}
    for row in listed(lambda: connection.api.invoice_payments.list({"payment": payment, "limit": 1})):
        return about_invoice(connection, row["invoice"])
    for session in listed(
        lambda: connection.api.checkout.sessions.list({"payment_intent": intent_id, "limit": 1})
    ):
        if session.get("metadata", {}).get(ORDER) and session["status"] == "complete":
            return Facts(payments=[_session_payment(connection, session)])
        return Facts()
    intent = _intent(connection, intent_id)
    if not intent.get("metadata", {}).get(ORDER):
        return Facts()
    return Facts(payments=[_intent_payment(connection, intent, earned=intent["amount"], tax=0)])


def about_invoice(connection: Connection, invoice_id: str) -> Facts:
    """An invoice of a subscription, with the subscription as it is now."""
    invoice = call(lambda: connection.api.invoices.retrieve(invoice_id, {"expand": _INVOICE_PARTS}))
    details = ((invoice.get("parent") or {}).get("subscription_details")) or {}
    if not details.get("subscription"):
        return Facts()
    owner = subscription(connection, details["subscription"])
    return Facts([owner], [_invoice_payment(connection, invoice, owner)])


def about_subscription(connection: Connection, subscription_id: str) -> Facts:
    """A subscription and its latest invoice."""
    raw = call(lambda: connection.api.subscriptions.retrieve(subscription_id, {"expand": ["schedule"]}))
    found = read_subscription(connection, raw)
    invoice = raw.get("latest_invoice")
    payments = about_invoice(connection, _id(invoice)).payments if invoice else []
    return Facts([found], payments)


def subscription(connection: Connection, subscription_id: str) -> SubscriptionFacts:
    raw = call(lambda: connection.api.subscriptions.retrieve(subscription_id, {"expand": ["schedule"]}))
    return read_subscription(connection, raw)


def read_subscription(connection: Connection, raw: dict[str, Any]) -> SubscriptionFacts:
    item = raw["items"]["data"][0]
    price = item["price"]
    standing = _STANDINGS.get(raw["status"], Standing.ON_HOLD)
    started = moment(item["current_period_start"])
    return SubscriptionFacts(
        external_id=raw["id"],
        standing=standing,
        plan=price.get("metadata", {}).get(PLAN, ""),
        user_id=parse_uuid(raw.get("metadata", {}).get(USER)),
        customer_id=_id(raw["customer"]),
        price=price["unit_amount"] or 0,
        currency=price["currency"].upper(),
        started_at=moment(raw["start_date"]),
        period_start=started,
        period_end=moment(item["current_period_end"]),
        ends_at_period_end=bool(raw.get("cancel_at_period_end") or raw.get("cancel_at")),
        # The renewal that failed was due when the period began.
        past_due_since=started if standing == Standing.PAST_DUE else None,
        ended_at=moment(raw.get("ended_at")),
        next_plan=_next_plan(connection, raw.get("schedule"), price["id"]),
        is_live=raw["livemode"],
    )


def _next_plan(connection: Connection, schedule: Any, price_id: str) -> str:
    if not isinstance(schedule, dict) or schedule.get("status") not in ("active", "not_started"):
        return ""
    following = schedule["phases"][-1]["items"][0]["price"]
    return "" if _id(following) == price_id else _plan_of_price(connection, _id(following))


def _plan_of_price(connection: Connection, price_id: str) -> str:
    price = call(lambda: connection.api.prices.retrieve(price_id))
    return str(price.get("metadata", {}).get(PLAN, ""))


def _session_payment(connection: Connection, session: dict[str, Any]) -> PaymentFacts:
    intent_id = session.get("payment_intent")
    tax = (session.get("total_details") or {}).get("amount_tax") or 0
    if intent_id:
        intent = _intent(connection, _id(intent_id))
        return _intent_payment(connection, intent, earned=session["amount_subtotal"], tax=tax)
    # Nothing was left to pay after a discount.
    metadata = session["metadata"]
    return PaymentFacts(
        external_id=session["id"],
        standing=PaymentStanding.PAID,
        user_id=parse_uuid(metadata.get(USER)),
        pack=metadata.get(PACK, ""),
        plan=metadata.get(PLAN, ""),
        order_id=parse_uuid(metadata.get(ORDER)),
        customer_id=_id(session.get("customer") or ""),
        currency=session["currency"].upper(),
        earned=session["amount_subtotal"],
        paid_at=moment(session["created"]),
        is_live=session["livemode"],
    )


def _intent_payment(connection: Connection, intent: dict[str, Any], *, earned: int, tax: int) -> PaymentFacts:
    metadata = intent.get("metadata", {})
    charge = intent.get("latest_charge")
    paid_at = charge["created"] if isinstance(charge, dict) else intent["created"]
    refunds, disputes = _returns(connection, intent["id"])
    return PaymentFacts(
        external_id=intent["id"],
        standing=_intent_standing(intent),
        user_id=parse_uuid(metadata.get(USER)),
        pack=metadata.get(PACK, ""),
        plan=metadata.get(PLAN, ""),
        order_id=parse_uuid(metadata.get(ORDER)),
        customer_id=_id(intent.get("customer") or ""),
        amount=intent.get("amount_received") or 0,
        tax=tax,
        currency=intent["currency"].upper(),
        earned=earned,
        paid_at=moment(paid_at),
        refunds=refunds,
        disputes=disputes,
        document_url=(charge.get("receipt_url") or "") if isinstance(charge, dict) else "",
        is_live=intent["livemode"],
    )


def _intent_standing(intent: dict[str, Any]) -> PaymentStanding:
    if intent["status"] == "succeeded":
        return PaymentStanding.PAID
    # A declined card can be tried again, so the order stays open until its checkout is over.
    return PaymentStanding.FAILED if intent["status"] == "canceled" else PaymentStanding.PENDING


def _invoice_payment(
    connection: Connection, invoice: dict[str, Any], owner: SubscriptionFacts
) -> PaymentFacts:
    line = max(invoice["lines"]["data"], key=lambda row: (row["amount"], row["period"]["end"]))
    intent_id = _intent_of_invoice(invoice)
    refunds, disputes = _returns(connection, intent_id) if intent_id else ((), ())
    paid_at = (invoice.get("status_transitions") or {}).get("paid_at")
    return PaymentFacts(
        external_id=invoice["id"],
        standing=PaymentStanding.PAID if invoice["status"] == "paid" else PaymentStanding.PENDING,
        user_id=owner.user_id,
        plan=_plan_of_line(connection, line) or owner.plan,
        order_id=_order_of_invoice(invoice),
        subscription_id=owner.external_id,
        customer_id=_id(invoice["customer"]),
        amount=invoice["amount_paid"],
        tax=sum(tax["amount"] for tax in invoice.get("total_taxes") or ()),
        currency=invoice["currency"].upper(),
        earned=max(0, _before_discounts(invoice) - _credit_used(invoice)),
        paid_at=moment(paid_at),
        period_start=moment(line["period"]["start"]),
        period_end=moment(line["period"]["end"]),
        refunds=refunds,
        disputes=disputes,
        document_url=invoice.get("hosted_invoice_url") or "",
        is_live=invoice["livemode"],
    )


def _before_discounts(invoice: dict[str, Any]) -> int:
    subtotal = invoice.get("subtotal_excluding_tax")
    return int(invoice["subtotal"] if subtotal is None else subtotal)


def _credit_used(invoice: dict[str, Any]) -> int:
    """What of the customer's balance paid for the invoice; credit is negative at Stripe."""
    before, after = invoice.get("starting_balance") or 0, invoice.get("ending_balance") or 0
    return max(0, min(after, 0) - before)


def _order_of_invoice(invoice: dict[str, Any]) -> UUID | None:
    """Our order, on the first invoice only: it says what was on sale then."""
    if invoice.get("billing_reason") != "subscription_create":
        return None
    details = invoice["parent"]["subscription_details"]
    return parse_uuid((details.get("metadata") or {}).get(ORDER))


def _intent_of_invoice(invoice: dict[str, Any]) -> str:
    for row in (invoice.get("payments") or {}).get("data", ()):
        intent = row["payment"].get("payment_intent")
        if intent and row["status"] == "paid":
            return _id(intent)
    return ""


def _plan_of_line(connection: Connection, line: dict[str, Any]) -> str:
    price = ((line.get("pricing") or {}).get("price_details") or {}).get("price")
    return _plan_of_price(connection, _id(price)) if price else ""


def _intent(connection: Connection, intent_id: str) -> dict[str, Any]:
    return call(lambda: connection.api.payment_intents.retrieve(intent_id, {"expand": ["latest_charge"]}))


def _intent_of(connection: Connection, family: str, object_id: str) -> str:
    api = connection.api
    if family.startswith("charge.dispute"):
        found = call(lambda: api.disputes.retrieve(object_id))
    elif family == "refund" or object_id.startswith("re_"):
        found = call(lambda: api.refunds.retrieve(object_id))
    else:
        found = call(lambda: api.charges.retrieve(object_id))
    return _id(found.get("payment_intent") or "")


def _returns(
    connection: Connection, intent_id: str
) -> tuple[tuple[RefundFacts, ...], tuple[DisputeFacts, ...]]:
    api = connection.api
    refunds = listed(lambda: api.refunds.list({"payment_intent": intent_id, "limit": 100}))
    disputes = listed(lambda: api.disputes.list({"payment_intent": intent_id, "limit": 100}))
    return tuple(_refunds(refunds)), tuple(_disputes(disputes))


def _refunds(rows: Iterable[dict[str, Any]]) -> Iterable[RefundFacts]:
    for row in rows:
        if row["status"] == "succeeded":
            yield RefundFacts(row["id"], row["amount"], moment(row["created"]) or datetime.now(UTC))


def _disputes(rows: Iterable[dict[str, Any]]) -> Iterable[DisputeFacts]:
    for row in rows:
        # An inquiry takes no money yet.
        if row["status"].startswith("warning_"):
            continue
        standing = {"won": DisputeStanding.WON, "lost": DisputeStanding.LOST}.get(
            row["status"], DisputeStanding.OPEN
        )
        yield DisputeFacts(row["id"], standing, row["amount"], moment(row["created"]) or datetime.now(UTC))


def moment(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _id(value: Any) -> str:
    """An object's id, expanded or not."""
    return str(value["id"]) if isinstance(value, dict) else str(value)
