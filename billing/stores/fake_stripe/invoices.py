"""Invoices: put together, finalized, paid, tried again."""

from dataclasses import dataclass
from typing import Any

from . import catalogue, customers, payments
from .clock import DAY
from .errors import StripeError
from .rendering import list_of
from .store import Doc
from .world import PUBLIC, World, new_id

# Days after the first failed attempt at which a renewal is tried again.
RETRY_DAYS = (1, 3, 5, 7)


@dataclass(frozen=True)
class Line:
    """One row to bill. `amount` is before discounts; credit lines are net of what had been taken off."""

    amount: int
    price: Doc
    description: str
    start: int
    end: int
    quantity: int = 1
    is_proration: bool = False


def line_document(line: Line, subscription: Doc | None, discounts: list[Doc]) -> Doc:
    details = {
        "invoice_item": None,
        "proration": line.is_proration,
        "proration_details": {"credited_items": None},
        "subscription": subscription["id"] if subscription else None,
        "subscription_item": subscription["items"]["data"][0]["id"] if subscription else None,
    }
    return {
        "id": new_id("il"),
        "object": "line_item",
        "amount": line.amount,
        "currency": line.price["currency"],
        "description": line.description,
        "discount_amounts": discounts,
        "discountable": line.amount > 0,
        "discounts": [discount["discount"] for discount in discounts],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": details,
            "type": "subscription_item_details",
        }
        if subscription
        else None,
        "period": {"start": line.start, "end": line.end},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": line.price["id"], "product": line.price["product"]},
            "type": "price_details",
            "unit_amount_decimal": line.price["unit_amount_decimal"],
        },
        "quantity": line.quantity,
        "subscription": subscription["id"] if subscription else None,
        "subtotal": line.amount,
        "taxes": [],
    }


def discounted(world: World, amounts: list[int], discounts: list[Doc]) -> list[list[Doc]]:
    """What each discount takes off each amount; credits are left alone."""
    taken: list[list[Doc]] = [[] for _ in amounts]
    for discount in discounts:
        coupon = world.get("coupon", discount["source"]["coupon"])
        left_over = coupon["amount_off"] or 0
        for row, amount in enumerate(amounts):
            left = amount - sum(part["amount"] for part in taken[row])
            part = _part(coupon, left, left_over)
            left_over -= part
            taken[row].append({"amount": part, "discount": discount["id"]})
    return taken


def _part(coupon: Doc, amount: int, left_over: int) -> int:
    if amount <= 0:
        return 0
    if coupon["percent_off"] is not None:
        return catalogue.discount_on(coupon, amount)
    return min(int(left_over), amount)


def tax_on(world: World, amount: int, *, is_on: bool) -> int:
    return catalogue.rounded(max(0, amount), world.tax_percent, 100) if is_on else 0


def assemble(
    world: World,
    *,
    customer: Doc,
    lines: list[Line],
    reason: str,
    subscription: Doc | None = None,
    discounts: list[Doc] | None = None,
    is_taxed: bool = False,
    period: tuple[int, int] | None = None,
    proration_date: int | None = None,
    metadata: dict[str, str] | None = None,
) -> Doc:
    """The figures of an invoice, stored nowhere: a preview and the real one come from here alike."""
    applied = discounts or []
    taken = discounted(world, [line.amount for line in lines], applied)
    rows = [line_document(line, subscription, parts) for line, parts in zip(lines, taken, strict=True)]
    subtotal = sum(line.amount for line in lines)
    totals = [
        {"amount": sum(parts[number]["amount"] for parts in taken), "discount": discount["id"]}
        for number, discount in enumerate(applied)
    ]
    untaxed = subtotal - sum(total["amount"] for total in totals)
    tax = tax_on(world, untaxed, is_on=is_taxed)
    now = world.clock.now()
    start, end = period or (now, now)
    invoice: Doc = {
        "account_name": "Parlor test shop",
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": is_taxed,
            "liability": None,
            "status": "complete" if is_taxed else None,
        },
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "currency": lines[0].price["currency"] if lines else (customer["currency"] or "usd"),
        "customer": customer["id"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "default_payment_method": None,
        "description": None,
        "discounts": [discount["id"] for discount in applied],
        "due_date": None,
        "effective_at": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "lines": list_of(rows, "/v1/invoices/lines"),
        "metadata": metadata or {},
        "next_payment_attempt": None,
        "number": None,
        "parent": _parent(subscription, proration_date),
        "period_end": end,
        "period_start": start,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "total": untaxed + tax,
        "total_discount_amounts": totals,
        "total_excluding_tax": untaxed,
        "total_pretax_credit_amounts": [],
        "total_taxes": _taxes(tax, untaxed) if is_taxed else [],
    }
    if reason in ("subscription_create", "manual"):
        # Checkout charges its page's total; balance credit is for renewals and changes.
        balance = customer["balance"]
        return invoice | _due(untaxed + tax, 0) | {"starting_balance": balance, "ending_balance": balance}
    return invoice | _due(untaxed + tax, customer["balance"])


def _parent(subscription: Doc | None, proration_date: int | None) -> Doc | None:
    if subscription is None:
        return None
    details: Doc = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
    if proration_date is not None:
        details["subscription_proration_date"] = proration_date
    return {"quote_details": None, "subscription_details": details, "type": "subscription_details"}


def _taxes(amount: int, base: int) -> list[Doc]:
    return [
        {
            "amount": amount,
            "tax_behavior": "exclusive",
            "tax_rate_details": {"tax_rate": "txr_parlor"},
            "taxability_reason": "standard_rated",
            "taxable_amount": base,
            "type": "tax_rate_details",
        }
    ]


