from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.selectors import has_verified_email
from billing import history, selectors
from billing.models import Gift
from common.http import user_id

_HISTORY_PAGE = 60


@require_safe
@login_required
def wallet(request: HttpRequest) -> HttpResponse:
    """The wallet page; with `?before=` and htmx only the next part of its history."""
    before = request.GET.get("before", "")
    transactions = selectors.list_transactions(user_id(request))
    if before.isascii() and before.isdigit():
        transactions = transactions.filter(number__lt=int(before[:18]))
    rows = list(transactions[: _HISTORY_PAGE + 1])
    page = rows[:_HISTORY_PAGE]
    context: dict[str, Any] = {
        "history": history.readable_lines(page),
        "older_than": page[-1].number if len(rows) > _HISTORY_PAGE else None,
    }
    if before and getattr(request, "htmx", False):
        return render(request, "billing/_history.html", context)
    usage = selectors.get_usage(user_id(request))
    context |= {
        "wallet": usage.wallet,
        "usage": usage,
        "replies_left": selectors.estimate_replies(user_id(request), usage.wallet),
        "thousand_tokens": 1000 * usage.wallet.tier.token_price,
        "has_verified_email": has_verified_email(user_id(request)),
        "gift": selectors.get_gift(Gift.SIGN_UP),
    }
    return render(request, "billing/wallet.html", context)
