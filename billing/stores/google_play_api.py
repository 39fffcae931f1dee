"""Google's Play Developer API (androidpublisher v3) as such: signing in, asking, and reading what it says."""

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import requests
from django.conf import settings
from google.auth import transport
from google.auth.exceptions import GoogleAuthError, TransportError
from google.oauth2 import service_account
from urllib3.exceptions import HTTPError

from billing.stores import currencies
from billing.stores.base import StoreError, UnknownObject

_SCOPE = "https://www.googleapis.com/auth/androidpublisher"
_TIMEOUT_SECONDS = (3, 10)
_MAX_ANSWER_BYTES = 2_000_000
# Begins with a letter or digit, so that no piece of a path can be ".." and lead elsewhere.
PATH_PIECE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,1023}")
_QUOTA_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"}
_NANOS = 10**9
_refreshing = threading.Lock()

Document = dict[str, Any]


def path_piece(text: str) -> str:
    if not PATH_PIECE.fullmatch(text):
        raise UnknownObject("not a token or id of Google Play")
    return quote(text, safe="")


def get(path: str, *, params: Mapping[str, str | int] | None = None) -> Document:
    return _call("GET", path, params=params)


def act(
    path: str,
    is_done: Callable[[], bool],
    *,
    params: Mapping[str, str | int] | None = None,
    body: Document | None = None,
) -> None:
    """Ask for a change; what Google refuses because it is done already counts as done."""
    try:
        _call("POST", path, params=params, body=body)
    except StoreError as error:
        # Google has no one word for "done already", so a refusal is judged by what is so now.
        if error.is_passing or not is_done():
            raise


def _call(
    method: str,
    path: str,
    *,
    params: Mapping[str, str | int] | None = None,
    body: Document | None = None,
) -> Document:
    package = quote(settings.GOOGLE_PLAY_PACKAGE, safe="")
    url = f"{settings.GOOGLE_PLAY_API_BASE}/androidpublisher/v3/applications/{package}/{path}"
    status, content = 401, b""
    for is_fresh in (False, True):
        headers = {"Authorization": f"Bearer {_access_token(is_fresh=is_fresh)}"}
        status, content = _send(method, url, headers=headers, params=params, json=body)
        if status != 401:
            break
    if not 200 <= status < 300:
        raise _refusal(status, content)
    return parse_json(content) if content.strip() else {}


def _refusal(status: int, content: bytes) -> StoreError:
    if status in {400, 404, 410}:
        return UnknownObject(f"Google Play answered {status}")
    is_quota = status == 403 and bool(_reasons(content) & _QUOTA_REASONS)
    is_passing = is_quota or status in {408, 425, 429} or status >= 500
    return StoreError(f"Google Play answered {status}", is_passing=is_passing)


def _reasons(content: bytes) -> set[str]:
    try:
        return {
            text_of(each, "reason") for each in objects_of(object_of(parse_json(content), "error"), "errors")
        }
    except StoreError:
        return set()


def _send(method: str, url: str, **options: Any) -> tuple[int, bytes]:
    try:
        with requests.request(
            method, url, timeout=_TIMEOUT_SECONDS, allow_redirects=False, stream=True, **options
        ) as response:
            content = response.raw.read(_MAX_ANSWER_BYTES + 1, decode_content=True)
    except (requests.RequestException, HTTPError, OSError) as error:
        raise StoreError(f"Google Play: {type(error).__name__}", is_passing=True) from error
    if len(content) > _MAX_ANSWER_BYTES:
        raise StoreError("Google Play's answer is too long", is_passing=False)
    return response.status_code, content


def _access_token(*, is_fresh: bool) -> str:
    credentials = _credentials(settings.GOOGLE_PLAY_CREDENTIALS)
    with _refreshing:
        try:
            if is_fresh or not credentials.valid:
                credentials.refresh(_AuthRequest())
        except GoogleAuthError as error:
            is_passing = isinstance(error, TransportError) or error.retryable
            raise StoreError(f"Google's sign-in: {type(error).__name__}", is_passing=is_passing) from error
        return str(credentials.token)


@lru_cache(maxsize=4)
def _credentials(source: str) -> Any:
    """The service account of a key file, or of its text. One for all threads, with the token it holds."""
    try:
        text = source if source.lstrip().startswith("{") else Path(source).read_text()
        build = service_account.Credentials.from_service_account_info
        return build(json.loads(text), scopes=[_SCOPE])  # type: ignore[no-untyped-call]
    except (OSError, ValueError, GoogleAuthError) as error:
        raise StoreError(
            "GOOGLE_PLAY_CREDENTIALS is not a service account's key", is_passing=False
        ) from error


@dataclass(frozen=True, slots=True)
class _AuthResponse(transport.Response):
    status: int
    data: bytes
    headers: Mapping[str, str]


class _AuthRequest(transport.Request):
    """google-auth's way out, with our time limits instead of its two minutes."""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> _AuthResponse:
        try:
            status, content = _send(method, url, data=body, headers=headers)
        except StoreError as error:
            raise TransportError(error) from error  # type: ignore[no-untyped-call]
        return _AuthResponse(status, content, {})


def money(money: Document) -> tuple[int, str]:
    """Google's units and nanos in the currency's smallest unit, to the last one. Nothing is zero."""
    if not money:
        return 0, ""
    currency = required_text(money, "currencyCode")
    nanos = integer_of(money, "units", 0) * _NANOS + integer_of(money, "nanos", 0)
    amount, rest = divmod(nanos, _NANOS // 10 ** currencies.decimals(currency))
    if rest or amount < 0:
        raise broken("Money")
    return amount, currency


def uuid_or_none(text: Any) -> UUID | None:
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None


def parse_json(content: bytes) -> Document:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        # Half an answer, or some proxy's page: the next one may be Google's.
        raise StoreError("not JSON", is_passing=True) from error
    if not isinstance(document, dict):
        raise broken("the answer")
    return document


def object_of(document: Document, name: str) -> Document:
    found = document.get(name)
    if found is not None and not isinstance(found, dict):
        raise broken(name)
    return found or {}


def objects_of(document: Document, name: str) -> list[Document]:
    found = document.get(name)
    if found is not None and not (isinstance(found, list) and all(isinstance(each, dict) for each in found)):
        raise broken(name)
    return found or []


def text_of(document: Document, name: str) -> str:
    found = document.get(name)
    if found is not None and not isinstance(found, str):
        raise broken(name)
    return found or ""


def required_text(document: Document, name: str) -> str:
    text = text_of(document, name)
    if not text:
        raise broken(name)
    return text


def integer_of(document: Document, name: str, default: int) -> int:
    """Whole numbers come as such, or as text when they need 64 bits."""
    found = document.get(name, default)
    if isinstance(found, str) and re.fullmatch(r"-?[0-9]{1,19}", found):
        return int(found)
    if isinstance(found, bool) or not isinstance(found, int):
        raise broken(name)
    return found


def time_of(document: Document, name: str) -> datetime | None:
    text = text_of(document, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise broken(name) from error
    if moment.tzinfo is None:
        raise broken(name)
    return moment


def required_time(document: Document, name: str) -> datetime:
    moment = time_of(document, name)
    if moment is None:
        raise broken(name)
    return moment


def millis_of(document: Document, name: str) -> datetime | None:
    millis = integer_of(document, name, 0)
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=millis) if millis else None
    except OverflowError as error:
        raise broken(name) from error


def broken(name: str) -> StoreError:
    return StoreError(f"Google Play's answer makes no sense: {name}", is_passing=False)
