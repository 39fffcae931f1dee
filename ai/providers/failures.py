"""What a provider's error means: who should try again, who should try another model."""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ai.providers.base import ProviderError

# Error types and codes of Anthropic, OpenAI and Gemini, by what they mean here.
_KINDS = {
    "overloaded_error": "overloaded",
    "unavailable": "overloaded",
    "rate_limit_error": "rate_limited",
    "rate_limit_exceeded": "rate_limited",
    "resource_exhausted": "rate_limited",
    "insufficient_quota": "account",
    "billing_error": "account",
    "authentication_error": "auth",
    "permission_error": "auth",
    "unauthenticated": "auth",
    "permission_denied": "auth",
    "not_found_error": "not_found",
    "not_found": "not_found",
    "invalid_request_error": "rejected",
    "invalid_argument": "rejected",
    "request_too_large": "rejected",
}
_RETRYABLE = {"overloaded", "rate_limited", "server_error"}
_STATUS_KINDS = {401: "auth", 402: "account", 403: "auth", 404: "not_found", 429: "rate_limited"}
_SECRET = re.compile(r"\b(?:sk|xai|AIza)[-_A-Za-z0-9*.]{6,}")


def http_failure(status: int, body: Any, retry_after: float | None) -> ProviderError:
    """The error for an answer with another status than 200; `body` is parsed JSON or None."""
    names, message = _describe(_error_of(body))
    kind = _kind_by_name(names, message)
    if status >= 500 or status == 408:
        kind = "overloaded" if status in {503, 529} else "server_error"
    elif status < 400:
        kind = "bad_response"
    elif kind != "account":
        kind = _STATUS_KINDS.get(status, "rejected")
    return _failure(kind, message or f"HTTP {status}", http_status=status, retry_after=retry_after)


def event_failure(event: Any) -> ProviderError:
    """The error for an error event inside a stream that began well."""
    names, message = _describe(_error_of(event))
    return _failure(_kind_by_name(names, message) or "server_error", message, http_status=200)


def retry_after_seconds(value: str | None, milliseconds: str | None = None) -> float | None:
    """What a Retry-After header asks for: seconds, or a date. None where it makes no sense."""
    try:
        if milliseconds:
            seconds = float(milliseconds) / 1000
        elif value and (value.strip()[:1].isdigit() or value.strip()[:1] == "."):
            seconds = float(value)
        elif value:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        else:
            return None
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), 86_400.0)


def _failure(kind: str, message: str, *, http_status: int, retry_after: float | None = None) -> ProviderError:
    return ProviderError(
        kind,
        _SECRET.sub("[key]", message)[:300],
        retryable=kind in _RETRYABLE,
        fallback=kind != "rejected",
        http_status=http_status,
        retry_after=retry_after,
    )


def _error_of(body: Any) -> Any:
    # Gemini wraps its errors into a list when it answers without a stream.
    if isinstance(body, list) and body:
        body = body[0]
    return body.get("error", body) if isinstance(body, dict) else body


def _describe(error: Any) -> tuple[list[str], str]:
    if not isinstance(error, dict):
        return [], error if isinstance(error, str) else ""
    names = [str(error[key]).lower() for key in ("code", "type", "status") if error.get(key)]
    message = error.get("message")
    return names, message if isinstance(message, str) else " ".join(names)


def _kind_by_name(names: list[str], message: str) -> str:
    # Anthropic reports an empty balance as an ordinary invalid request.
    if "credit balance" in message.lower():
        return "account"
    return next((_KINDS[name] for name in names if name in _KINDS), "")
