"""The signed-in user's language and time zone for pages, and a strict door in front of the headless API."""

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone, translation
from rest_framework.exceptions import ParseError

from accounts import bursts, codes
from accounts.errors import TryAgain
from accounts.models import User
from accounts.services import sessions
from common.api.exceptions import Malformed, problem_json
from common.api.parsers import StrictJSONParser
from common.views import domain_error

Handler = Callable[[HttpRequest], HttpResponseBase]
_ACTIVITY_SECONDS = 600
_TELLING_PATHS = re.compile(
    r"/_allauth/(app|browser)/v1/auth/(login|code/request|password/request)"
    r"|/accounts/(login/|login/code/|login/phone/|password/reset/)"
)
# Answers to programs are in UTC whoever asks.
_NOT_PAGES = ("/api/", "/_allauth/", "/v1/", "/health/", "/metrics")


class UserPreferencesMiddleware:
    """Pages in the user's language (where we have it) and time zone."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        signed_in = settings.SESSION_COOKIE_NAME in request.COOKIES
        if not signed_in or request.path.startswith(_NOT_PAGES) or not request.user.is_authenticated:
            return self.get_response(request)
        with ExitStack() as preferences:
            _prefer(request.user, preferences)
            return self.get_response(request)


def _prefer(user: User, preferences: ExitStack) -> None:
    language = _page_language(user.locale)
    if language:
        preferences.enter_context(translation.override(language))
    if user.time_zone:
        preferences.enter_context(timezone.override(ZoneInfo(user.time_zone)))


def _page_language(locale: str) -> str:
    """The nearest language we have pages in; Django itself knows more, which would give mixed pages."""
    try:
        return translation.get_supported_language_variant(locale.lower()) if locale else ""
    except LookupError:
        return ""


class DeviceActivityMiddleware:
    """Notes on the list of devices when each was last used; at most once in ten minutes."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.session.accessed and request.user.is_authenticated:
            key = request.session.session_key
            if key and cache.add(f"accounts:seen:{key}", 1, timeout=_ACTIVITY_SECONDS):
                sessions.note_activity(session_key=key)
        return response


class HeadlessBodyMiddleware:
    """Refuses bodies the headless API would trip over: deep nesting, NUL characters, lone surrogates.

    It stands outside the others, so that calls with one refresh token that arrive together see each other.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith("/_allauth/") or not request.body:
            return self.get_response(request)
        try:
            body = StrictJSONParser().parse(BytesIO(request.body), "application/json", {})
        except ParseError as error:
            return problem_json(Malformed(error.detail))
        token = body.get("refresh_token")
        if not isinstance(token, str):
            return self.get_response(request)
        with bursts.under_way(token) as has_company:
            request.has_company = has_company  # type: ignore[attr-defined]
            return self.get_response(request)


class CodeAttemptMiddleware:
    """Attempts at a code go one after the other; it stands outside the session, which must be read inside."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not codes.tries_a_code(request):
            return self.get_response(request)
        try:
            with codes.one_at_a_time(request):
                return self.get_response(request)
        except TryAgain as error:
            return domain_error(request, error)


class EvenTimesMiddleware:
    """Answers that must not tell who has an account take a round time, whatever work was behind them.

    Known and unknown accounts differ by a few queries. The time is rounded up to the next step, and a random
    part of a step is added, which hides how often the work crossed into the next one. Async, no thread waits.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if request.method != "POST" or not _TELLING_PATHS.fullmatch(request.path):
            return self.get_response(request)
        started = time.monotonic()
        if self.is_async:
            return self._call_async(request, started)
        response = self.get_response(request)
        time.sleep(_time_left(started))
        return response

    async def _call_async(self, request: HttpRequest, started: float) -> HttpResponseBase:
        response: HttpResponseBase = await self.get_response(request)
        await asyncio.sleep(_time_left(started))
        return response


def _time_left(started: float) -> float:
    step = settings.ACCOUNTS_ANSWER_STEP_SECONDS
    return step - (time.monotonic() - started) % step + secrets.randbelow(1000) / 1000 * step if step else 0.0
