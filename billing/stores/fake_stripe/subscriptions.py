"""Subscriptions: their start, periods, changes and end."""

from dataclasses import dataclass
from typing import Any

from . import catalogue, customers, invoices, payments
from .clock import DAY, period_end
from .errors import StripeError, required
from .forms import flag, group, integer, merged_metadata, optional_integer, rows
from .invoices import Line
from .rendering import list_of
from .store import Doc
from .world import World, new_id

LIVE = ("trialing", "active", "past_due", "paused")
_BEHAVIORS = ("create_prorations", "none", "always_invoice")


@dataclass(frozen=True)
class Change:
    """What moving to another price means at one moment."""

    price: Doc
    quantity: int
    lines: list[Line]
    # The period starts anew because the interval changed.
    starts_anew: bool
    start: int
    end: int


def item_of(subscription: Doc) -> Doc:
    item: Doc = subscription["items"]["data"][0]
    return item


def _rhythm(price: Doc) -> tuple[str, int]:
    recurring = price["recurring"]
    return recurring["interval"], recurring["interval_count"]


def _named(world: World, price: Doc) -> str:
    return str(world.get("product", price["product"])["name"])


def _method(world: World, subscription: Doc) -> str | None:
    customer = world.get("customer", subscription["customer"])
    return subscription["default_payment_method"] or customers.default_method(customer)


