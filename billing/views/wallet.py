"""The wallet: what there is, what it buys, what moved, and what its owner allows to be spent."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.selectors import has_verified_email
from billing import history, offers, selectors
from billing.forms import LimitsForm
from billing.models import Gift
from billing.services import codes, own_limits
from billing.stores.stripe import connection as shop
from billing.views.paths import own_path
from common.credits import format_credits
from common.errors import DomainError
from common.http import user_id

_PACKS_SHOWN = 3


@require_safe
@login_required
def wallet(request: HttpRequest) -> HttpResponse:
    """The wallet page; for htmx what changes by itself, or with `?before=` the next part of the history."""
    text = request.GET.get("before", "")
    before = int(text[:18]) if text.isascii() and text.isdigit() else None
    is_partial = bool(getattr(request, "htmx", False))
    context: dict[str, Any] = {"page": history.get_history(user_id(request), before=before)}
    if is_partial and before is not None:
        return render(request, "billing/_history.html", context)
    context |= _sums(request) | {"is_partial": is_partial}
    if is_partial:
        return render(request, "billing/_wallet_changes.html", context)
    return render(request, "billing/wallet.html", context | _forms(request, context["wallet"]))


@require_POST
@login_required
def redeem(request: HttpRequest) -> HttpResponse:
    """Redeem a code; what was typed comes back when it is refused."""
    code = request.POST.get("code", "")
    try:
        redeemed = codes.redeem_code(user_id=user_id(request), code=code)
    except DomainError as error:
        return _again(request, status=error.status, code=code, code_error=error.detail)
    given = format_credits(redeemed.credits)
    messages.success(request, _("%(credits)s credits are in your wallet.") % {"credits": given})
    return redirect("billing:wallet")


@require_POST
@login_required
def limits(request: HttpRequest) -> HttpResponse:
    """Change the owner's limits; a form with `paused` alone is the switch of spending."""
    paused = request.POST.get("paused")
    if paused is not None:
        own_limits.change_own_limits(user_id=user_id(request), paused=paused == "yes")
        messages.success(
            request,
            _("Spending is paused. Nothing is charged until you resume it.")
            if paused == "yes"
            else _("Spending goes on."),
        )
        return redirect(own_path(request.POST.get("back", "")) or "billing:wallet")
    form = LimitsForm(request.POST)
    if not form.is_valid():
        return _again(request, status=422, limits_form=form)
    try:
        own_limits.change_own_limits(user_id=user_id(request), **form.cleaned_data)
    except DomainError as error:
        form.add_error(error.fields[0].field if error.fields else None, str(error.detail))
        return _again(request, status=error.status, limits_form=form)
    messages.success(request, _("Your limits are saved."))
    return redirect("billing:wallet")


def _again(request: HttpRequest, *, status: int, **extra: Any) -> HttpResponse:
    """The page once more with what was refused on it."""
    context = {"page": history.get_history(user_id(request))} | _sums(request)
    context |= _forms(request, context["wallet"]) | extra
    return render(request, "billing/wallet.html", context, status=status)


def _sums(request: HttpRequest) -> dict[str, Any]:
    usage = selectors.get_usage(user_id(request))
    return {
        "wallet": usage.wallet,
        "usage": usage,
        "replies_left": offers.about_replies(user_id(request), usage.wallet),
        "subscription": selectors.get_subscription(user_id(request)),
    }


def _forms(request: HttpRequest, wallet: selectors.WalletView) -> dict[str, Any]:
    usual_price = selectors.get_usual_price(user_id(request), wallet.tier)
    packs = offers.list_pack_offers(usual_price)
    return {
        "packs": _three_of(packs),
        "has_more_packs": len(packs) > _PACKS_SHOWN,
        "thousand_tokens": 1000 * wallet.tier.token_price,
        "has_verified_email": has_verified_email(user_id(request)),
        "gift": selectors.get_gift(Gift.SIGN_UP),
        "limits_form": LimitsForm(initial=_limits_of(wallet)),
        "is_open": shop.is_open(),
        "is_test_shop": shop.is_test_shop(),
        "code": "",
    }


def _three_of(packs: list[offers.PackOffer]) -> list[offers.PackOffer]:
    """Three in the middle of the range: neither the smallest nor the dearest asks to be looked at first."""
    start = max((len(packs) - _PACKS_SHOWN) // 2, 0)
    return packs[start : start + _PACKS_SHOWN]


def _limits_of(wallet: selectors.WalletView) -> dict[str, str]:
    amounts = {
        "per_message": wallet.message_cap,
        "per_day": wallet.day_cap,
        "low_balance": wallet.low_balance,
    }
    return {name: format_credits(amount) for name, amount in amounts.items() if amount is not None}
