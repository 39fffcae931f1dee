"""Customers, their cards on file and the keys a mobile payment sheet uses."""

from .clock import DAY
from .errors import StripeError, required
from .forms import group, integer, merged_metadata
from .store import Doc
from .world import World, new_id

_PLAIN = ("email", "name", "phone", "description")


def create(world: World, params: Doc) -> Doc:
    customer = world.make(
        "cus",
        "customer",
        address=params.get("address") or None,
        balance=integer(params, "balance", 0),
        currency=None,
        default_source=None,
        delinquent=False,
        discount=None,
        invoice_prefix=new_id("x", 8)[2:].upper(),
        invoice_settings={"custom_fields": None, "default_payment_method": None, "footer": None},
        metadata=merged_metadata({}, params),
        next_invoice_sequence=1,
        preferred_locales=[],
        shipping=None,
        tax_exempt="none",
        test_clock=None,
        **{name: params.get(name) or None for name in _PLAIN},
    )
    world.emit("customer.created", customer)
    return customer


def update(world: World, params: Doc, customer_id: str) -> Doc:
    customer = world.get("customer", customer_id)
    before = {name: customer[name] for name in (*_PLAIN, "metadata", "balance")}
    customer.update({name: params[name] or None for name in _PLAIN if name in params})
    customer["metadata"] = merged_metadata(customer["metadata"], params)
    customer["balance"] = integer(params, "balance", customer["balance"])
    if method := group(params, "invoice_settings").get("default_payment_method"):
        world.get("payment_method", method)
        customer["invoice_settings"]["default_payment_method"] = method
    changed = {name: value for name, value in before.items() if customer[name] != value}
    world.emit("customer.updated", customer, changed)
    return customer


def make_ephemeral_key(world: World, params: Doc) -> Doc:
    if not params.get("customer"):
        raise required("customer")
    customer = world.get("customer", params["customer"], "customer")
    now = world.clock.now()
    key = world.make("ephkey", "ephemeral_key", expires=now + DAY // 24, secret=new_id("ek_test", 40))
    key["associated_objects"] = [{"id": customer["id"], "type": "customer"}]
    return key


def change_balance(customer: Doc, new_balance: int) -> None:
    customer["balance"] = new_balance


def default_method(customer: Doc) -> str | None:
    method: str | None = customer["invoice_settings"]["default_payment_method"]
    return method


def checked(world: World, customer_id: str) -> Doc:
    """The customer an object is to belong to; unknown ones are the caller's mistake, thus 400."""
    customer = world.store.find(customer_id)
    if customer is None or customer["object"] != "customer":
        raise StripeError(f"No such customer: '{customer_id}'", code="resource_missing", param="customer")
    return customer