def start(
    world: World,
    *,
    customer: Doc,
    price: Doc,
    quantity: int = 1,
    metadata: dict[str, str],
    method: str | None,
    trial_days: int = 0,
    is_taxed: bool = False,
    trial_settings: Doc | None = None,
) -> Doc:
    """A new subscription with its first period; `first_invoice` bills it."""
    now = world.clock.now()
    end = now + trial_days * DAY if trial_days else period_end(now, now, *_rhythm(price))
    subscription = world.make(
        "sub",
        "subscription",
        automatic_tax={"disabled_reason": None, "enabled": is_taxed, "liability": None},
        billing_cycle_anchor=end if trial_days else now,
        billing_mode={"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        cancel_at=None,
        cancel_at_period_end=False,
        canceled_at=None,
        cancellation_details={"comment": None, "feedback": None, "reason": None},
        collection_method="charge_automatically",
        currency=price["currency"],
        customer=customer["id"],
        days_until_due=None,
        default_payment_method=method,
        description=None,
        discounts=[],
        ended_at=None,
        latest_invoice=None,
        metadata=metadata,
        pause_collection=None,
        pending_setup_intent=None,
        pending_update=None,
        schedule=None,
        start_date=now,
        status="trialing" if trial_days else "active",
        trial_end=end if trial_days else None,
        trial_settings=trial_settings or {"end_behavior": {"missing_payment_method": "create_invoice"}},
        trial_start=now if trial_days else None,
        _pending=[],
    )
    item: Doc = {
        "id": new_id("si", 14),
        "object": "subscription_item",
        "created": now,
        "current_period_end": end,
        "current_period_start": now,
        "discounts": [],
        "metadata": {},
        "price": price,
        "quantity": quantity,
        "subscription": subscription["id"],
        "tax_rates": [],
        "_billed": 0,
    }
    subscription["items"] = list_of([item], f"/v1/subscription_items?subscription={subscription['id']}")
    return subscription


def discounts_now(world: World, subscription: Doc, at: int) -> list[Doc]:
    found = [world.get("discount", identifier) for identifier in subscription["discounts"]]
    return [discount for discount in found if discount["end"] is None or discount["end"] > at]


def period_line(
    world: World, price: Doc, quantity: int, span: tuple[int, int], *, is_trial: bool = False
) -> Line:
    name = _named(world, price)
    return Line(
        amount=0 if is_trial else price["unit_amount"] * quantity,
        price=price,
        description=f"Trial period for {name}" if is_trial else f"{quantity} × {name}",
        start=span[0],
        end=span[1],
        quantity=quantity,
    )


def bill(
    world: World, subscription: Doc, lines: list[Line], reason: str, *, proration_date: int | None = None
) -> Doc:
    """Issue an invoice for lines of this subscription; discounts that last once are used up by it."""
    draft = draft_for(world, subscription, lines, reason, proration_date=proration_date)
    invoice = invoices.issue(world, draft, default_payment_method=subscription["default_payment_method"])
    subscription["latest_invoice"] = invoice["id"]
    _use_up_discounts(world, subscription, invoice)
    return invoice


def draft_for(
    world: World, subscription: Doc, lines: list[Line], reason: str, *, proration_date: int | None = None
) -> Doc:
    item = item_of(subscription)
    return invoices.assemble(
        world,
        customer=world.get("customer", subscription["customer"]),
        lines=lines,
        reason=reason,
        subscription=subscription,
        discounts=discounts_now(world, subscription, world.clock.now()),
        is_taxed=subscription["automatic_tax"]["enabled"],
        period=(item["current_period_start"], item["current_period_end"]),
        proration_date=proration_date,
    )


def _use_up_discounts(world: World, subscription: Doc, invoice: Doc) -> None:
    used = {total["discount"] for total in invoice["total_discount_amounts"] if total["amount"]}
    for identifier in list(subscription["discounts"]):
        discount = world.get("discount", identifier)
        coupon = world.get("coupon", discount["source"]["coupon"])
        is_over = discount["end"] is not None and discount["end"] <= world.clock.now()
        if is_over or (coupon["duration"] == "once" and identifier in used):
            subscription["discounts"].remove(identifier)


def _note_billed(subscription: Doc, invoice: Doc) -> None:
    """Remember what the period cost after discounts: unused time is credited from that."""
    item = item_of(subscription)
    for row in invoice["lines"]["data"]:
        if row["period"]["start"] == item["current_period_start"] and row["amount"] >= 0:
            off = sum(part["amount"] for part in row["discount_amounts"])
            item["_billed"] = row["amount"] - off


def first_invoice(world: World, subscription: Doc) -> Doc:
    item = item_of(subscription)
    span = (item["current_period_start"], item["current_period_end"])
    is_trial = subscription["status"] == "trialing"
    line = period_line(world, item["price"], item["quantity"], span, is_trial=is_trial)
    invoice = bill(world, subscription, [line], "subscription_create")
    _note_billed(subscription, invoice)
    return invoice


def plan_change(
    world: World, subscription: Doc, price: Doc, quantity: int, *, at: int, behavior: str
) -> Change:
    """The lines and the period that moving to `price` at `at` brings; nothing is changed yet."""
    item = item_of(subscription)
    start, end = item["current_period_start"], item["current_period_end"]
    at = min(max(at, start), end)
    starts_anew = _rhythm(price) != _rhythm(item["price"]) and subscription["status"] != "trialing"
    lines: list[Line] = []
    if behavior != "none" and subscription["status"] != "trialing":
        credit = -catalogue.rounded(item["_billed"], end - at, end - start)
        name = _named(world, item["price"])
        lines.append(
            Line(
                credit, item["price"], f"Unused time on {name}", at, end, item["quantity"], is_proration=True
            )
        )
    if starts_anew:
        start, end = at, period_end(at, at, *_rhythm(price))
        lines.append(period_line(world, price, quantity, (start, end)))
    elif lines:
        charge = catalogue.rounded(price["unit_amount"] * quantity, end - at, end - start)
        name = _named(world, price)
        lines.append(Line(charge, price, f"Remaining time on {name}", at, end, quantity, is_proration=True))
    return Change(price, quantity, lines, starts_anew, start, end)


def wanted_change(world: World, subscription: Doc, params: Doc) -> Change | None:
    """The change that `items`, `proration_behavior` and `proration_date` ask for."""
    wanted = rows(params, "items")
    if not wanted:
        return None
    if len(wanted) > 1:
        raise StripeError("Subscriptions here have one item.", param="items")
    item, asked = item_of(subscription), wanted[0]
    if asked.get("id") != item["id"]:
        raise StripeError(f"No such subscription_item: '{asked.get('id')}'", param="items[0][id]")
    price = catalogue.line_price(world, asked) if asked.get("price") else item["price"]
    if price["recurring"] is None:
        raise StripeError("The price specified is set to `type=one_time`.", param="items[0][price]")
    at = integer(params, "proration_date", world.clock.now())
    return plan_change(
        world,
        subscription,
        price,
        integer(asked, "quantity", item["quantity"]),
        at=at,
        behavior=behavior_of(params),
    )


def behavior_of(params: Doc) -> str:
    behavior = str(params.get("proration_behavior") or "create_prorations")
    if behavior not in _BEHAVIORS:
        raise StripeError(
            f"Invalid proration_behavior: must be one of {', '.join(_BEHAVIORS)}",
            param="proration_behavior",
        )
    return behavior


def apply_change(
    world: World, subscription: Doc, change: Change, behavior: str, *, at: int | None = None
) -> None:
    """Move to the new price, and bill now or with the next period."""
    item = item_of(subscription)
    item.update(
        price=change.price,
        quantity=change.quantity,
        current_period_start=change.start,
        current_period_end=change.end,
    )
    discounts = discounts_now(world, subscription, world.clock.now())
    full = change.price["unit_amount"] * change.quantity
    if subscription["status"] != "trialing" and behavior != "none":
        off = invoices.discounted(world, [full], discounts)[0]
        item["_billed"] = full - sum(part["amount"] for part in off)
    if change.starts_anew:
        subscription["billing_cycle_anchor"] = change.start
    if change.starts_anew or (behavior == "always_invoice" and change.lines):
        invoice = bill(world, subscription, change.lines, "subscription_update", proration_date=at)
        _settle(world, subscription, invoice)
        if change.starts_anew:
            _note_billed(subscription, invoice)
    else:
        subscription["_pending"] += [_kept(line) for line in change.lines]


def _kept(line: Line) -> Doc:
    return {**vars(line), "price": line.price["id"]}


def pending_lines(world: World, subscription: Doc) -> list[Line]:
    return [Line(**{**kept, "price": world.get("price", kept["price"])}) for kept in subscription["_pending"]]


def _settle(world: World, subscription: Doc, invoice: Doc) -> None:
    if not invoices.collect(world, invoice, _method(world, subscription)):
        subscription["status"] = "past_due"


def update(world: World, params: Doc, subscription_id: str) -> Doc:
    subscription = world.get("subscription", subscription_id)
    if subscription["status"] not in LIVE:
        raise StripeError("A canceled subscription can only update its cancellation_details and metadata.")
    _check_update(world, subscription, params)
    before = _seen(subscription)
    change = wanted_change(world, subscription, params)
    if change is not None:
        at = optional_integer(params, "proration_date")
        apply_change(world, subscription, change, behavior_of(params), at=at)
    subscription["metadata"] = merged_metadata(subscription["metadata"], params)
    _change_cancellation(world, subscription, params)
    if method := params.get("default_payment_method"):
        subscription["default_payment_method"] = method
    if params.get("trial_end"):
        _change_trial(world, subscription, params)
    tell_update(world, subscription, before)
    return subscription


def _check_update(world: World, subscription: Doc, params: Doc) -> None:
    cancels = "cancel_at_period_end" in params or "cancel_at" in params
    if subscription["schedule"] and cancels:
        raise StripeError(
            "The subscription is managed by the subscription schedule "
            f"`{subscription['schedule']}`, and updating any cancelation behavior directly is not allowed. "
            "Please update the schedule instead.",
            param="cancel_at_period_end",
        )
    if method := params.get("default_payment_method"):
        world.get("payment_method", method, "default_payment_method")
    if params.get("payment_behavior") == "error_if_incomplete":
        _check_card(world, subscription)


def _check_card(world: World, subscription: Doc) -> None:
    name = _method(world, subscription)
    if name is None:
        raise StripeError(
            "This customer has no attached payment source or default payment method.", code="resource_missing"
        )
    if payments.card_of(world.get("payment_method", name)).later_decline:
        raise StripeError("Your card was declined.", status=402, kind="card_error", code="card_declined")


def _change_cancellation(world: World, subscription: Doc, params: Doc) -> None:
    if "cancel_at_period_end" not in params:
        return
    wants_end = flag(params, "cancel_at_period_end")
    subscription["cancel_at_period_end"] = wants_end
    subscription["cancel_at"] = item_of(subscription)["current_period_end"] if wants_end else None
    subscription["canceled_at"] = world.clock.now() if wants_end else None
    subscription["cancellation_details"]["reason"] = "cancellation_requested" if wants_end else None


def _change_trial(world: World, subscription: Doc, params: Doc) -> None:
    if params["trial_end"] == "now":
        end_trial(world, subscription)
        return
    end = integer(params, "trial_end")
    if end <= world.clock.now():
        raise StripeError("Invalid timestamp: must be in the future.", param="trial_end")
    subscription.update(status="trialing", trial_end=end, billing_cycle_anchor=end)
    subscription["trial_start"] = subscription["trial_start"] or world.clock.now()
    item_of(subscription)["current_period_end"] = end


def end_trial(world: World, subscription: Doc) -> None:
    """The first paid period begins now; without a trial there is nothing to end."""
    if subscription["status"] == "trialing":
        item_of(subscription)["current_period_end"] = subscription["trial_end"] = world.clock.now()
        _begin_period(world, subscription, "subscription_update")


_SEEN = (
    "billing_cycle_anchor",
    "cancel_at",
    "cancel_at_period_end",
    "default_payment_method",
    "latest_invoice",
    "schedule",
    "status",
    "trial_end",
)


def _seen(subscription: Doc) -> Doc:
    item = item_of(subscription)
    shown: Doc = {name: subscription[name] for name in _SEEN}
    shown["metadata"] = dict(subscription["metadata"])
    shown["_item"] = {
        name: item[name] for name in ("current_period_end", "current_period_start", "price", "quantity")
    }
    return shown


def tell_update(world: World, subscription: Doc, before: Doc) -> None:
    now = _seen(subscription)
    changed = {name: value for name, value in before.items() if now[name] != value and name != "_item"}
    if now["_item"] != before["_item"]:
        item = {"id": item_of(subscription)["id"], **before["_item"]}
        changed["items"] = {"data": [item]}
    world.emit("customer.subscription.updated", subscription, changed)


def fall_due(world: World, subscription: Doc) -> None:
    """The period is over: end, pause, or begin the next one."""
    if subscription["cancel_at_period_end"]:
        end_now(world, subscription, reason="cancellation_requested")
        return
    if subscription["status"] == "trialing" and not _method(world, subscription):
        behavior = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
        if behavior == "cancel":
            end_now(world, subscription, reason="payment_failed")
            return
        if behavior == "pause":
            subscription["status"] = "paused"
            world.emit("customer.subscription.paused", subscription)
            return
    before = _seen(subscription)
    _begin_period(world, subscription)
    tell_update(world, subscription, before)


def _begin_period(world: World, subscription: Doc, reason: str = "subscription_cycle") -> None:
    item = item_of(subscription)
    was_trial = subscription["status"] == "trialing"
    begin = item["current_period_end"]
    if was_trial:
        subscription["status"] = "active"
        subscription["billing_cycle_anchor"] = begin
    end = period_end(subscription["billing_cycle_anchor"], begin, *_rhythm(item["price"]))
    lines = [
        *pending_lines(world, subscription),
        period_line(world, item["price"], item["quantity"], (begin, end)),
    ]
    subscription["_pending"] = []
    item.update(current_period_start=begin, current_period_end=end)
    invoice = bill(world, subscription, lines, reason)
    _note_billed(subscription, invoice)
    _settle(world, subscription, invoice)


def warn_of_trial_end(world: World, subscription: Doc) -> None:
    subscription["_is_warned"] = True
    world.emit("customer.subscription.trial_will_end", subscription)


def retry(world: World, invoice: Doc) -> None:
    """Try a failed renewal again; after the last try the subscription ends."""
    subscription = invoices.subscription_of(world, invoice)
    if subscription is None:
        invoices.give_up(invoice)
        return
    if invoices.collect(world, invoice, _method(world, subscription)):
        recover(world, subscription)
    elif invoice["next_payment_attempt"] is None:
        invoices.give_up(invoice)
        end_now(world, subscription, reason="payment_failed")


def recover(world: World, subscription: Doc) -> None:
    """Paid after all."""
    if subscription["status"] == "past_due":
        before = _seen(subscription)
        subscription["status"] = "active"
        tell_update(world, subscription, before)


def end_now(world: World, subscription: Doc, *, reason: str) -> None:
    now = world.clock.now()
    subscription.update(status="canceled", ended_at=now, canceled_at=subscription["canceled_at"] or now)
    subscription["cancellation_details"]["reason"] = reason
    if schedule_id := subscription["schedule"]:
        schedule = world.get("subscription_schedule", schedule_id)
        if schedule["status"] == "active":
            schedule.update(status="canceled", canceled_at=now, current_phase=None)
            world.emit("subscription_schedule.canceled", schedule)
    for invoice in world.find("invoice", status="open"):
        if invoices.subscription_of(world, invoice) is subscription:
            invoices.give_up(invoice)
    world.emit("customer.subscription.deleted", subscription)


def cancel(world: World, params: Doc, subscription_id: str) -> Doc:
    """End at once; `prorate` credits unused time, `invoice_now` settles it on an invoice."""
    subscription = world.get("subscription", subscription_id)
    if subscription["status"] == "canceled":
        raise StripeError(f"No such subscription: '{subscription_id}'", status=404, code="resource_missing")
    lines = pending_lines(world, subscription)
    if flag(params, "prorate"):
        lines += _unused(world, subscription)
    if flag(params, "invoice_now") and lines:
        invoice = bill(world, subscription, lines, "subscription_update")
        subscription["_pending"] = []
        _settle(world, subscription, invoice)
    comment = group(params, "cancellation_details").get("comment")
    subscription["cancellation_details"]["comment"] = comment
    end_now(world, subscription, reason="cancellation_requested")
    return subscription


def _unused(world: World, subscription: Doc) -> list[Line]:
    item, now = item_of(subscription), world.clock.now()
    start, end = item["current_period_start"], item["current_period_end"]
    credit = -catalogue.rounded(item["_billed"], max(0, end - now), end - start)
    name = f"Unused time on {_named(world, item['price'])}"
    return [Line(credit, item["price"], name, now, end, item["quantity"], is_proration=True)]


def preview(world: World, params: Doc) -> Doc:
    """The invoice that a change, or the next renewal, would make."""
    if not params.get("subscription"):
        raise required("subscription")
    subscription = world.get("subscription", params["subscription"], "subscription")
    details = group(params, "subscription_details")
    change = wanted_change(world, subscription, details)
    behavior, at = behavior_of(details), optional_integer(details, "proration_date")
    if change and at is None:
        at = world.clock.now()
    if details.get("trial_end") == "now" and subscription["status"] == "trialing":
        draft = _draft_without_trial(world, subscription, change)
    elif change and (change.starts_anew or behavior == "always_invoice"):
        draft = draft_for(world, subscription, change.lines, "subscription_update", proration_date=at)
        draft.update(period_start=change.start, period_end=change.end)
    else:
        lines = [*pending_lines(world, subscription), *(change.lines if change else [])]
        draft = draft_for(
            world,
            subscription,
            [*lines, _next_line(world, subscription, change)],
            "upcoming",
            proration_date=at,
        )
    now = world.clock.now()
    head: Doc = {"id": new_id("upcoming_in"), "object": "invoice", "created": now, "livemode": False}
    return head | draft


def _draft_without_trial(world: World, subscription: Doc, change: Change | None) -> Doc:
    line = _next_line(world, subscription, change, begin=world.clock.now())
    lines = [*pending_lines(world, subscription), line]
    draft = draft_for(world, subscription, lines, "subscription_update")
    return draft | {"period_start": line.start, "period_end": line.end}


def _next_line(world: World, subscription: Doc, change: Change | None, *, begin: int | None = None) -> Line:
    """The next period; with `begin` one that starts then, for a trial that ends before its time."""
    item = item_of(subscription)
    price = change.price if change else item["price"]
    anchor = subscription["billing_cycle_anchor"] if begin is None else begin
    begin = item["current_period_end"] if begin is None else begin
    end = period_end(anchor, begin, *_rhythm(price))
    return period_line(world, price, change.quantity if change else item["quantity"], (begin, end))


def is_listed(subscription: Doc, params: Doc) -> bool:
    """As at Stripe, canceled ones are listed only when asked for."""
    status = params.get("status")
    fits = (
        subscription["status"] != "canceled" if status is None else status in ("all", subscription["status"])
    )
    prices: list[Any] = [None, item_of(subscription)["price"]["id"]]
    return (
        fits
        and ("customer" not in params or subscription["customer"] == params["customer"])
        and params.get("price") in prices
    )


def move(world: World, subscription: Doc, asked: Doc, behavior: str) -> None:
    """A schedule's phase begins. At the very end of a period the renewal that follows bills the new price."""
    item = item_of(subscription)
    before = _seen(subscription)
    if item["current_period_end"] <= world.clock.now():
        price = catalogue.line_price(world, asked)
        if _rhythm(price) != _rhythm(item["price"]):
            subscription["billing_cycle_anchor"] = item["current_period_end"]
        item.update(price=price, quantity=integer(asked, "quantity"))
    else:
        wanted = {"items": [asked], "proration_behavior": behavior}
        change = wanted_change(world, subscription, wanted)
        if change is not None:
            apply_change(world, subscription, change, behavior)
    tell_update(world, subscription, before)
