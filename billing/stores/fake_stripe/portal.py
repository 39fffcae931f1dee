"""Billing portal sessions: what a customer may do to their own subscription."""

from . import customers, payments, subscriptions
from .errors import StripeError
from .forms import text
from .store import Doc
from .world import PUBLIC, World, new_id


def create(world: World, params: Doc) -> Doc:
    customer = customers.checked(world, text(params, "customer"))
    session = world.make(
        "bps",
        "billing_portal.session",
        configuration="bpc_parlor",
        customer=customer["id"],
        flow=None,
        locale=None,
        on_behalf_of=None,
        return_url=params.get("return_url") or None,
        url="",
        _token=new_id("tok", 32),
    )
    session["url"] = f"{PUBLIC}/p/session/{session['id']}"
    return session


def subscriptions_of(world: World, session: Doc) -> list[Doc]:
    found = world.find("subscription", customer=session["customer"])
    return [subscription for subscription in found if subscription["status"] in subscriptions.LIVE]


def act(world: World, session: Doc, form: Doc) -> None:
    """Carry out one of the page's buttons; refuses what is not this customer's."""
    action = form.get("do")
    if action == "card":
        change_card(world, session["customer"], str(form.get("card", "")))
        return
    subscription = world.get("subscription", str(form.get("subscription", "")))
    if subscription["customer"] != session["customer"] or action not in ("cancel", "keep"):
        raise StripeError("This cannot be done here.")
    wanted = {"cancel_at_period_end": "true" if action == "cancel" else "false"}
    subscriptions.update(world, wanted, subscription["id"])


def change_card(world: World, customer_id: str, card: str) -> None:
    """A new card for all that is to come; declined cards are refused."""
    customer = world.get("customer", customer_id)
    method = payments.make_method(world, card, customer_id)
    if payments.card_of(method).decline:
        raise StripeError("Your card was declined.", status=402, kind="card_error", code="card_declined")
    set_card(world, customer, method)


def set_card(world: World, customer: Doc, method: Doc) -> None:
    customer["invoice_settings"]["default_payment_method"] = method["id"]
    for subscription in world.find("subscription", customer=customer["id"]):
        if subscription["status"] in subscriptions.LIVE:
            before = subscription["default_payment_method"]
            subscription["default_payment_method"] = method["id"]
            world.emit("customer.subscription.updated", subscription, {"default_payment_method": before})
    world.emit("customer.updated", customer)
