"""Checkout sessions, and what follows once their payment is decided."""

from typing import Any

from . import catalogue, customers, invoices, payments, subscriptions
from .clock import DAY
from .errors import StripeError
from .forms import flag, group, integer, merged_metadata, rows, text
from .invoices import Line
from .rendering import list_of
from .store import Doc
from .world import PUBLIC, World, new_id


def create(world: World, params: Doc) -> Doc:
    mode = text(params, "mode")
    if mode not in ("payment", "subscription"):
        raise StripeError("Invalid mode: must be one of payment, subscription", param="mode")
    text(params, "success_url")
    asked = rows(params, "line_items")
    if not asked:
        raise StripeError("You must provide line_items.", code="parameter_missing", param="line_items")
    if customer := params.get("customer"):
        customers.checked(world, customer)
    items = [_line_item(world, line) for line in asked]
    _check_items(mode, items)
    now = world.clock.now()
    expires_at = integer(params, "expires_at", now + DAY)
    if not now + 1800 <= expires_at <= now + DAY:
        raise StripeError(
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from now.", param="expires_at"
        )
    session = _document(world, params, items, mode, expires_at)
    _apply_named_discount(world, session, params)
    price_up(world, session)
    return session


def _document(world: World, params: Doc, items: list[Doc], mode: str, expires_at: int) -> Doc:
    is_taxed = flag(group(params, "automatic_tax"), "enabled")
    identifier = new_id("cs_test", 58)
    session: Doc = {
        "id": identifier,
        "object": "checkout.session",
        "allow_promotion_codes": flag(params, "allow_promotion_codes"),
        "automatic_tax": {"enabled": is_taxed, "liability": None, "status": "complete" if is_taxed else None},
        "cancel_url": params.get("cancel_url") or None,
        "client_reference_id": params.get("client_reference_id") or None,
        "client_secret": None,
        "created": world.clock.now(),
        "currency": items[0]["currency"],
        "custom_fields": [],
        "customer": params.get("customer") or None,
        "customer_creation": params.get("customer_creation") or "if_required",
        "customer_details": None,
        "customer_email": params.get("customer_email") or None,
        "discounts": [],
        "expires_at": expires_at,
        "invoice": None,
        "invoice_creation": {"enabled": flag(group(params, "invoice_creation"), "enabled")},
        "livemode": False,
        "locale": params.get("locale") or None,
        "metadata": merged_metadata({}, params),
        "mode": mode,
        "payment_intent": None,
        "payment_method_types": ["card", "sepa_debit"],
        "payment_status": "unpaid",
        "setup_intent": None,
        "shipping_options": [],
        "status": "open",
        "subscription": None,
        "success_url": params["success_url"],
        "tax_id_collection": {"enabled": flag(group(params, "tax_id_collection"), "enabled")},
        "ui_mode": "hosted_page",
        "url": f"{PUBLIC}/c/pay/{identifier}",
        "_intent_data": group(params, "payment_intent_data"),
        "_line_items": list_of(items, f"/v1/checkout/sessions/{identifier}/line_items"),
        "_subscription_data": group(params, "subscription_data"),
        "_token": new_id("tok", 32),
    }
    return world.store.add(session)


def _line_item(world: World, asked: Doc) -> Doc:
    price = catalogue.line_price(world, asked)
    quantity = integer(asked, "quantity", 1)
    amount = price["unit_amount"] * quantity
    return {
        "id": new_id("li"),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": world.get("product", price["product"])["name"],
        "discounts": [],
        "price": price,
        "quantity": quantity,
        "taxes": [],
    }


def _check_items(mode: str, items: list[Doc]) -> None:
    recurring = [item["price"]["recurring"] is not None for item in items]
    if mode == "payment" and any(recurring):
        raise StripeError("You specified `payment` mode but passed a recurring price.", param="line_items")
    if mode == "subscription" and (not all(recurring) or len(items) > 1):
        raise StripeError(
            "A `subscription` mode session here takes exactly one recurring price.", param="line_items"
        )
    if len({item["currency"] for item in items}) > 1:
        raise StripeError("All prices must have the same currency.", param="line_items")


