"""The pages a buyer sees: checkout, their bank's question, the billing portal, an invoice."""

import hmac
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlsplit

from . import checkout, payments, portal, subscriptions
from .clock import day
from .errors import StripeError
from .store import Doc
from .world import PUBLIC, World

_BUTTONS = (
    ("4242424242424242", "Use the card that works"),
    ("4000000000000002", "Use the card that is declined"),
    ("4000000000003220", "Use the card that asks for 3-D Secure"),
)
_ZERO_DECIMAL = ("jpy", "krw", "vnd", "clp")


@dataclass(frozen=True)
class Page:
    """An answer to a browser; with a location it is a redirect."""

    html: str = ""
    status: int = 200
    location: str = ""


def respond(world: World, method: str, path: str, form: dict[str, Any]) -> Page:
    """Route a browser's request; unknown pages are 404."""
    parts = path.strip("/").split("/")
    try:
        match parts:
            case ["c", "pay", session_id]:
                return _pay(world, method, world.get("checkout.session", session_id), form)
            case ["c", "3ds", intent_id]:
                return _secure(world, method, _intent(world, intent_id), form)
            case ["p", "session", session_id]:
                return _portal(world, method, world.get("billing_portal.session", session_id), form)
            case ["i", invoice_id] if method == "GET":
                return _invoice(world, world.get("invoice", invoice_id))
    except StripeError as error:
        return _note("Not found", error.message, status=404 if error.status == 404 else 400)
    return _note("Not found", "There is no such page in this test shop.", status=404)


def money(amount: int, currency: str) -> str:
    if currency in _ZERO_DECIMAL:
        return f"{amount} {currency.upper()}"
    sign, units = ("−" if amount < 0 else ""), abs(amount)
    return f"{sign}{units // 100}.{units % 100:02d} {currency.upper()}"


def _layout(title: str, body: str, *, status: int = 200) -> Page:
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex"><link rel="stylesheet" href="STYLESHEET"></head><body>'
        '<p class="banner" role="note">Test shop: no real money moves. Pay with 4242 4242 4242 4242</p>'
        f"<main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return Page(html, status)


def _note(title: str, message: str, *, link: str | None = None, status: int = 200) -> Page:
    return _layout(title, f"<p>{escape(message)}</p>{_link(link, 'Back to the shop')}", status=status)


def _link(url: str | None, words: str) -> str:
    """Only web addresses and app links become links; a `javascript:` one does not."""
    if not url or urlsplit(url).scheme in ("", "javascript", "data", "vbscript"):
        return ""
    return f'<p><a href="{escape(url)}">{escape(words)}</a></p>'


def _error(message: str) -> str:
    return f'<p class="error" role="alert">{escape(message)}</p>' if message else ""


def _token(document: Doc) -> str:
    return f'<input type="hidden" name="token" value="{escape(document["_token"])}">'


def _has_token(document: Doc, form: dict[str, Any]) -> bool:
    return hmac.compare_digest(document["_token"], str(form.get("token", "")))


def _forged() -> Page:
    return _note("Please try again", "This form did not come from this page.", status=403)


def _success_url(session: Doc) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _pay(world: World, method: str, session: Doc, form: dict[str, Any]) -> Page:
    if method == "POST" and not _has_token(session, form):
        return _forged()
    if session["status"] == "complete":
        if method == "POST":
            return Page(status=303, location=_success_url(session))
        return _note("Already paid", "This purchase is complete.", link=_success_url(session))
    if session["status"] == "expired":
        return _note("Too late", "This checkout has expired.", link=session["cancel_url"], status=410)
    if method != "POST":
        return _pay_page(world, session)
    try:
        return _take_payment(world, session, form)
    except StripeError as error:
        return _pay_page(world, session, error.message, form)


def _take_payment(world: World, session: Doc, form: dict[str, Any]) -> Page:
    code = str(form.get("promotion_code", ""))
    if session["allow_promotion_codes"] and (code.strip() or form.get("do") == "apply"):
        checkout.apply_code(world, session, code)
    elif code.strip():
        raise StripeError("This shop takes no codes for this purchase.")
    if form.get("do") == "apply":
        return Page(status=303, location=f"{PUBLIC}/c/pay/{session['id']}")
    method = None
    if checkout.needs_card(session):
        method = _method(world, form)
    waiting = checkout.pay(world, session, method)
    if waiting is not None:
        return Page(status=303, location=f"{PUBLIC}/c/3ds/{waiting['id']}")
    return Page(status=303, location=_success_url(session))


