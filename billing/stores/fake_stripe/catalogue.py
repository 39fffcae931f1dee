"""Products, prices, coupons and promotion codes."""

from typing import Any

from .clock import months_later
from .errors import StripeError, required
from .forms import flag, group, integer, merged_metadata, optional_integer, rows, text
from .store import Doc
from .world import World, new_id


def create_product(world: World, params: Doc) -> Doc:
    now = world.clock.now()
    product: Doc = {"id": params.get("id") or new_id("prod", 14), "object": "product", "created": now}
    if world.store.find(product["id"]):
        raise StripeError("Product already exists.", code="resource_already_exists", param="id")
    product |= {
        "active": flag(params, "active", default=True),
        "default_price": None,
        "description": params.get("description") or None,
        "images": rows(params, "images"),
        "livemode": False,
        "marketing_features": [],
        "metadata": merged_metadata({}, params),
        "name": text(params, "name"),
        "package_dimensions": None,
        "shippable": None,
        "tax_code": params.get("tax_code") or None,
        "type": "service",
        "updated": now,
        "url": None,
    }
    world.store.add(product)
    world.emit("product.created", product)
    return product


def update_product(world: World, params: Doc, product_id: str) -> Doc:
    product = world.get("product", product_id)
    product["name"] = params.get("name", product["name"])
    product["description"] = params.get("description", product["description"]) or None
    product["active"] = flag(params, "active", default=product["active"])
    product["metadata"] = merged_metadata(product["metadata"], params)
    product["updated"] = world.clock.now()
    world.emit("product.updated", product)
    return product


def create_price(world: World, params: Doc) -> Doc:
    product = params.get("product")
    if not product and (data := group(params, "product_data")):
        product = create_product(world, data)["id"]
    if not product:
        raise required("product")
    world.get("product", product, "product")
    _take_lookup_key(world, params)
    recurring = group(params, "recurring")
    amount = integer(params, "unit_amount")
    price = world.make(
        "price",
        "price",
        active=flag(params, "active", default=True),
        billing_scheme="per_unit",
        currency=text(params, "currency").lower(),
        custom_unit_amount=None,
        lookup_key=params.get("lookup_key") or None,
        metadata=merged_metadata({}, params),
        nickname=params.get("nickname") or None,
        product=product,
        recurring=_recurring(recurring) if recurring else None,
        tax_behavior=params.get("tax_behavior") or "unspecified",
        tiers_mode=None,
        transform_quantity=None,
        type="recurring" if recurring else "one_time",
        unit_amount=amount,
        unit_amount_decimal=str(amount),
    )
    world.emit("price.created", price)
    return price


def _take_lookup_key(world: World, params: Doc) -> None:
    if not (key := params.get("lookup_key")):
        return
    for holder in world.find("price", lookup_key=key):
        if not flag(params, "transfer_lookup_key"):
            raise StripeError(
                f"A price (`{holder['id']}`) already uses that lookup key.",
                code="resource_already_exists",
                param="lookup_key",
            )
        holder["lookup_key"] = None