def _apply_named_discount(world: World, session: Doc, params: Doc) -> None:
    for asked in rows(params, "discounts"):
        if session["allow_promotion_codes"]:
            raise StripeError(
                "You may only specify one of these parameters: allow_promotion_codes, discounts.",
                param="discounts",
            )
        if name := asked.get("promotion_code"):
            promotion_code = world.get("promotion_code", name, "discounts[0][promotion_code]")
            _take_code(world, session, promotion_code)
        else:
            coupon = world.get("coupon", text(asked, "coupon"), "discounts[0][coupon]")
            session["discounts"] = [{"coupon": coupon["id"], "promotion_code": None}]


def apply_code(world: World, session: Doc, code: str) -> None:
    """A person types a code on the page; an empty one takes the discount away."""
    if not session["allow_promotion_codes"]:
        raise StripeError("This shop takes no codes for this purchase.", param="promotion_code")
    if code.strip():
        promotion_code = catalogue.promotion_code_named(world, code)
        if promotion_code is None:
            raise StripeError("This code is invalid.", code="promotion_code_invalid", param="promotion_code")
        _take_code(world, session, promotion_code)
    else:
        session["discounts"] = []
    price_up(world, session)


def _take_code(world: World, session: Doc, promotion_code: Doc) -> None:
    catalogue.check_redeemable(
        world,
        promotion_code,
        customer=session["customer"],
        amount=sum(item["amount_subtotal"] for item in session["_line_items"]["data"]),
        currency=session["currency"],
    )
    session["discounts"] = [{"coupon": None, "promotion_code": promotion_code["id"]}]


def _coupon(world: World, session: Doc) -> tuple[Doc | None, Doc | None]:
    """The coupon of the session's discount and the promotion code it came by."""
    if not session["discounts"]:
        return None, None
    (named,) = session["discounts"]
    if named["promotion_code"] is None:
        return world.get("coupon", named["coupon"]), None
    promotion_code = world.get("promotion_code", named["promotion_code"])
    return world.get("coupon", promotion_code["promotion"]["coupon"]), promotion_code


def trial_days(session: Doc) -> int:
    return integer(session["_subscription_data"], "trial_period_days", 0)


def price_up(world: World, session: Doc) -> None:
    """Work out the session's and its lines' amounts."""
    coupon, _ = _coupon(world, session)
    is_taxed = session["automatic_tax"]["enabled"]
    left_over = coupon["amount_off"] if coupon and coupon["amount_off"] else 0
    for item in session["_line_items"]["data"]:
        amount = 0 if trial_days(session) else item["price"]["unit_amount"] * item["quantity"]
        off = 0
        if coupon:
            off = min(left_over, amount) if coupon["amount_off"] else catalogue.discount_on(coupon, amount)
            left_over -= min(off, left_over)
        tax = invoices.tax_on(world, amount - off, is_on=is_taxed)
        item.update(
            amount_subtotal=amount, amount_discount=off, amount_tax=tax, amount_total=amount - off + tax
        )
    sums = {
        name: sum(item[f"amount_{name}"] for item in session["_line_items"]["data"])
        for name in ("subtotal", "discount", "tax", "total")
    }
    session["amount_subtotal"], session["amount_total"] = sums["subtotal"], sums["total"]
    session["total_details"] = {
        "amount_discount": sums["discount"],
        "amount_shipping": 0,
        "amount_tax": sums["tax"],
    }


def expire(world: World, _params: Doc, session_id: str) -> Doc:
    session = world.get("checkout.session", session_id)
    if session["status"] != "open":
        raise StripeError(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a '
            f"status of `{session['status']}`."
        )
    expire_now(world, session)
    return session


def expire_now(world: World, session: Doc) -> None:
    session.update(status="expired", url=None)
    if intent_id := session.get("_intent"):
        intent = world.store.find(intent_id)
        if intent and intent["object"] == "payment_intent":
            payments.cancel(world, {"cancellation_reason": "expired"}, intent_id)
    world.emit("checkout.session.expired", session)


