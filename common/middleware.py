"""Request ids, the content security policy, and no caching of what is personal."""

import re
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import structlog
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.cache import patch_cache_control, patch_vary_headers

from common import context, metrics, views
from common.errors import DomainError
from common.ids import uuid7

logger = structlog.get_logger("parlor.http")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
_QUIET_PATHS = ("/static/", "/health/", "/metrics", "/media/")

Handler = Callable[[HttpRequest], Any]
AsyncHandler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class TaggedRequest(HttpRequest):
    """A request after RequestContextMiddleware."""

    request_id: str
    received_at: datetime


class RequestContextMiddleware:
    """Gives each request an id, says it in the answer, and writes one log line without any content."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: TaggedRequest) -> Any:
        if self.is_async:
            return self._call_async(request)
        started = self._begin(request)
        return self._finish(request, self.get_response(request), started)

    async def _call_async(self, request: TaggedRequest) -> HttpResponseBase:
        started = self._begin(request)
        return self._finish(request, await self.get_response(request), started)

    def _begin(self, request: TaggedRequest) -> float:
        offered = request.headers.get("X-Request-ID", "")
        request.received_at = timezone.now()
        request.request_id = offered if _REQUEST_ID.fullmatch(offered) else str(uuid7())
        context.request_id.set(request.request_id)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request.request_id)
        return time.perf_counter()

    def _finish(self, request: TaggedRequest, response: HttpResponseBase, started: float) -> HttpResponseBase:
        response["X-Request-ID"] = request.request_id
        elapsed = time.perf_counter() - started
        match = request.resolver_match
        route = match.route if match else "unmatched"
        metrics.HTTP_SECONDS.labels(request.method or "", route, str(response.status_code)).observe(elapsed)
        if not request.path.startswith(_QUIET_PATHS):
            logger.info(
                "request",
                method=request.method,
                route=route,
                status=response.status_code,
                milliseconds=round(elapsed * 1000, 1),
            )
        return response


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """The strict policy everywhere; the admin's theme builds functions from text, so it gets its own."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.path.startswith("/admin/"):
            response._csp_replace = {  # type: ignore[attr-defined]
                "script-src": [SELF, UNSAFE_EVAL, UNSAFE_INLINE],
                "style-src": [SELF, UNSAFE_INLINE],
            }
        return super().process_response(request, response)


class PrivateCacheMiddleware:
    """What was made for somebody signed in is never kept by a cache on the way."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.has_header("Cache-Control"):
            return response
        user = getattr(request, "user", None)
        personal = "Authorization" in request.headers or request.path.startswith(("/api/", "/_allauth/"))
        if personal or (user is not None and user.is_authenticated):
            patch_cache_control(response, private=True, no_store=True)
        patch_vary_headers(response, ["Cookie", "Authorization"])
        return response


class DomainErrorMiddleware:
    """Pages may let a domain error through; it becomes a page (or a problem+json) with its own status."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return views.domain_error(request, exception) if isinstance(exception, DomainError) else None
