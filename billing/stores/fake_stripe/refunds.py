"""Money given back."""

from . import payments
from .errors import StripeError
from .forms import integer, merged_metadata
from .store import Doc
from .world import World

_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


def create(world: World, params: Doc) -> Doc:
    charge = payments.paid_charge(world, params)
    left = charge["amount"] - charge["amount_refunded"]
    amount = integer(params, "amount", left)
    _check(charge, amount, left)
    reason = params.get("reason")
    if reason and reason not in _REASONS:
        raise StripeError(f"Invalid reason: must be one of {', '.join(_REASONS)}", param="reason")
    refund = world.make(
        "re",
        "refund",
        amount=amount,
        balance_transaction=None,
        charge=charge["id"],
        currency=charge["currency"],
        customer=charge["customer"],
        metadata=merged_metadata({}, params),
        payment_intent=charge["payment_intent"],
        reason=reason,
        receipt_number=None,
        status="succeeded",
    )
    refund["balance_transaction"] = payments.enter(world, "refund", refund, -amount)["id"]
    previous = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    world.emit("charge.refunded", charge, previous)
    world.emit("refund.created", refund)
    return refund


def _check(charge: Doc, amount: int, left: int) -> None:
    if not charge["paid"]:
        raise StripeError(f"Charge {charge['id']} was not paid.", param="charge")
    if charge["disputed"]:
        raise StripeError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
            param="charge",
        )
    if left == 0:
        raise StripeError(
            f"Charge {charge['id']} has already been refunded.",
            code="charge_already_refunded",
            param="charge",
        )
    if amount > left:
        raise StripeError(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
            code="amount_too_large",
            param="amount",
        )
    if amount < 1:
        raise StripeError("Invalid positive integer", code="parameter_invalid_integer", param="amount")


def update(world: World, params: Doc, refund_id: str) -> Doc:
    refund = world.get("refund", refund_id)
    refund["metadata"] = merged_metadata(refund["metadata"], params)
    world.emit("refund.updated", refund)
    return refund
