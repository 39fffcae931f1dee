"""Answers that belong to no app: health, metrics and the framework's own errors."""

import hmac
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, requires_csrf_token
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from common import health
from common.api.exceptions import problem_json
from common.errors import DomainError, Invalid, NotFound, PermissionDenied

# What programs talk to; errors there are problem+json, whatever the settings are.
MACHINE_PATHS = r"^(?:api|_allauth|webhooks|v1)/"
_MACHINE_PREFIXES = ("/api/", "/_allauth/", "/webhooks/", "/v1/")
_LOCAL = {"127.0.0.1", "::1"}


class InternalError(DomainError):
    code = "internal_error"
    status = 500
    title = "Something went wrong on our side"


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Where browsers look when a page names no icon."""
    return redirect(static("img/favicon.ico"), permanent=True)


@never_cache
@require_safe
def health_live(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def health_ready(request: HttpRequest) -> HttpResponse:
    report = health.readiness()
    body: dict[str, Any] = {"status": report.status}
    if _may_see_operations(request):
        body["checks"] = report.checks
    return JsonResponse(body, status=503 if report.status == "unavailable" else 200)


@never_cache
@require_safe
def prometheus(request: HttpRequest) -> HttpResponse:
    if not _may_see_operations(request):
        raise Http404
    health.update_gauges()
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


@csrf_exempt
def unknown_machine_path(request: HttpRequest) -> HttpResponse:
    """In debug Django would answer with a page, and a POST without the last slash with an internal error."""
    hint = "" if request.path.endswith("/") else _("There is nothing here. Paths end with a slash.")
    return problem_json(NotFound(hint))


@requires_csrf_token
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error_page(request, Invalid(), 400)


@requires_csrf_token
def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error_page(request, PermissionDenied(), 403)


@requires_csrf_token
def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error_page(request, NotFound(), 404)


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    return _error_page(request, InternalError(), 500)


@requires_csrf_token
def domain_error(request: HttpRequest, error: DomainError) -> HttpResponse:
    """The page of an error a view let through: in its own words, or the usual page for what is not there."""
    return _error_page(request, error, error.status, template="" if error.status == 404 else "error.html")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _error_page(request, PermissionDenied(), 403, template="403_csrf.html")


def _error_page(request: HttpRequest, error: DomainError, status: int, template: str = "") -> HttpResponse:
    if request.path.startswith(_MACHINE_PREFIXES):
        return problem_json(error, status=status)
    context = {"request_id": getattr(request, "request_id", ""), "error": error}
    return render(request, template or f"{status}.html", context, status=status)


def _may_see_operations(request: HttpRequest) -> bool:
    """The bearer token, or a caller on this very machine that no proxy stands in front of."""
    offered = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if settings.METRICS_TOKEN:
        return hmac.compare_digest(offered.encode(), settings.METRICS_TOKEN.encode())
    return request.META.get("REMOTE_ADDR") in _LOCAL and "X-Forwarded-For" not in request.headers
