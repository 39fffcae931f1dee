"""One attempt at a time for whoever enters a code.

django-allauth keeps a code and the count of wrong attempts in the session, reads them, and writes them back
at the end of a request. Guesses sent at once would all read the same count, and several right answers would
all be right. So requests that try a code of the same session go one after the other, in whatever process.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.http import HttpRequest

from accounts import authentication
from accounts.errors import TryAgain
from common.errors import NotAuthenticated

_WAIT_MILLISECONDS = 3000
_HEADLESS = (
    r"/_allauth/(?:app|browser)/v1/auth/"
    r"(?:code/confirm|phone/verify|email/verify|password/reset|reauthenticate/code|"
    r"2fa/authenticate|2fa/reauthenticate)/?"
)
_PAGES = (
    r"/accounts/(?:login/code/confirm|phone/verify|password/reset/confirm|"
    r"2fa/authenticate|2fa/reauthenticate|reauthenticate|reauthenticate/code)/"
)
_PATHS = re.compile(f"(?:{_HEADLESS}|{_PAGES})")


def tries_a_code(request: HttpRequest) -> bool:
    # A reset's key may be looked at by GET, which counts as an attempt too.
    return _PATHS.fullmatch(request.path) is not None


@contextmanager
def one_at_a_time(request: HttpRequest) -> Iterator[None]:
    """Hold the session of the request until its attempt is judged and written down.

    Raises TryAgain when others are in front for longer than three seconds.
    """
    key = _session_key(request)
    if not key:
        yield
        return
    with transaction.atomic():
        _lock(key)
        yield


def _lock(key: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{_WAIT_MILLISECONDS}ms"])
        try:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_lock_number(key)])
        except OperationalError as error:
            raise TryAgain(retry_after=1) from error
        cursor.execute("SELECT set_config('lock_timeout', '0', true)")


def _lock_number(key: str) -> int:
    """What the caller sent may be anything; the lock wants 64 bits."""
    digest = hashlib.sha256(f"accounts.codes:{key}".encode(errors="replace")).digest()
    return int.from_bytes(digest[:8], signed=True)


def _session_key(request: HttpRequest) -> str:
    """The session the attempt is judged in: apps name it in a header, pages and browsers by cookie alone."""
    if not request.path.startswith("/_allauth/app/"):
        return request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    offered = request.headers.get("X-Session-Token")
    if offered:
        return offered
    authorization = request.headers.get("Authorization", "")
    if authorization:
        try:
            token = authentication.bearer_token(authorization)
            return authentication.identify_access_token(token)[1].session_key
        except NotAuthenticated:
            return ""
    return ""
