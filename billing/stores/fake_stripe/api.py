"""The routes of Stripe's API that Parlor uses."""

import fnmatch
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from . import catalogue, checkout, customers, invoices, payments, portal, refunds, schedules, subscriptions
from .errors import StripeError, missing
from .forms import text
from .rendering import expansions, page, render
from .store import Doc
from .world import World, public_copy

Handler = Callable[..., Doc]
Filter = Callable[[Doc, Doc], bool]


class Answer(NamedTuple):
    status: int
    body: Doc
    is_replayed: bool = False


def _retrieve(kind: str) -> Handler:
    return lambda world, _params, identifier: world.get(kind, identifier)


def _list(kind: str, path: str, is_listed: Filter = lambda _document, _params: True) -> Handler:
    def handler(world: World, params: Doc) -> Doc:
        found = (document for document in world.store.all(kind) if is_listed(document, params))
        return page(found, params, path)

    return handler


def _same(*names: str) -> Filter:
    return lambda document, params: all(
        document.get(name) == params[name] for name in names if name in params
    )


def _is_code_listed(promotion_code: Doc, params: Doc) -> bool:
    code, active = params.get("code"), params.get("active")
    return (code is None or promotion_code["code"].lower() == code.lower()) and (
        active is None or promotion_code["active"] == (active == "true")
    )


def _is_event_listed(event: Doc, params: Doc) -> bool:
    """`type` may end in `.*`, `types` is a list."""
    wanted = [params["type"]] if params.get("type") else params.get("types") or []
    return not wanted or any(fnmatch.fnmatchcase(event["type"], pattern) for pattern in wanted)


def _account(world: World, _params: Doc) -> Doc:
    return {
        "id": world.account_id,
        "object": "account",
        "business_profile": {"name": "Parlor test shop"},
        "charges_enabled": True,
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "livemode": False,
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": "Parlor test shop"}},
        "type": "standard",
    }


def _create_intent(world: World, params: Doc) -> Doc:
    intent = payments.create(world, params)
    return _confirm_intent(world, params, intent["id"]) if payments.wants_confirmation(params) else intent


def _confirm_intent(world: World, params: Doc, intent_id: str) -> Doc:
    intent = world.get("payment_intent", intent_id)
    method = payments.chosen_method(world, params, intent)
    is_owner_here = params.get("off_session") != "true"
    status = payments.attempt(world, intent, method, is_owner_here=is_owner_here)
    if status == "requires_payment_method":
        raise payments.refusal_of(intent)
    if status != "requires_action":
        checkout.follow_up(world, intent)
    return intent


def _pay_invoice(world: World, _params: Doc, invoice_id: str) -> Doc:
    invoice = world.get("invoice", invoice_id)
    if invoice["status"] != "open":
        raise StripeError("Invoice is already paid.", code="invoice_already_paid")
    subscriptions.retry(world, invoice)
    if invoice["status"] != "paid":
        raise payments.refusal_of(invoices.intent_of(world, invoice))
    return invoice


def _delete_customer(world: World, _params: Doc, customer_id: str) -> Doc:
    """What they subscribed to ends at once."""
    customer = world.get("customer", customer_id)
    for subscription in world.find("subscription", customer=customer_id):
        if subscription["status"] not in ("canceled", "incomplete_expired"):
            subscriptions.cancel(world, {}, subscription["id"])
    world.emit("customer.deleted", customer)
    return {"id": customer_id, "object": "customer", "deleted": True}


def _list_methods(world: World, params: Doc) -> Doc:
    return payments.methods_of(world, text(params, "customer"))