def pay(world: World, session: Doc, method: Doc | None) -> Doc | None:
    """Someone pays on the page. The answer is the intent that now awaits its owner, or None.

    Refused cards raise `StripeError` and leave the session open.
    """
    if session["status"] != "open":
        return None
    if session["customer"] is None and (session["mode"] == "subscription" or method):
        _make_customer(world, session)
    if method is None:
        if needs_card(session):
            raise StripeError("Please enter a card.", code="incomplete_number", param="number")
        complete(world, session, None)
        return None
    method["customer"] = session["customer"]
    return _charge(world, session, method) if session["amount_total"] else _keep(world, session, method)


def needs_card(session: Doc) -> bool:
    """Free purchases need none; a trial does, for the day it ends."""
    return bool(session["amount_total"]) or trial_days(session) > 0


def _make_customer(world: World, session: Doc) -> None:
    if session["mode"] == "payment" and session["customer_creation"] != "always":
        return
    email = session["customer_email"] or "guest@example.com"
    session["customer"] = customers.create(world, {"email": email})["id"]


def _charge(world: World, session: Doc, method: Doc) -> Doc | None:
    intent = _intent(world, session)
    status = payments.attempt(world, intent, method, is_owner_here=True)
    if status == "requires_payment_method":
        raise payments.refusal_of(intent)
    if status == "requires_action":
        return intent
    follow_up(world, intent)
    return None


def _intent(world: World, session: Doc) -> Doc:
    """One intent for all tries on a page; a discount in between changes its amount."""
    if intent_id := session.get("_intent"):
        intent = world.get("payment_intent", intent_id)
        intent["amount"] = session["amount_total"]
        return intent
    data = session["_intent_data"]
    intent = payments.make_intent(
        world,
        amount=session["amount_total"],
        currency=session["currency"],
        customer=session["customer"],
        description=data.get("description"),
        metadata=merged_metadata({}, data),
        receipt_email=data.get("receipt_email"),
        setup_future_usage="off_session" if session["mode"] == "subscription" else None,
        _session=session["id"],
    )
    session["_intent"] = intent["id"]
    if session["mode"] == "payment":
        session["payment_intent"] = intent["id"]
    return intent


def _keep(world: World, session: Doc, method: Doc) -> Doc | None:
    """Nothing is due today: keep the card for later, asking its owner where the bank wants it."""
    card = payments.card_of(method)
    if card.decline:
        raise StripeError(
            "Your card was declined.",
            status=402,
            kind="card_error",
            code="card_declined",
            decline_code=card.decline,
        )
    if card.asks_owner:
        return world.make(
            "seti",
            "setup_intent",
            customer=session["customer"],
            metadata={},
            payment_method=method["id"],
            status="requires_action",
            _session=session["id"],
        )
    complete(world, session, method)
    return None


def authenticate(world: World, intent: Doc, *, is_complete: bool) -> None:
    """The card's owner answered their bank."""
    if intent["status"] != "requires_action":
        return
    if intent["object"] == "setup_intent":
        intent["status"] = "succeeded" if is_complete else "requires_payment_method"
        session = world.get("checkout.session", intent["_session"])
        if is_complete and session["status"] == "open":
            complete(world, session, world.get("payment_method", intent["payment_method"]))
    elif is_complete:
        payments.succeed(world, intent)
        follow_up(world, intent)
    else:
        payments.fail(world, intent, "", code="payment_intent_authentication_failure")


def follow_up(world: World, intent: Doc) -> None:
    """A payment went through, or is under way: its session completes, its invoice is paid."""
    method = world.get("payment_method", intent["payment_method"])
    session_id = intent.get("_session")
    if session_id and world.get("checkout.session", session_id)["status"] == "open":
        complete(world, world.get("checkout.session", session_id), method)
    elif (invoice_id := intent.get("_invoice")) and intent["status"] == "succeeded":
        invoice = world.get("invoice", invoice_id)
        if invoice["status"] == "open":
            invoices.mark_paid(world, invoice)
            subscription = invoices.subscription_of(world, invoice)
            if subscription is not None:
                subscriptions.recover(world, subscription)


