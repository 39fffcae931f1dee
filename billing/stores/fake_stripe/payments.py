"""Payment intents, test cards, charges and the shop's balance."""

from dataclasses import dataclass
from typing import Any

from . import customers
from .errors import StripeError, declined, missing
from .forms import flag, integer, merged_metadata, text
from .rendering import list_of
from .store import Doc
from .world import World, new_id


@dataclass(frozen=True)
class Card:
    """How a test card behaves: with its owner present, and charged later without them."""

    brand: str = "visa"
    decline: str | None = None
    asks_owner: bool = False
    later_decline: str | None = None


CARDS = {
    "4242424242424242": Card(),
    "5555555555554444": Card(brand="mastercard"),
    "4000000000000002": Card(decline="generic_decline", later_decline="generic_decline"),
    "4000000000009995": Card(decline="insufficient_funds", later_decline="insufficient_funds"),
    "4000000000000341": Card(later_decline="generic_decline"),
    "4000002500003155": Card(asks_owner=True),
    "4000000000003220": Card(asks_owner=True, later_decline="authentication_required"),
}
_NAMED_METHODS = {
    "pm_card_visa": "4242424242424242",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_authenticationRequired": "4000000000003220",
}
_MESSAGES = {
    "generic_decline": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}
_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


def digits(card: str) -> str:
    return "".join(character for character in card if character.isdigit())


def make_method(world: World, card: str, customer: str | None = None) -> Doc:
    """A payment method for a test card; other numbers are refused as Stripe's test mode does."""
    number = digits(card)
    if number not in CARDS:
        raise StripeError(
            "Your card number is incorrect. Use one of the test cards.",
            status=402,
            kind="card_error",
            code="incorrect_number",
            param="number",
        )
    shown = {
        "brand": CARDS[number].brand,
        "country": "US",
        "exp_month": 12,
        "exp_year": 2040,
        "funding": "credit",
        "last4": number[-4:],
        "fingerprint": f"fp{number[-8:]}",
    }
    return world.make(
        "pm",
        "payment_method",
        billing_details={"address": None, "email": None, "name": None, "phone": None},
        card=shown,
        customer=customer,
        metadata={},
        type="card",
        _number=number,
    )


def make_bank_method(world: World, customer: str | None = None) -> Doc:
    return world.make(
        "pm",
        "payment_method",
        billing_details={"address": None, "email": None, "name": None, "phone": None},
        customer=customer,
        metadata={},
        sepa_debit={"bank_code": "37040044", "country": "DE", "last4": "3000"},
        type="sepa_debit",
        _number="",
    )


def method_named(world: World, name: str, customer: str | None) -> Doc:
    if name in _NAMED_METHODS:
        return make_method(world, _NAMED_METHODS[name], customer)
    return world.get("payment_method", name, "payment_method")


def card_of(method: Doc) -> Card:
    return CARDS.get(method["_number"], Card())


def make_intent(world: World, *, amount: int, currency: str, customer: str | None, **fields: Any) -> Doc:
    intent = world.make(
        "pi",
        "payment_intent",
        **{
            "amount": amount,
            "amount_capturable": 0,
            "amount_received": 0,
            "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
            "canceled_at": None,
            "cancellation_reason": None,
            "capture_method": "automatic_async",
            "confirmation_method": "automatic",
            "currency": currency,
            "customer": customer,
            "description": None,
            "last_payment_error": None,
            "latest_charge": None,
            "metadata": {},
            "next_action": None,
            "payment_method": None,
            "payment_method_types": ["card"],
            "processing": None,
            "receipt_email": None,
            "setup_future_usage": None,
            "statement_descriptor": None,
            "status": "requires_payment_method",
            **fields,
        },
    )
    intent["client_secret"] = new_id(f"{intent['id']}_secret", 25)
    world.emit("payment_intent.created", intent)
    return intent


def create(world: World, params: Doc) -> Doc:
    amount = integer(params, "amount")
    if amount < 1:
        raise StripeError(
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
            param="amount",
        )
    customer = params.get("customer")
    if customer:
        customers.checked(world, customer)
    intent = make_intent(
        world,
        amount=amount,
        currency=text(params, "currency").lower(),
        customer=customer,
        description=params.get("description"),
        metadata=merged_metadata({}, params),
        receipt_email=params.get("receipt_email"),
        setup_future_usage=params.get("setup_future_usage"),
    )
    if params.get("payment_method"):
        intent["payment_method"] = method_named(world, params["payment_method"], customer)["id"]
        intent["status"] = "requires_confirmation"
    return intent


def update(world: World, params: Doc, intent_id: str) -> Doc:
    intent = world.get("payment_intent", intent_id)
    intent["metadata"] = merged_metadata(intent["metadata"], params)
    intent["description"] = params.get("description", intent["description"]) or None
    if "amount" in params:
        _require_open(intent, "update")
        intent["amount"] = integer(params, "amount")
    return intent