def _recurring(params: Doc) -> Doc:
    interval = text(params, "interval")
    if interval not in ("day", "week", "month", "year"):
        raise StripeError("Invalid interval.", param="recurring[interval]")
    count = integer(params, "interval_count", 1)
    return {
        "interval": interval,
        "interval_count": count,
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def update_price(world: World, params: Doc, price_id: str) -> Doc:
    price = world.get("price", price_id)
    if "lookup_key" in params:
        _take_lookup_key(world, params)
        price["lookup_key"] = params["lookup_key"] or None
    price["active"] = flag(params, "active", default=price["active"])
    price["metadata"] = merged_metadata(price["metadata"], params)
    price["nickname"] = params.get("nickname", price["nickname"]) or None
    world.emit("price.updated", price)
    return price


def is_price_listed(price: Doc, params: Doc) -> bool:
    keys = rows(params, "lookup_keys")
    return (
        (not keys or price["lookup_key"] in keys)
        and ("product" not in params or price["product"] == params["product"])
        and ("active" not in params or price["active"] == flag(params, "active"))
        and ("type" not in params or price["type"] == params["type"])
    )


def line_price(world: World, line: Doc) -> Doc:
    """The price of a line, made on the spot from `price_data` where none is named."""
    if line.get("price"):
        price = world.get("price", line["price"], "price")
    else:
        price = create_price(world, group(line, "price_data"))
    if not price["active"]:
        raise StripeError("The price specified is inactive.", param="price")
    return price


def create_coupon(world: World, params: Doc) -> Doc:
    percent = params.get("percent_off")
    amount = optional_integer(params, "amount_off")
    if (percent is None) == (amount is None):
        raise StripeError("You must pass exactly one of percent_off, amount_off.", param="percent_off")
    coupon: Doc = {
        "id": params.get("id") or new_id("cpn", 8)[4:],
        "object": "coupon",
        "amount_off": amount,
        "created": world.clock.now(),
        "currency": params.get("currency") if amount is not None else None,
        "duration": params.get("duration") or "once",
        "duration_in_months": optional_integer(params, "duration_in_months"),
        "livemode": False,
        "max_redemptions": optional_integer(params, "max_redemptions"),
        "metadata": merged_metadata({}, params),
        "name": params.get("name") or None,
        "percent_off": None if percent is None else float(percent),
        "redeem_by": optional_integer(params, "redeem_by"),
        "times_redeemed": 0,
        "valid": True,
    }
    world.store.add(coupon)
    world.emit("coupon.created", coupon)
    return coupon


def create_promotion_code(world: World, params: Doc) -> Doc:
    coupon = world.get("coupon", text(group(params, "promotion"), "coupon"), "promotion[coupon]")
    code = params.get("code") or new_id("c", 8)[2:].upper()
    if any(code.lower() == other["code"].lower() for other in world.find("promotion_code", active=True)):
        raise StripeError("An active promotion code with this code already exists.", param="code")
    limits = group(params, "restrictions")
    promotion_code = world.make(
        "promo",
        "promotion_code",
        active=flag(params, "active", default=True),
        code=code,
        customer=params.get("customer") or None,
        expires_at=optional_integer(params, "expires_at"),
        max_redemptions=optional_integer(params, "max_redemptions"),
        metadata=merged_metadata({}, params),
        promotion={"coupon": coupon["id"], "type": "coupon"},
        restrictions={
            "first_time_transaction": flag(limits, "first_time_transaction"),
            "minimum_amount": optional_integer(limits, "minimum_amount"),
            "minimum_amount_currency": limits.get("minimum_amount_currency"),
        },
        times_redeemed=0,
    )
    world.emit("promotion_code.created", promotion_code)
    return promotion_code


def update_promotion_code(world: World, params: Doc, code_id: str) -> Doc:
    promotion_code = world.get("promotion_code", code_id)
    promotion_code["active"] = flag(params, "active", default=promotion_code["active"])
    promotion_code["metadata"] = merged_metadata(promotion_code["metadata"], params)
    world.emit("promotion_code.updated", promotion_code)
    return promotion_code


def promotion_code_named(world: World, code: str) -> Doc | None:
    for promotion_code in world.find("promotion_code", active=True):
        if promotion_code["code"].lower() == code.strip().lower():
            return promotion_code
    return None


def check_redeemable(
    world: World, promotion_code: Doc, *, customer: str | None, amount: int, currency: str
) -> None:
    """Refuse a code that is over, used up, not this customer's, or too big for the purchase."""
    coupon = world.get("coupon", promotion_code["promotion"]["coupon"])
    limits = promotion_code["restrictions"]
    owner = promotion_code["customer"]
    refusals: list[tuple[Any, str]] = [
        (not promotion_code["active"], "This promotion code is not active."),
        (_is_over(promotion_code["expires_at"], world), "This promotion code has expired."),
        (_is_over(coupon["redeem_by"], world), "This promotion code has expired."),
        (_is_used_up(promotion_code) or _is_used_up(coupon), "This promotion code has been used up."),
        (owner and owner != customer, "This promotion code belongs to another customer."),
        (amount < (limits["minimum_amount"] or 0), "The purchase is too small for this promotion code."),
        (coupon["currency"] not in (None, currency), "This promotion code is for another currency."),
        (
            limits["first_time_transaction"] and _has_paid(world, customer),
            "This is for first purchases only.",
        ),
    ]
    for applies, message in refusals:
        if applies:
            raise StripeError(message, code="promotion_code_invalid", param="promotion_code")


def _is_over(moment: int | None, world: World) -> bool:
    return moment is not None and moment <= world.clock.now()


def _is_used_up(document: Doc) -> bool:
    limit = document["max_redemptions"]
    return limit is not None and document["times_redeemed"] >= limit


def _has_paid(world: World, customer: str | None) -> bool:
    return customer is not None and bool(world.find("charge", customer=customer, paid=True))


def rounded(amount: int, numerator: int, denominator: int) -> int:
    """`amount * numerator / denominator` in whole units, halves away from zero."""
    sign = -1 if amount < 0 else 1
    return sign * ((2 * abs(amount) * numerator + denominator) // (2 * denominator))


def discount_on(coupon: Doc, amount: int) -> int:
    """What a coupon takes off an amount."""
    if coupon["percent_off"] is not None:
        return rounded(amount, round(coupon["percent_off"] * 100), 10_000)
    return max(0, min(int(coupon["amount_off"]), amount))


def redeem(world: World, coupon: Doc, promotion_code: Doc | None, **owner: Any) -> Doc:
    """Count the use and make the discount that a subscription or a purchase carries."""
    coupon["times_redeemed"] += 1
    if promotion_code is not None:
        promotion_code["times_redeemed"] += 1
    now = world.clock.now()
    end = months_later(now, coupon["duration_in_months"] or 1) if coupon["duration"] == "repeating" else None
    discount: Doc = {
        "id": new_id("di"),
        "object": "discount",
        "checkout_session": None,
        "customer": None,
        "end": end,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": promotion_code["id"] if promotion_code else None,
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": now,
        "subscription": None,
        "subscription_item": None,
    }
    return world.store.add(discount | owner)