def _due(total: int, balance: int) -> Doc:
    """A negative balance is credit: it pays what it can, and a negative total adds to it."""
    due = max(0, total + balance)
    return {
        "amount_due": due,
        "amount_remaining": due,
        "starting_balance": balance,
        "ending_balance": min(0, total + balance),
    }


def issue(world: World, draft: Doc, **fields: Any) -> Doc:
    """Store and finalize an invoice; the customer's balance changes now."""
    customer = world.get("customer", draft["customer"])
    invoice = world.make("in", "invoice", **(draft | fields))
    for row in invoice["lines"]["data"]:
        row["invoice"] = invoice["id"]
    world.emit("invoice.created", invoice)
    number = customer["next_invoice_sequence"]
    customer["next_invoice_sequence"] = number + 1
    customer["currency"] = customer["currency"] or invoice["currency"]
    customers.change_balance(customer, invoice["ending_balance"])
    invoice["status"] = "open"
    invoice["number"] = f"{customer['invoice_prefix']}-{number:04d}"
    invoice["hosted_invoice_url"] = f"{PUBLIC}/i/{invoice['id']}"
    invoice["invoice_pdf"] = invoice["hosted_invoice_url"]
    invoice["status_transitions"]["finalized_at"] = invoice["effective_at"] = world.clock.now()
    world.emit("invoice.finalized", invoice)
    return invoice


def link(world: World, invoice: Doc, intent: Doc) -> Doc:
    """The row that ties a payment intent to the invoice it pays."""
    intent["_invoice"] = invoice["id"]
    invoice["_confirmation_secret"] = {"client_secret": intent["client_secret"], "type": "payment_intent"}
    return world.make(
        "inpay",
        "invoice_payment",
        amount_paid=None,
        amount_requested=invoice["amount_due"],
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        payment={"payment_intent": intent["id"], "type": "payment_intent"},
        status="open",
        status_transitions={"canceled_at": None, "paid_at": None},
    )


def intent_of(world: World, invoice: Doc) -> Doc:
    """The invoice's intent, made at the first attempt."""
    for payment in world.find("invoice_payment", invoice=invoice["id"]):
        return world.get("payment_intent", payment["payment"]["payment_intent"])
    intent = payments.make_intent(
        world,
        amount=invoice["amount_due"],
        currency=invoice["currency"],
        customer=invoice["customer"],
        description="Subscription update" if invoice["parent"] else None,
    )
    link(world, invoice, intent)
    return intent


def mark_paid(world: World, invoice: Doc) -> None:
    now = world.clock.now()
    invoice.update(
        status="paid",
        amount_paid=invoice["amount_due"],
        amount_remaining=0,
        attempted=True,
        auto_advance=False,
        next_payment_attempt=None,
    )
    invoice["attempt_count"] = max(1, invoice["attempt_count"]) if invoice["amount_due"] else 0
    invoice["status_transitions"]["paid_at"] = now
    for payment in world.find("invoice_payment", invoice=invoice["id"]):
        payment.update(status="paid", amount_paid=invoice["amount_due"])
        payment["status_transitions"]["paid_at"] = now
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)


def collect(world: World, invoice: Doc, method_id: str | None, *, is_owner_here: bool = False) -> bool:
    """Charge what is due; on a refusal plan the next attempt and say so."""
    if invoice["amount_due"] == 0:
        mark_paid(world, invoice)
        return True
    invoice["attempted"] = True
    invoice["attempt_count"] += 1
    if method_id is not None:
        intent = intent_of(world, invoice)
        method = world.get("payment_method", method_id)
        if payments.attempt(world, intent, method, is_owner_here=is_owner_here) == "succeeded":
            mark_paid(world, invoice)
            return True
    _plan_retry(world, invoice)
    world.emit("invoice.payment_failed", invoice)
    return False


def _plan_retry(world: World, invoice: Doc) -> None:
    first = invoice.setdefault("_first_failed_at", world.clock.now())
    tried = invoice["attempt_count"]
    retry = first + RETRY_DAYS[tried - 1] * DAY if tried <= len(RETRY_DAYS) else None
    invoice["next_payment_attempt"] = retry


def give_up(invoice: Doc) -> None:
    invoice.update(auto_advance=False, next_payment_attempt=None)


def subscription_of(world: World, invoice: Doc) -> Doc | None:
    if invoice["parent"] is None:
        return None
    found: Doc = world.get("subscription", invoice["parent"]["subscription_details"]["subscription"])
    return found


def is_listed(invoice: Doc, params: Doc) -> bool:
    parent = invoice["parent"] or {"subscription_details": {"subscription": None}}
    return (
        ("customer" not in params or invoice["customer"] == params["customer"])
        and ("status" not in params or invoice["status"] == params["status"])
        and (
            "subscription" not in params
            or parent["subscription_details"]["subscription"] == params["subscription"]
        )
    )


def is_payment_listed(payment: Doc, params: Doc) -> bool:
    wanted = params.get("payment") or {}
    if wanted and wanted.get("type") != "payment_intent":
        raise StripeError("Only payments by payment_intent are known here.", param="payment[type]")
    return (
        ("invoice" not in params or payment["invoice"] == params["invoice"])
        and ("status" not in params or payment["status"] == params["status"])
        and (not wanted or payment["payment"]["payment_intent"] == wanted.get("payment_intent"))
    )
