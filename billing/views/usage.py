"""What was used, how long the credits last, and all of it as a file."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.authentication import caller_of
from billing import usage_charts, usage_forecast, usage_reports
from billing.models import UsageExport
from billing.services import usage as usage_service
from common.errors import NotFound, RateLimited
from common.http import user_id

_USAGE_PERIODS = (7, 30, 90)
_DEFAULT_USAGE_PERIOD = 30


@require_safe
@login_required
def usage(request: HttpRequest) -> HttpResponse:
    """What was used and how long the credits last; with htmx only how far the export is."""
    if getattr(request, "htmx", False):
        return render(request, "billing/_usage_export.html", _usage_export_context(request))
    asked = request.GET.get("days", "")
    periods = {str(days): days for days in _USAGE_PERIODS}
    now = timezone.now()
    analytics = usage_reports.get_analytics(
        user_id(request),
        days=periods.get(asked, _DEFAULT_USAGE_PERIOD),
        zone=usage_reports.zone_of(user_id(request)),
        now=now,
    )
    context = {
        "periods": _USAGE_PERIODS,
        "period": len(analytics.days),
        "analytics": analytics,
        "day_chart": usage_charts.bar_chart(analytics.days),
        "hour_chart": usage_charts.bar_chart(analytics.hours),
        "change_percent": abs(analytics.change_percent or 0),
        "forecast": usage_forecast.get_forecast(user_id(request), now=now),
        **_usage_export_context(request),
    }
    return render(request, "billing/usage.html", context)


@require_POST
@login_required
def usage_export_request(request: HttpRequest) -> HttpResponse:
    file_format = request.POST.get("format", "")
    if file_format not in UsageExport.Format.values:
        raise NotFound
    try:
        usage_service.request_usage_export(user_id=user_id(request), file_format=file_format)
    except RateLimited as error:
        messages.error(request, str(error.detail))
    return redirect("billing:usage")


@require_safe
def usage_export_download(request: HttpRequest, token: str) -> FileResponse:
    """The file, for its owner: the pages' session or an app's bearer token."""
    export, file = usage_service.open_usage_export(user_id=caller_of(request).id, token=token)
    name = f"parlor-usage-{export.created_at:%Y-%m-%d}.{export.format}"
    kind = "text/csv; charset=utf-8" if export.format == UsageExport.Format.CSV else "application/json"
    response = FileResponse(file, as_attachment=True, filename=name, content_type=kind)
    response["Cache-Control"] = "private, no-store"
    return response


def _usage_export_context(request: HttpRequest) -> dict[str, Any]:
    export = usage_reports.find_latest_usage_export(user_id(request))
    return {
        "export": export,
        "download": usage_service.sign_usage_export(export) if export else None,
        "is_running": export is not None and export.state in ("queued", "processing"),
    }
