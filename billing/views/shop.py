"""Prices, buying and what is paid for."""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from accounts.selectors import has_verified_email
from billing import offers, selectors
from billing.models import Order, Plan
from billing.services import checkout
from billing.stores.stripe import connection as shop
from billing.views.paths import own_path
from common.errors import DomainError
from common.http import user_id

# The page asks every two seconds; then it stops, and the webhook tells.
_LOOKS = 45
_MAX_CODE = 60


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """What everything costs and gives, for everybody."""
    period = Plan.Period.YEAR if request.GET.get("every") == "year" else Plan.Period.MONTH
    is_signed_in = request.user.is_authenticated
    current = selectors.get_bought_subscription(user_id(request)) if is_signed_in else None
    tier = selectors.get_tier(user_id(request)) if is_signed_in else None
    usual_price = (
        selectors.get_usual_price(user_id(request), tier) if tier else offers.usual_price_for_strangers()
    )
    context = {
        "period": period,
        "shelf": offers.get_shelf(period=period, current=current, tier=tier),
        "packs": offers.list_pack_offers(usual_price),
        "actions": selectors.list_actions(),
        "promotion_code": request.GET.get("code", "")[:_MAX_CODE],
        "current": current,
        "may_buy": is_signed_in and has_verified_email(user_id(request)),
        "is_open": shop.is_open(),
        "is_test_shop": shop.is_test_shop(),
        "here": request.get_full_path(),
    }
    return render(request, "billing/pricing.html", context)


@require_safe
def policy(request: HttpRequest) -> HttpResponse:
    """What is charged and what is not, for everybody."""
    return render(request, "billing/policy.html", {"is_test_shop": shop.is_test_shop()})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def buy(request: HttpRequest) -> HttpResponse:
    """Open the store's page. A refusal is said where the wish came from, and nothing chosen is lost.

    GET is what somebody makes who had to sign in first: they choose again.
    """
    if request.method != "POST":
        return redirect("billing:pricing")
    back = own_path(request.POST.get("back", "")) or reverse("billing:pricing")
    code = request.POST.get("promotion_code", "").strip()[:_MAX_CODE]
    try:
        page = checkout.begin_checkout(
            user_id=user_id(request),
            pack=request.POST.get("pack", ""),
            plan=request.POST.get("plan", ""),
            success_url=_bought_url(back),
            cancel_url=f"{settings.PUBLIC_URL}{back}",
            promotion_code=code,
        )
    except DomainError as error:
        messages.error(request, str(error.detail))
        return redirect(back)
    return redirect(page.url)


@require_safe
@login_required
def bought(request: HttpRequest) -> HttpResponse:
    """Back from the store: paid, still being processed (asked again by htmx), or not paid."""
    order = checkout.confirm_checkout(
        user_id=user_id(request), session_id=request.GET.get("session_id", "")[:255]
    )
    looks = request.GET.get("looks", "")
    looked = int(looks) if looks.isascii() and looks.isdigit() and len(looks) < 4 else 0
    wallet = selectors.get_wallet(user_id(request))
    context: dict[str, Any] = {
        "order": order,
        "is_paid": _is_paid(order),
        "is_open_order": order.state == Order.State.OPEN,
        "next_look": looked + 1 if looked < _LOOKS else None,
        "wallet": wallet,
        "replies_left": offers.about_replies(user_id(request), wallet),
        "subscription": selectors.get_subscription(user_id(request)),
        "back": own_path(request.GET.get("back", "")),
    }
    is_partial = bool(getattr(request, "htmx", False))
    return render(request, "billing/_bought.html" if is_partial else "billing/bought.html", context)


def _bought_url(back: str) -> str:
    """The store fills in the session's id, so its braces must stay as they are."""
    is_shop = back.startswith((reverse("billing:pricing"), reverse("billing:wallet")))
    tail = "" if is_shop else f"&{urlencode({'back': back})}"
    return f"{settings.PUBLIC_URL}{reverse('billing:bought')}?session_id={{CHECKOUT_SESSION_ID}}{tail}"


def _is_paid(order: Order) -> bool:
    """A trial is begun without a payment."""
    if order.state == Order.State.PAID:
        return True
    return order.plan_id is not None and selectors.has_begun(order.user_id, order.plan_id, order.created_at)