_TABLE: list[tuple[str, str, Handler]] = [
    ("GET", "/v1/account", _account),
    ("POST", "/v1/customers", customers.create),
    ("GET", "/v1/customers", _list("customer", "/v1/customers", _same("email"))),
    ("GET", "/v1/customers/*", _retrieve("customer")),
    ("POST", "/v1/customers/*", customers.update),
    ("DELETE", "/v1/customers/*", _delete_customer),
    ("POST", "/v1/ephemeral_keys", customers.make_ephemeral_key),
    ("POST", "/v1/products", catalogue.create_product),
    ("GET", "/v1/products", _list("product", "/v1/products")),
    ("GET", "/v1/products/*", _retrieve("product")),
    ("POST", "/v1/products/*", catalogue.update_product),
    ("POST", "/v1/prices", catalogue.create_price),
    ("GET", "/v1/prices", _list("price", "/v1/prices", catalogue.is_price_listed)),
    ("GET", "/v1/prices/*", _retrieve("price")),
    ("POST", "/v1/prices/*", catalogue.update_price),
    ("POST", "/v1/coupons", catalogue.create_coupon),
    ("GET", "/v1/coupons", _list("coupon", "/v1/coupons")),
    ("GET", "/v1/coupons/*", _retrieve("coupon")),
    ("POST", "/v1/promotion_codes", catalogue.create_promotion_code),
    ("GET", "/v1/promotion_codes", _list("promotion_code", "/v1/promotion_codes", _is_code_listed)),
    ("GET", "/v1/promotion_codes/*", _retrieve("promotion_code")),
    ("POST", "/v1/promotion_codes/*", catalogue.update_promotion_code),
    ("POST", "/v1/payment_intents", _create_intent),
    ("GET", "/v1/payment_intents", _list("payment_intent", "/v1/payment_intents", _same("customer"))),
    ("GET", "/v1/payment_intents/*", _retrieve("payment_intent")),
    ("POST", "/v1/payment_intents/*", payments.update),
    ("POST", "/v1/payment_intents/*/confirm", _confirm_intent),
    ("POST", "/v1/payment_intents/*/cancel", payments.cancel),
    ("GET", "/v1/payment_methods", _list_methods),
    ("GET", "/v1/payment_methods/*", _retrieve("payment_method")),
    ("POST", "/v1/payment_methods/*/attach", payments.attach),
    ("GET", "/v1/charges", _list("charge", "/v1/charges", _same("payment_intent", "customer"))),
    ("GET", "/v1/charges/*", _retrieve("charge")),
    ("POST", "/v1/checkout/sessions", checkout.create),
    (
        "GET",
        "/v1/checkout/sessions",
        _list(
            "checkout.session",
            "/v1/checkout/sessions",
            _same("customer", "payment_intent", "subscription", "status"),
        ),
    ),
    ("GET", "/v1/checkout/sessions/*", _retrieve("checkout.session")),
    ("GET", "/v1/checkout/sessions/*/line_items", checkout.line_items),
    ("POST", "/v1/checkout/sessions/*/expire", checkout.expire),
    ("POST", "/v1/billing_portal/sessions", portal.create),
    ("GET", "/v1/subscriptions", _list("subscription", "/v1/subscriptions", subscriptions.is_listed)),
    ("GET", "/v1/subscriptions/*", _retrieve("subscription")),
    ("POST", "/v1/subscriptions/*", subscriptions.update),
    ("DELETE", "/v1/subscriptions/*", subscriptions.cancel),
    ("POST", "/v1/subscription_schedules", schedules.create),
    (
        "GET",
        "/v1/subscription_schedules",
        _list("subscription_schedule", "/v1/subscription_schedules", _same("customer")),
    ),
    ("GET", "/v1/subscription_schedules/*", _retrieve("subscription_schedule")),
    ("POST", "/v1/subscription_schedules/*", schedules.update),
    ("POST", "/v1/subscription_schedules/*/release", schedules.release),
    ("POST", "/v1/invoices/create_preview", subscriptions.preview),
    ("GET", "/v1/invoices", _list("invoice", "/v1/invoices", invoices.is_listed)),
    ("GET", "/v1/invoices/*", _retrieve("invoice")),
    ("POST", "/v1/invoices/*/pay", _pay_invoice),
    (
        "GET",
        "/v1/invoice_payments",
        _list("invoice_payment", "/v1/invoice_payments", invoices.is_payment_listed),
    ),
    ("GET", "/v1/invoice_payments/*", _retrieve("invoice_payment")),
    ("POST", "/v1/refunds", refunds.create),
    ("GET", "/v1/refunds", _list("refund", "/v1/refunds", _same("payment_intent", "charge"))),
    ("GET", "/v1/refunds/*", _retrieve("refund")),
    ("POST", "/v1/refunds/*", refunds.update),
    ("GET", "/v1/disputes", _list("dispute", "/v1/disputes", _same("payment_intent", "charge"))),
    ("GET", "/v1/disputes/*", _retrieve("dispute")),
    ("GET", "/v1/events", _list("event", "/v1/events", _is_event_listed)),
    ("GET", "/v1/events/*", _retrieve("event")),
    (
        "GET",
        "/v1/balance_transactions",
        _list(
            "balance_transaction",
            "/v1/balance_transactions",
            _same("source", "type", "currency"),
        ),
    ),
    ("GET", "/v1/balance_transactions/*", _retrieve("balance_transaction")),
]
_ROUTES = [
    (method, re.compile(pattern.replace("*", "([^/]+)")), handler) for method, pattern, handler in _TABLE
]


def answer(world: World, method: str, path: str, params: Doc, key: str | None) -> Answer:
    """Carry out one request under the world's lock, once per idempotency key."""
    if method != "POST" or not key:
        return _carry_out(world, method, path, params)
    record_id = f"idempotency:{key}"
    wanted = json.dumps([path, params], sort_keys=True)
    if record := world.store.find(record_id):
        if record["request"] != wanted:
            raise StripeError(
                "Keys for idempotent requests can only be used with the same parameters they were first used "
                f"with. Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        return Answer(record["status"], record["body"], is_replayed=True)
    answered = _carry_out(world, method, path, params)
    # A refusal of the parameters had no effect, so the key stays free as it does at Stripe.
    if answered.status in (200, 402):
        world.store.add(
            {
                "id": record_id,
                "object": "idempotency_record",
                "request": wanted,
                "status": answered.status,
                "body": answered.body,
            }
        )
    return answered


def _carry_out(world: World, method: str, path: str, params: Doc) -> Answer:
    try:
        handler, identifiers = _find(method, path)
        document = handler(world, params, *identifiers)
        return Answer(200, render(world, document, expansions(params)))
    except StripeError as error:
        return Answer(error.status, public_copy(error.body))


def _find(method: str, path: str) -> tuple[Handler, tuple[Any, ...]]:
    for allowed, pattern, handler in _ROUTES:
        if allowed == method and (match := pattern.fullmatch(path)):
            return handler, match.groups()
    raise missing("route", f"{method} {path}")
