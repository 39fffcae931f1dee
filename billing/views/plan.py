"""The plan somebody has: what it is, what comes next, and how to change or end it."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from billing import offers, plan_history, selectors
from billing.models import Subscription
from billing.services import management
from billing.stores.stripe import connection as shop
from common.errors import DomainError
from common.http import user_id


@require_safe
@login_required
def plan(request: HttpRequest) -> HttpResponse:
    """The plan; with `?to=` also what changing to another one would do."""
    preview = None
    wanted = request.GET.get("to", "")[:40]
    if wanted:
        try:
            preview = management.preview_change(user_id=user_id(request), plan=wanted)
        except DomainError as error:
            messages.error(request, str(error.detail))
            return redirect("billing:plan")
    bought = selectors.get_bought_subscription(user_id(request))
    given = selectors.get_given_subscription(user_id(request))
    subscription = bought or given
    context: dict[str, Any] = {
        "subscription": subscription,
        "gift": given if bought else None,
        "tier": selectors.get_tier(user_id(request)),
        "preview": preview,
        "is_changeable": offers.is_changeable(subscription),
        "changes": offers.list_changes(subscription),
        "events": plan_history.list_lines(user_id(request)),
        "is_customer": selectors.is_customer(user_id(request)),
        "is_open": shop.is_open(),
        "is_test_shop": shop.is_test_shop(),
    }
    return render(request, "billing/plan.html", context)


@require_POST
@login_required
def plan_change(request: HttpRequest) -> HttpResponse:
    prorated_at = request.POST.get("prorated_at", "")
    try:
        row = management.change(
            user_id=user_id(request),
            plan=request.POST.get("plan", "")[:40],
            prorated_at=int(prorated_at[:12]) if prorated_at.isascii() and prorated_at.isdigit() else 0,
        )
    except DomainError as error:
        messages.error(request, str(error.detail))
        return redirect("billing:plan")
    if row.next_plan is not None:
        words = _("%(plan)s begins on %(day)s. Until then nothing changes.")
        messages.success(request, words % {"plan": _(row.next_plan.name), "day": _end_of(row)})
    else:
        messages.success(request, _("You have %(plan)s now.") % {"plan": _(row.name)})
    return redirect("billing:plan")


@require_POST
@login_required
def plan_cancel(request: HttpRequest) -> HttpResponse:
    try:
        row = management.cancel(user_id=user_id(request))
    except DomainError as error:
        messages.error(request, str(error.detail))
        return redirect("billing:plan")
    words = _("Your plan ends on %(day)s and is not renewed. Until then you keep everything.")
    messages.success(request, words % {"day": _end_of(row)})
    return redirect("billing:plan")


@require_POST
@login_required
def plan_resume(request: HttpRequest) -> HttpResponse:
    try:
        row = management.resume(user_id=user_id(request))
    except DomainError as error:
        messages.error(request, str(error.detail))
        return redirect("billing:plan")
    messages.success(request, _("Your plan goes on. It renews on %(day)s.") % {"day": _end_of(row)})
    return redirect("billing:plan")


@require_POST
@login_required
def portal(request: HttpRequest) -> HttpResponse:
    """The store's own page for cards and papers."""
    try:
        return redirect(management.open_portal(user_id=user_id(request)))
    except DomainError as error:
        messages.error(request, str(error.detail))
        return redirect("billing:plan")


def _end_of(row: Subscription) -> str:
    return date_format(localtime(row.period_end), "DATE_FORMAT") if row.period_end else ""
