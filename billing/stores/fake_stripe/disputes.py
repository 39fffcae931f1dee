"""Payments a card's owner disputes at their bank."""

from typing import Literal

from . import payments
from .clock import DAY
from .errors import StripeError
from .store import Doc
from .world import World, public_copy

_FEE = 1500


def open_dispute(world: World, intent_id: str, amount: int | None = None) -> Doc:
    """The bank takes the money back until the dispute is closed."""
    charge = payments.paid_charge(world, {"payment_intent": intent_id})
    if charge["disputed"]:
        raise StripeError(f"Charge {charge['id']} is disputed already.", code="charge_disputed")
    now = world.clock.now()
    dispute = world.make(
        "du",
        "dispute",
        amount=charge["amount"] if amount is None else amount,
        balance_transactions=[],
        charge=charge["id"],
        currency=charge["currency"],
        evidence={},
        evidence_details={
            "due_by": now + 7 * DAY,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        is_charge_refundable=False,
        metadata={},
        payment_intent=charge["payment_intent"],
        reason="fraudulent",
        status="needs_response",
    )
    charge["disputed"] = True
    _enter(world, dispute, -dispute["amount"], _FEE, "dispute")
    world.emit("charge.dispute.created", dispute)
    world.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(world: World, dispute_id: str, outcome: Literal["won", "lost"]) -> Doc:
    dispute = world.get("dispute", dispute_id)
    if dispute["status"] in ("won", "lost"):
        raise StripeError(f"Dispute {dispute_id} is closed.")
    previous = {"status": dispute["status"]}
    dispute["status"] = outcome
    if outcome == "won":
        _enter(world, dispute, dispute["amount"], 0, "dispute_reversal")
        world.emit("charge.dispute.funds_reinstated", dispute)
    world.emit("charge.dispute.closed", dispute, previous)
    return dispute


def _enter(world: World, dispute: Doc, amount: int, fee: int, category: str) -> None:
    entry = payments.enter(world, "adjustment", dispute, amount, fee=fee, category=category)
    dispute["balance_transactions"].append(public_copy(entry))