def _method(world: World, form: dict[str, Any]) -> Doc:
    if form.get("do") == "bank":
        return payments.make_bank_method(world)
    return payments.make_method(world, str(form.get("quick") or form.get("card", "")))


def _field(name: str, label: str, value: str = "", extra: str = "") -> str:
    return (
        f'<label for="{name}">{label}</label>'
        f'<input id="{name}" name="{name}" value="{escape(value)}" {extra}>'
    )


def _pay_page(world: World, session: Doc, error: str = "", form: dict[str, Any] | None = None) -> Page:
    typed = {name: str(value) for name, value in (form or {}).items()}
    amount = money(session["amount_total"], session["currency"])
    body = (
        f"{_error(error)}{_summary(world, session)}"
        f'<form method="post" action="{PUBLIC}/c/pay/{session["id"]}" class="panel">{_token(session)}'
        f"{_card_fields(session, typed)}"
        # The first button is the one that the Enter key presses.
        f'<button class="main" name="do" value="pay">Pay {escape(amount)}</button>'
        f"{_discount_field(session, typed)}"
        f"{_quick_buttons(session)}</form>{_link(session['cancel_url'], 'Cancel and go back')}"
    )
    return _layout("Checkout", body, status=402 if error else 200)


def _summary(world: World, session: Doc) -> str:
    currency = session["currency"]
    rows = "".join(
        f"<tr><td>{item['quantity']} × {escape(item['description'])}</td>"
        f"<td>{money(item['amount_subtotal'], currency)}</td></tr>"
        for item in session["_line_items"]["data"]
    )
    details = session["total_details"]
    for words, amount in (("Discount", -details["amount_discount"]), ("Tax", details["amount_tax"])):
        if amount:
            rows += f"<tr><td>{words}</td><td>{money(amount, currency)}</td></tr>"
    return (
        f'<section class="panel"><h2>What you buy</h2><table>{rows}</table>'
        f'<p class="amount">{money(session["amount_total"], currency)} today</p>{_rhythm(session)}</section>'
    )


def _rhythm(session: Doc) -> str:
    if session["mode"] != "subscription":
        return ""
    price = session["_line_items"]["data"][0]["price"]
    trial = checkout.trial_days(session)
    words = f"{money(price['unit_amount'], price['currency'])} each {price['recurring']['interval']}"
    return f'<p class="soft">{escape(f"{trial} days free, then {words}" if trial else words)}</p>'


def _discount_field(session: Doc, typed: dict[str, str]) -> str:
    if not session["allow_promotion_codes"]:
        return ""
    field = _field("promotion_code", "Discount code", typed.get("promotion_code", ""), 'autocomplete="off"')
    return f'{field}<button name="do" value="apply">Apply code</button>'


def _card_fields(session: Doc, typed: dict[str, str]) -> str:
    if not checkout.needs_card(session):
        return ""
    number = 'inputmode="numeric" autocomplete="off" placeholder="4242 4242 4242 4242"'
    return (
        _field("card", "Card number", typed.get("card", ""), number)
        + _field("expiry", "Expiry (MM / YY)", typed.get("expiry", ""), 'autocomplete="off"')
        + _field("cvc", "CVC", "", 'inputmode="numeric" autocomplete="off"')
        + _field("name", "Name on card", typed.get("name", ""), 'autocomplete="off"')
    )


def _quick_buttons(session: Doc) -> str:
    if not checkout.needs_card(session):
        return ""
    buttons = "".join(f'<button name="quick" value="{number}">{words}</button>' for number, words in _BUTTONS)
    bank = '<button name="do" value="bank">Pay by bank transfer</button>' if session["amount_total"] else ""
    return f"<h2>Test cards</h2>{buttons}{bank}"


def _intent(world: World, intent_id: str) -> Doc:
    kind = "setup_intent" if intent_id.startswith("seti_") else "payment_intent"
    return world.get(kind, intent_id)