def complete(world: World, session: Doc, method: Doc | None) -> None:
    """Close the session and hand over what was bought."""
    intent = world.get("payment_intent", session["_intent"]) if session["amount_total"] else None
    is_settled = intent is None or intent["status"] == "succeeded"
    session["status"] = "complete"
    session["url"] = None
    session["payment_status"] = _payment_status(intent, is_settled=is_settled)
    session["customer_details"] = _customer_details(world, session)
    coupon, promotion_code = _coupon(world, session)
    discount = None
    if coupon is not None:
        owner: dict[str, Any] = {"checkout_session": session["id"], "customer": session["customer"]}
        discount = catalogue.redeem(world, coupon, promotion_code, **owner)
    if session["mode"] == "subscription":
        _subscribe(world, session, method, discount, intent)
    elif session["invoice_creation"]["enabled"]:
        _write_invoice(world, session, discount, intent)
    world.emit("checkout.session.completed", session)


def _payment_status(intent: Doc | None, *, is_settled: bool) -> str:
    if intent is None:
        return "no_payment_required"
    return "paid" if is_settled else "unpaid"


def _customer_details(world: World, session: Doc) -> Doc:
    customer = world.store.find(session["customer"] or "") or {}
    return {
        "address": None,
        "email": customer.get("email") or session["customer_email"],
        "name": customer.get("name"),
        "phone": customer.get("phone"),
        "tax_exempt": "none",
        "tax_ids": [],
    }


def _subscribe(
    world: World, session: Doc, method: Doc | None, discount: Doc | None, intent: Doc | None
) -> None:
    data, (item,) = session["_subscription_data"], session["_line_items"]["data"]
    customer = world.get("customer", session["customer"])
    subscription = subscriptions.start(
        world,
        customer=customer,
        price=item["price"],
        quantity=item["quantity"],
        metadata=merged_metadata({}, data),
        method=method["id"] if method else None,
        trial_days=trial_days(session),
        is_taxed=session["automatic_tax"]["enabled"],
        trial_settings=group(data, "trial_settings") or None,
    )
    if discount is not None:
        discount["subscription"] = subscription["id"]
        subscription["discounts"] = [discount["id"]]
    session["subscription"] = subscription["id"]
    invoice = subscriptions.first_invoice(world, subscription)
    session["invoice"] = invoice["id"]
    _pay_invoice(world, invoice, intent)
    world.emit("customer.subscription.created", subscription)


def _pay_invoice(world: World, invoice: Doc, intent: Doc | None) -> None:
    if intent is None:
        invoices.mark_paid(world, invoice)
        return
    invoices.link(world, invoice, intent)
    if intent["status"] == "succeeded":
        invoices.mark_paid(world, invoice)


def _write_invoice(world: World, session: Doc, discount: Doc | None, intent: Doc | None) -> None:
    if session["customer"] is None:
        session["customer"] = customers.create(world, {"email": session["customer_email"] or ""})["id"]
    now = world.clock.now()
    lines = [
        Line(item["amount_subtotal"], item["price"], item["description"], now, now, item["quantity"])
        for item in session["_line_items"]["data"]
    ]
    draft = invoices.assemble(
        world,
        customer=world.get("customer", session["customer"]),
        lines=lines,
        reason="manual",
        discounts=[discount] if discount else [],
        is_taxed=session["automatic_tax"]["enabled"],
    )
    invoice = invoices.issue(world, draft)
    session["invoice"] = invoice["id"]
    _pay_invoice(world, invoice, intent)


def settle_async(world: World, session_id: str, outcome: str) -> None:
    """A bank transfer arrived, or did not."""
    session = world.get("checkout.session", session_id)
    intent = world.get("payment_intent", session.get("_intent") or "")
    if intent["status"] != "processing":
        raise StripeError("This session awaits no bank transfer.")
    if outcome == "succeeded":
        payments.succeed(world, intent)
        session["payment_status"] = "paid"
        follow_up(world, intent)
    else:
        payments.fail(world, intent, "generic_decline", code="payment_intent_payment_attempt_failed")
        _drop_subscription(world, session)
    world.emit(f"checkout.session.async_payment_{outcome}", session)


def _drop_subscription(world: World, session: Doc) -> None:
    if session["subscription"]:
        subscription = world.get("subscription", session["subscription"])
        if subscription["status"] != "canceled":
            subscriptions.end_now(world, subscription, reason="payment_failed")


def line_items(world: World, _params: Doc, session_id: str) -> Doc:
    listed: Doc = world.get("checkout.session", session_id)["_line_items"]
    return listed