def chosen_method(world: World, params: Doc, intent: Doc) -> Doc:
    """The method to confirm with: the one named now, or the one kept from before."""
    name = params.get("payment_method") or intent["payment_method"]
    if not name:
        raise StripeError(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    return method_named(world, name, intent["customer"])


def cancel(world: World, params: Doc, intent_id: str) -> Doc:
    intent = world.get("payment_intent", intent_id)
    _require_open(intent, "cancel")
    intent.update(
        status="canceled",
        canceled_at=world.clock.now(),
        cancellation_reason=params.get("cancellation_reason"),
        next_action=None,
    )
    world.emit("payment_intent.canceled", intent)
    return intent


def _require_open(intent: Doc, verb: str) -> None:
    if intent["status"] not in _OPEN:
        raise StripeError(
            f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
        )


def attempt(world: World, intent: Doc, method: Doc, *, is_owner_here: bool) -> str:
    """Try to charge; the answer is the intent's new status, `requires_payment_method` on a decline."""
    _require_open(intent, "confirm")
    card = card_of(method)
    intent["payment_method"] = method["id"]
    refusal = card.decline if is_owner_here else card.later_decline
    if refusal:
        fail(world, intent, refusal)
    elif method["type"] != "card":
        intent.update(status="processing", last_payment_error=None)
        world.emit("payment_intent.processing", intent)
    elif is_owner_here and card.asks_owner:
        intent.update(
            status="requires_action",
            last_payment_error=None,
            next_action={"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}},
        )
        world.emit("payment_intent.requires_action", intent)
    else:
        succeed(world, intent)
    return str(intent["status"])


def fail(world: World, intent: Doc, decline_code: str, *, code: str = "card_declined") -> None:
    """Record a declined charge and open the intent for another card."""
    charge = _make_charge(world, intent, is_paid=False)
    message = _MESSAGES.get(decline_code, "We are unable to authenticate your payment method.")
    charge.update(failure_code=code, failure_message=message)
    intent.update(
        status="requires_payment_method",
        next_action=None,
        latest_charge=charge["id"],
        last_payment_error={
            "charge": charge["id"],
            "code": code,
            "decline_code": decline_code,
            "message": message,
            "type": "card_error",
        },
    )
    world.emit("charge.failed", charge)
    world.emit("payment_intent.payment_failed", intent)


def succeed(world: World, intent: Doc) -> None:
    charge = _make_charge(world, intent, is_paid=True)
    entry = enter(world, "charge", charge, intent["amount"], fee=fee_on(intent["amount"]))
    charge["balance_transaction"] = entry["id"]
    intent.update(
        status="succeeded",
        amount_received=intent["amount"],
        last_payment_error=None,
        latest_charge=charge["id"],
        next_action=None,
    )
    world.emit("charge.succeeded", charge)
    world.emit("payment_intent.succeeded", intent)


def _make_charge(world: World, intent: Doc, *, is_paid: bool) -> Doc:
    method = world.get("payment_method", intent["payment_method"])
    return world.make(
        "ch",
        "charge",
        amount=intent["amount"],
        amount_captured=intent["amount"] if is_paid else 0,
        amount_refunded=0,
        balance_transaction=None,
        billing_details=method["billing_details"],
        captured=is_paid,
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        disputed=False,
        failure_code=None,
        failure_message=None,
        metadata=dict(intent["metadata"]),
        paid=is_paid,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details={"type": method["type"], method["type"]: method[method["type"]]},
        receipt_email=intent["receipt_email"],
        receipt_url=None,
        refunded=False,
        status="succeeded" if is_paid else "failed",
    )


def fee_on(amount: int) -> int:
    return min(amount, amount * 29 // 1000 + 30)


def enter(world: World, kind: str, source: Doc, amount: int, *, fee: int = 0, category: str = "") -> Doc:
    """A row of the shop's balance; `amount` is negative when money leaves."""
    return world.make(
        "txn",
        "balance_transaction",
        amount=amount,
        available_on=world.clock.now(),
        balance_type="payments",
        currency=source["currency"],
        description=None,
        exchange_rate=None,
        fee=fee,
        fee_details=[{"amount": fee, "currency": source["currency"], "type": "stripe_fee"}] if fee else [],
        net=amount - fee,
        reporting_category=category or kind,
        source=source["id"],
        status="available",
        type=kind,
    )


def refusal_of(intent: Doc) -> StripeError:
    """The 402 that tells of the intent's last declined charge."""
    return declined({**intent["last_payment_error"], "payment_intent": {"id": intent["id"]}})


def paid_charge(world: World, params: Doc) -> Doc:
    """The charge a refund or a dispute is about, named by itself or by its intent."""
    if charge_id := params.get("charge"):
        return world.get("charge", charge_id, "charge")
    intent_id = text(params, "payment_intent")
    intent = world.store.find(intent_id)
    if intent is None or intent["object"] != "payment_intent":
        raise missing("payment_intent", intent_id, "payment_intent")
    if intent["status"] != "succeeded":
        raise StripeError(
            f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.",
            code="payment_intent_unexpected_state",
            param="payment_intent",
        )
    return world.get("charge", intent["latest_charge"])


def attach(world: World, params: Doc, method_id: str) -> Doc:
    method = method_named(world, method_id, None)
    method["customer"] = customers.checked(world, text(params, "customer"))["id"]
    return method


def methods_of(world: World, customer: str) -> Doc:
    return list_of(world.find("payment_method", customer=customer), "/v1/payment_methods")


def wants_confirmation(params: Doc) -> bool:
    return flag(params, "confirm")