def _secure(world: World, method: str, intent: Doc, form: dict[str, Any]) -> Page:
    if not intent.get("_session"):
        return _note("Not found", "There is no such page in this test shop.", status=404)
    session = world.get("checkout.session", intent["_session"])
    if method == "POST" and not _has_token(session, form):
        return _forged()
    if method == "POST" and session["status"] == "open":
        checkout.authenticate(world, intent, is_complete=form.get("do") == "complete")
    if session["status"] == "complete":
        return Page(status=303, location=_success_url(session))
    if method == "POST":
        refused = "Your bank could not confirm that it is you. Please try another card."
        return _pay_page(world, session, refused)
    if intent["status"] != "requires_action":
        return Page(status=303, location=f"{PUBLIC}/c/pay/{session['id']}")
    body = (
        "<p>This stands for the page on which a bank asks its customer.</p>"
        f'<form method="post" class="panel">{_token(session)}'
        '<button class="main" name="do" value="complete">Complete</button>'
        '<button name="do" value="fail">Fail</button></form>'
    )
    return _layout("Confirm the payment", body)


def _portal(world: World, method: str, session: Doc, form: dict[str, Any]) -> Page:
    error = ""
    if method == "POST":
        if not _has_token(session, form):
            return _forged()
        try:
            portal.act(world, session, form)
            return Page(status=303, location=session["url"])
        except StripeError as refusal:
            error = refusal.message
    plans = "".join(_plan(world, session, plan) for plan in portal.subscriptions_of(world, session))
    card = _field("card", "New card number", "", 'inputmode="numeric" autocomplete="off"')
    body = (
        f"{_error(error)}{plans or '<p>You have no plan.</p>'}"
        f'<form method="post" class="panel"><h2>Card</h2>{_token(session)}{card}'
        '<button name="do" value="card">Change card</button></form>'
        f"{_invoices(world, session)}{_link(session['return_url'], 'Back to the shop')}"
    )
    return _layout("Your plan", body, status=400 if error else 200)


def _plan(world: World, session: Doc, subscription: Doc) -> str:
    item = subscriptions.item_of(subscription)
    name = world.get("product", item["price"]["product"])["name"]
    ends = subscription["cancel_at_period_end"]
    do, words = ("keep", "Keep plan") if ends else ("cancel", "Cancel plan")
    date = f"{'Ends' if ends else 'Renews'} on {day(item['current_period_end'])}"
    price = money(item["price"]["unit_amount"] * item["quantity"], subscription["currency"])
    return (
        f'<form method="post" class="panel"><h2>{escape(name)}</h2>'
        f"<p>{escape(price)} each {item['price']['recurring']['interval']}, "
        f"{escape(subscription['status'].replace('_', ' '))}. {date}.</p>{_token(session)}"
        f'<input type="hidden" name="subscription" value="{subscription["id"]}">'
        f'<button name="do" value="{do}">{words}</button></form>'
    )


def _invoices(world: World, session: Doc) -> str:
    rows = "".join(
        f'<tr><td><a href="{PUBLIC}/i/{invoice["id"]}">{escape(invoice["number"])}</a></td>'
        f"<td>{day(invoice['created'])}</td>"
        f"<td>{money(invoice['total'], invoice['currency'])} ({escape(invoice['status'])})</td></tr>"
        for invoice in reversed(world.find("invoice", customer=session["customer"]))
    )
    return f'<section class="panel"><h2>Invoices</h2><table>{rows}</table></section>' if rows else ""


def _invoice(world: World, invoice: Doc) -> Page:
    currency = invoice["currency"]
    rows = "".join(
        f"<tr><td>{escape(line['description'])}</td><td>{money(line['amount'], currency)}</td></tr>"
        for line in invoice["lines"]["data"]
    )
    discount = sum(total["amount"] for total in invoice["total_discount_amounts"])
    tax = sum(total["amount"] for total in invoice["total_taxes"])
    for words, amount in (
        ("Discount", -discount),
        ("Tax", tax),
        ("Total", invoice["total"]),
        ("Paid", invoice["amount_paid"]),
        ("Due", invoice["amount_remaining"]),
    ):
        rows += f"<tr><th>{words}</th><td>{money(amount, currency)}</td></tr>"
    body = (
        f'<section class="panel"><p>{day(invoice["created"])}, {escape(invoice["status"])}</p>'
        f"<p>{escape(invoice['customer_email'] or '')}</p><table>{rows}</table></section>"
    )
    return _layout(f"Invoice {invoice['number']}", body)
